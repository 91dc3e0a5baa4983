//! How texts are compared where the protocol does not want them equal.

/// Whether `text` begins with `prefix`, ASCII letters without regard to case.
pub(super) fn begins(text: &str, prefix: &str) -> bool {
    text.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// A pattern that texts contain: `%` stands for any run of characters, `_` for any one; ASCII letters without regard to case.
pub(super) struct Pattern(Vec<char>);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        let middle = text.chars().map(|c| c.to_ascii_lowercase());
        Self(std::iter::once('%').chain(middle).chain(std::iter::once('%')).collect())
    }

    /// Goes on behind the last `%` when a character does not fit, so it takes at most length times length steps.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().map(|c| c.to_ascii_lowercase()).collect();
        let (mut at, mut in_text) = (0, 0);
        let mut wildcard: Option<(usize, usize)> = None;
        while in_text < text.len() {
            match self.0.get(at) {
                Some('%') => {
                    wildcard = Some((at, in_text));
                    at += 1;
                }
                Some(c) if *c == '_' || *c == text[in_text] => {
                    at += 1;
                    in_text += 1;
                }
                _ => match &mut wildcard {
                    Some((behind, start)) => {
                        *start += 1;
                        (at, in_text) = (*behind + 1, *start);
                    }
                    None => return false,
                },
            }
        }
        self.0[at..].iter().all(|c| *c == '%')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_sought_in_the_middle_and_know_two_wildcards() {
        for (pattern, text, expected) in [
            ("prime", "test_PRIME[2]", true),
            ("test_p", "testXp", true),
            ("a%c", "xxABBCxx", true),
            ("a%c", "cba", false),
            ("[2]", "test[2]", true),
            ("é", "café", true),
            ("É", "café", false),
            ("%", "", true),
            ("", "anything", true),
            ("__", "x", false),
            ("_", "x", true),
            ("ab", "aab", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        let pattern = Pattern::new(&"%a".repeat(200));
        assert!(!pattern.matches(&"b".repeat(20_000)));
    }

    #[test]
    fn beginnings_ignore_the_case_of_ascii_letters() {
        assert!(begins("ABCdef", "abcD") && begins("x", "") && !begins("ab", "abc") && !begins("é", "É"));
    }
}
