//! Public ids: UUIDs of version 8 that carry kind, suite and number under a keyed permutation.
//!
//! A look-up by public id therefore needs no index over all suites: the id itself names the shard. The permutation hides
//! how many runs or tests a suite has, and the bits that must be zero after decoding make a made-up id miss.

use crate::closed_set;
use crate::id::{DeliveryId, ExecutionId, OrganizationId, RunId, SuiteId, TestId, UploadId, WebhookId};
use siphasher::sip::SipHasher24;
use std::fmt::Write as _;
use std::hash::Hasher as _;

closed_set! {
    /// What a public id names.
    Kind {
        /// An organization.
        Organization = 1, "organization";
        /// A suite.
        Suite = 2, "suite";
        /// A run.
        Run = 3, "run";
        /// A test.
        Test = 4, "test";
        /// An execution.
        Execution = 5, "execution";
        /// An upload.
        Upload = 6, "upload";
        /// A webhook.
        Webhook = 7, "webhook";
        /// A delivery to a webhook.
        Delivery = 8, "delivery";
    }
}

/// What a public id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// An organization.
    Organization(OrganizationId),
    /// A suite.
    Suite(SuiteId),
    /// A run of a suite.
    Run(SuiteId, RunId),
    /// A test of a suite.
    Test(SuiteId, TestId),
    /// An execution of a suite.
    Execution(SuiteId, ExecutionId),
    /// An upload to a suite.
    Upload(SuiteId, UploadId),
    /// A webhook of a suite.
    Webhook(SuiteId, WebhookId),
    /// A delivery to a webhook of a suite.
    Delivery(SuiteId, DeliveryId),
}

/// Half of the free bits of a UUID.
const HALF_BITS: u32 = 61;
/// Half of the bits of a test's number.
const TEST_HALF_BITS: u32 = 26;
const SUITE_MASK: u128 = (1 << (2 * TEST_HALF_BITS - NUMBER_BITS)) - 1;
const NUMBER_BITS: u32 = 31;
const NUMBER_MASK: u128 = (1 << NUMBER_BITS) - 1;
const ATTEMPT_BITS: u32 = 15;
const ATTEMPT_MASK: u128 = (1 << ATTEMPT_BITS) - 1;
const ROUNDS: u8 = 6;

/// The installation's key for public ids. Never changes once ids have been given out.
#[derive(Clone, Copy)]
pub struct PublicIdKey(u64, u64);

impl std::fmt::Debug for PublicIdKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PublicIdKey(..)")
    }
}

impl PublicIdKey {
    /// A key from 16 random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let [a, b] = [0, 8].map(|at| {
            let mut half = [0; 8];
            half.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(half)
        });
        Self(a, b)
    }

    /// The public id of `subject`, in the usual lower-case form with dashes.
    #[must_use]
    pub fn encode(&self, subject: Subject) -> String {
        let (kind, suite, a, b, c) = match subject {
            Subject::Organization(id) => (Kind::Organization, 0, id.get(), 0, 0),
            Subject::Suite(id) => (Kind::Suite, id.get(), 0, 0, 0),
            Subject::Run(suite, id) => (Kind::Run, suite.get(), id.get(), 0, 0),
            Subject::Test(suite, id) => (Kind::Test, suite.get(), id.get(), 0, 0),
            Subject::Upload(suite, id) => (Kind::Upload, suite.get(), id.get(), 0, 0),
            Subject::Webhook(suite, id) => (Kind::Webhook, suite.get(), id.get(), 0, 0),
            Subject::Delivery(suite, id) => (Kind::Delivery, suite.get(), id.get(), 0, 0),
            Subject::Execution(suite, e) => {
                (Kind::Execution, suite.get(), e.run.get(), e.test.get(), e.attempt)
            }
        };
        let mut plain = kind.code() as u128;
        plain = (plain << NUMBER_BITS) | (suite as u128 & NUMBER_MASK);
        plain = (plain << NUMBER_BITS) | (a as u128 & NUMBER_MASK);
        plain = (plain << NUMBER_BITS) | (b as u128 & NUMBER_MASK);
        plain = (plain << ATTEMPT_BITS) | (c as u128 & ATTEMPT_MASK);
        format_uuid8(self.permute(plain, HALF_BITS))
    }

    /// What the public id `text` stands for; none if it was not given out under this key.
    #[must_use]
    pub fn decode(&self, text: &str) -> Option<Subject> {
        let mut rest = self.unpermute(parse_uuid8(text)?, HALF_BITS);
        let mut take = |bits: u32, mask: u128| {
            let value = (rest & mask) as i64;
            rest >>= bits;
            value
        };
        let c = take(ATTEMPT_BITS, ATTEMPT_MASK);
        let b = take(NUMBER_BITS, NUMBER_MASK);
        let a = take(NUMBER_BITS, NUMBER_MASK);
        let suite = SuiteId(take(NUMBER_BITS, NUMBER_MASK));
        let subject = match Kind::from_code(i64::try_from(rest).ok()?)? {
            Kind::Organization => Subject::Organization(OrganizationId(a)),
            Kind::Suite => Subject::Suite(suite),
            Kind::Run => Subject::Run(suite, RunId(a)),
            Kind::Test => Subject::Test(suite, TestId(a)),
            Kind::Upload => Subject::Upload(suite, UploadId(a)),
            Kind::Webhook => Subject::Webhook(suite, WebhookId(a)),
            Kind::Delivery => Subject::Delivery(suite, DeliveryId(a)),
            Kind::Execution => {
                Subject::Execution(suite, ExecutionId { run: RunId(a), test: TestId(b), attempt: c })
            }
        };
        // Unused fields must be zero: encoding again is the simplest complete check.
        text.eq_ignore_ascii_case(&self.encode(subject)).then_some(subject)
    }

    /// The number of a test's page, for protocols whose ids are whole numbers: exact in a double.
    #[must_use]
    pub fn test_number(&self, suite: SuiteId, test: TestId) -> i64 {
        let plain = (suite.get() as u128 & SUITE_MASK) << NUMBER_BITS | test.get() as u128 & NUMBER_MASK;
        self.permute(plain, TEST_HALF_BITS) as i64
    }

    /// The test whose page has that number, if it exists; none if the number is none.
    #[must_use]
    pub fn test_of_number(&self, number: i64) -> Option<(SuiteId, TestId)> {
        let sealed = u128::try_from(number).ok().filter(|sealed| sealed >> (2 * TEST_HALF_BITS) == 0)?;
        let plain = self.unpermute(sealed, TEST_HALF_BITS);
        Some((SuiteId((plain >> NUMBER_BITS) as i64), TestId((plain & NUMBER_MASK) as i64)))
    }

    fn round(&self, round: u8, half: u64, mask: u64) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.0, self.1);
        hasher.write_u8(round);
        hasher.write_u64(half);
        hasher.finish() & mask
    }

    /// A balanced Feistel network over twice `bits` bits.
    fn permute(&self, plain: u128, bits: u32) -> u128 {
        let mask = (1 << bits) - 1;
        let (mut left, mut right) = ((plain >> bits) as u64 & mask, plain as u64 & mask);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.round(round, right, mask));
        }
        (u128::from(left) << bits) | u128::from(right)
    }

    fn unpermute(&self, sealed: u128, bits: u32) -> u128 {
        let mask = (1 << bits) - 1;
        let (mut left, mut right) = ((sealed >> bits) as u64 & mask, sealed as u64 & mask);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.round(round, left, mask), left);
        }
        (u128::from(left) << bits) | u128::from(right)
    }
}

/// Spreads 122 bits around the version (8) and variant (10) bits of RFC 9562.
fn format_uuid8(bits: u128) -> String {
    let high = bits >> 74 & ((1 << 48) - 1);
    let middle = bits >> 62 & ((1 << 12) - 1);
    let low = bits & ((1 << 62) - 1);
    let uuid = (high << 80) | (8 << 76) | (middle << 64) | (2 << 62) | low;
    let mut text = String::with_capacity(36);
    for (index, byte) in uuid.to_be_bytes().iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn parse_uuid8(text: &str) -> Option<u128> {
    let uuid = parse_uuid(text)?;
    (uuid >> 76 & 0xf == 8 && uuid >> 62 & 0x3 == 2)
        .then_some(((uuid >> 80) << 74) | ((uuid >> 64 & ((1 << 12) - 1)) << 62) | (uuid & ((1 << 62) - 1)))
}

/// The 128 bits of a UUID in its usual form with dashes, in either case.
#[must_use]
pub fn parse_uuid(text: &str) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let mut value = 0u128;
    for (index, byte) in text.bytes().enumerate() {
        if matches!(index, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return None;
            }
        } else {
            value = (value << 4) | u128::from(char::from(byte).to_digit(16)?);
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> PublicIdKey {
        PublicIdKey::from_bytes(*b"0123456789abcdef")
    }

    proptest! {
        #[test]
        fn every_execution_comes_back(suite in 1i64..1 << 31, run in 1i64..1 << 31, test in 1i64..1 << 31, attempt in 1i64..1 << 15) {
            let subject = Subject::Execution(SuiteId(suite), ExecutionId { run: RunId(run), test: TestId(test), attempt });
            let text = key().encode(subject);
            prop_assert_eq!(text.as_bytes()[14], b'8');
            prop_assert!(b"89ab".contains(&text.as_bytes()[19]));
            prop_assert_eq!(key().decode(&text), Some(subject));
            prop_assert_eq!(key().decode(&text.to_uppercase()), Some(subject));
        }

        #[test]
        fn the_number_of_a_test_leads_back(suite in 1i64..1 << 21, test in 1i64..1 << 31) {
            let number = key().test_number(SuiteId(suite), TestId(test));
            prop_assert!((0..1 << 52).contains(&number));
            prop_assert_eq!(key().test_of_number(number), Some((SuiteId(suite), TestId(test))));
        }

        #[test]
        fn made_up_ids_stand_for_nothing(bits in any::<u128>()) {
            // A random id decodes only if kind and every unused bit happen to fit; executions have the fewest of those.
            let text = format_uuid8(bits >> 6);
            prop_assert!(!matches!(key().decode(&text), Some(Subject::Run(..) | Subject::Test(..) | Subject::Suite(_))));
        }
    }

    #[test]
    fn kinds_and_keys_do_not_mix() {
        let run = key().encode(Subject::Run(SuiteId(1), RunId(7)));
        let test = key().encode(Subject::Test(SuiteId(1), TestId(7)));
        assert_ne!(run, test);
        let other = PublicIdKey::from_bytes([9; 16]);
        assert_ne!(other.decode(&run), Some(Subject::Run(SuiteId(1), RunId(7))));
        assert_eq!(key().decode("no id"), None);
        assert_eq!(key().decode(&run[1..]), None);
    }
}
