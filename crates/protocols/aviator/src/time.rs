//! Times as this protocol writes them.

use casebook_model::time::Timestamp;

/// UTC without a zone, always with six digits after the point (`aviator.md` 2.2).
pub(crate) fn text(time: Timestamp) -> String {
    let text = time.to_rfc3339_micros();
    text.strip_suffix('Z').unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_and_no_zone() {
        assert_eq!(text(Timestamp(1_668_619_301_350_499)), "2022-11-16T17:21:41.350499");
        assert_eq!(text(Timestamp(1_668_619_301_000_000)), "2022-11-16T17:21:41.000000");
        assert_eq!(text(Timestamp(1_668_619_301_350_490)), "2022-11-16T17:21:41.350490");
    }
}
