//! How a receiver knows that a delivery is ours: Aviator's signature and that of Standard Webhooks.

use super::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt::Write as _;

/// `X-Aviator-Signature-SHA256`: of the body alone, so every attempt carries the same. Lower-case hexadecimal digits.
#[must_use]
pub(super) fn aviator(secret: &Secret, body: &[u8]) -> String {
    let digest = hmac(secret.text().as_bytes(), &[body]);
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `webhook-signature` (Standard Webhooks): of id, time in seconds and body.
#[must_use]
pub(super) fn standard(secret: &Secret, id: &str, seconds: i64, body: &[u8]) -> String {
    let head = format!("{id}.{seconds}.");
    format!("v1,{}", STANDARD.encode(hmac(&secret.standard_key(), &[head.as_bytes(), body])))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::parse(text).unwrap()
    }

    #[test]
    fn the_example_of_aviators_documentation() {
        let expected = "bbbf25d449dc5f1101d36085b7913dfccce6a9307048ed110d4c70afd83eafd5";
        assert_eq!(aviator(&secret("av_live_xxxyyyzzz"), b"{...}"), expected);
    }

    #[test]
    fn the_test_vector_of_standard_webhooks() {
        let signed = standard(
            &secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            b"{\"test\": 2432232314}",
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
