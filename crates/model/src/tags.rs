//! Tags: small named texts on an upload or an execution.

/// Most tags one upload or execution may carry (`buildkite.md` 4.6).
pub const MOST_TAGS: usize = 10;

/// Why a tag was dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagProblem {
    /// The key breaks a rule.
    #[error(
        "tag key {0:?} must begin with a letter, hold only letters, digits, '_', '-', '.', and be under 64 bytes"
    )]
    Key(String),
    /// `mut` and `mut.` can only be set on stored executions.
    #[error("tag key {0:?} is reserved")]
    Reserved(String),
    /// The value is blank or too long.
    #[error("the value of tag {0:?} must not be blank and must be under 128 bytes")]
    Value(String),
    /// The key is a dotted prefix of another.
    #[error("tag key {0:?} is a prefix of tag key {1:?}")]
    Prefix(String, String),
    /// There are more than ten.
    #[error("tag {0:?} is one too many: at most 10 are kept")]
    TooMany(String),
}

/// Tags sorted by key, one value each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tags(Vec<(String, String)>);

impl Tags {
    /// Keeps the tags that obey the rules of `buildkite.md` 4.6 also beside those that are there already, and says why the
    /// others were dropped.
    #[must_use]
    pub fn checked(given: Vec<(String, String)>, beside: &Self) -> (Self, Vec<TagProblem>) {
        let mut problems = Vec::new();
        let mut kept: Vec<(String, String)> = Vec::with_capacity(given.len());
        for (key, value) in given {
            if let Err(problem) = check(&kept, beside, &key, &value) {
                problems.push(problem);
            } else if let Some(present) = kept.iter_mut().find(|(other, _)| *other == key) {
                present.1 = value;
            } else {
                kept.push((key, value));
            }
        }
        kept.sort();
        (Self(kept), problems)
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str())
    }

    /// All tags, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These tags, and `other`'s where they win.
    #[must_use]
    pub fn overlaid(&self, other: &Self) -> Self {
        self.iter().filter(|(key, _)| other.get(key).is_none()).chain(other.iter()).collect()
    }
}

/// Takes tags as they are, without the rules: for tags that are already stored or that the server itself sets.
impl<'a> FromIterator<(&'a str, &'a str)> for Tags {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(tags: I) -> Self {
        let mut tags: Vec<_> =
            tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        tags.sort();
        Self(tags)
    }
}

fn check(kept: &[(String, String)], beside: &Tags, key: &str, value: &str) -> Result<(), TagProblem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if key.len() >= 64 || !key.starts_with(|c: char| c.is_ascii_alphabetic()) || !key.chars().all(allowed) {
        return Err(TagProblem::Key(key.chars().take(64).collect()));
    }
    if key == "mut" || key.starts_with("mut.") {
        return Err(TagProblem::Reserved(key.to_owned()));
    }
    if value.trim().is_empty() || value.len() >= 128 {
        return Err(TagProblem::Value(key.to_owned()));
    }
    let within = |a: &str, b: &str| b.len() > a.len() && b.starts_with(a) && b.as_bytes()[a.len()] == b'.';
    let mut others =
        kept.iter().map(|(other, _)| other.as_str()).chain(beside.iter().map(|(other, _)| other));
    if let Some(other) = others.find(|other| within(other, key) || within(key, other)) {
        return Err(TagProblem::Prefix(key.to_owned(), other.to_owned()));
    }
    if kept.len() >= MOST_TAGS && !kept.iter().any(|(other, _)| other == key) {
        return Err(TagProblem::TooMany(key.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(tags: &[(&str, &str)]) -> (Vec<String>, usize) {
        let given = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let (tags, problems) = Tags::checked(given, &Tags::default());
        (tags.iter().map(|(k, v)| format!("{k}={v}")).collect(), problems.len())
    }

    #[test]
    fn rules() {
        assert_eq!(checked(&[("b", "1"), ("a.x", "2"), ("b", "3")]), (vec!["a.x=2".into(), "b=3".into()], 0));
        for bad in ["", "1a", "a b", "mut", "mut.x", &"k".repeat(64)] {
            assert_eq!(checked(&[(bad, "v")]).1, 1, "{bad}");
        }
        assert_eq!(checked(&[("a", "v"), ("a.b", "v")]), (vec!["a=v".into()], 1));
        assert_eq!(checked(&[("ab", "v"), ("a.b", "v")]).1, 0);
        assert_eq!(checked(&[("a", " "), ("b", &"x".repeat(128))]).1, 2);
        let many: Vec<String> = (0..12).map(|n| format!("k{n}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|k| (k.as_str(), "v")).collect();
        assert_eq!(checked(&many).1, 2);
    }

    #[test]
    fn a_key_may_not_lie_within_one_that_is_there() {
        let beside: Tags = [("build.id", "1"), ("team", "a")].into_iter().collect();
        let given =
            ["build", "team.name", "team", "teams"].map(|key| (key.to_owned(), "v".to_owned())).to_vec();
        let (tags, problems) = Tags::checked(given, &beside);
        assert_eq!(tags.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["team", "teams"]);
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn the_execution_wins() {
        let upload: Tags = [("a", "1"), ("b", "1")].into_iter().collect();
        let own: Tags = [("b", "2")].into_iter().collect();
        let all: Vec<(String, String)> =
            upload.overlaid(&own).iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        assert_eq!(all, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
    }
}
