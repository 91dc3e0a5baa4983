//! Packing answers for those who can unpack them.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

/// Bodies that are shorter are not worth it.
const SHORTEST: usize = 1_000;

/// `body` as gzip, if the caller can unpack that and it is long enough.
pub async fn packed(caller: &HeaderMap, body: &Bytes) -> Option<Vec<u8>> {
    if body.len() < SHORTEST || !takes_gzip(caller) {
        return None;
    }
    let body = body.clone();
    let packed = tokio::task::spawn_blocking(move || {
        let mut packer = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        packer.write_all(&body)?;
        packer.finish()
    });
    packed.await.ok().and_then(Result::ok)
}

/// Whether `Accept-Encoding` names gzip, or anything, without refusing it by `q=0`.
fn takes_gzip(caller: &HeaderMap) -> bool {
    let values = caller.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|choice| {
        let (name, quality) = choice.split_once(';').unwrap_or((choice, ""));
        let refused = quality.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0));
        ["gzip", "x-gzip", "*"].iter().any(|known| name.trim().eq_ignore_ascii_case(known)) && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn callers_say_what_they_can_unpack() {
        let takes =
            |value| takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]));
        assert!(["gzip", "deflate, GZIP;q=0.5", "*", "br;q=1, x-gzip"].into_iter().all(takes));
        assert!(!["", "identity", "gzip;q=0", "br", "gzip; q=0.0"].into_iter().any(takes));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
