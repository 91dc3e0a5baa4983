//! Failures: what a failing attempt said.

/// Longest text of one failure that is kept; longer text loses its middle, visibly.
pub const LONGEST_TEXT: usize = 64 * 1024;

/// One of possibly several failures of one execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailureDetail {
    /// The message, line by line.
    pub expanded: Vec<String>,
    /// One frame each.
    pub backtrace: Vec<String>,
}

/// Everything an attempt said about its failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// The short reason.
    pub reason: Option<String>,
    /// The failures in order.
    pub details: Vec<FailureDetail>,
}

impl Failure {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reason.as_deref().is_none_or(str::is_empty) && self.details.is_empty()
    }

    /// Cuts the reason and the details to [`LONGEST_TEXT`] bytes each; says whether anything was cut.
    pub fn limit(&mut self) -> bool {
        self.limit_to(LONGEST_TEXT)
    }

    /// Cuts the reason and the details to `most` bytes each; says whether anything was cut.
    pub fn limit_to(&mut self, most: usize) -> bool {
        let mut cut = false;
        if let Some(reason) = &mut self.reason {
            cut |= cut_middle(reason, most);
        }
        let mut left = most;
        for detail in &mut self.details {
            for lines in [&mut detail.expanded, &mut detail.backtrace] {
                cut |= limit_lines(lines, &mut left);
            }
        }
        cut
    }
}

/// Keeps head and tail of `lines` within `left` bytes, and takes what is kept from `left`.
fn limit_lines(lines: &mut Vec<String>, left: &mut usize) -> bool {
    let size = |lines: &[String]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
    let total = size(lines);
    if total <= *left {
        *left -= total;
        return false;
    }
    let mut joined = lines.join("\n");
    cut_middle(&mut joined, *left);
    *left = left.saturating_sub(joined.len());
    *lines = joined.lines().map(str::to_owned).collect();
    true
}

/// Cuts the middle out of `text` when it is longer than `most` bytes, leaving a note; says whether it did.
pub fn cut_middle(text: &mut String, most: usize) -> bool {
    if text.len() <= most {
        return false;
    }
    let half = most / 2;
    let head = text.floor_char_boundary(half);
    let tail = text.ceil_char_boundary(text.len() - half);
    let note = format!("\n[... {} bytes left out ...]\n", tail - head);
    text.replace_range(head..tail, &note);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_keeps_head_and_tail() {
        let mut text = format!("head{}tail", "ü".repeat(100_000));
        assert!(cut_middle(&mut text, 1000));
        assert!(text.starts_with("head") && text.ends_with("tail") && text.contains("bytes left out"));
        assert!(text.len() < 1100);
        let mut short = "short".to_owned();
        assert!(!cut_middle(&mut short, 1000));
    }

    #[test]
    fn details_share_one_limit() {
        let line = "x".repeat(1000);
        let detail = FailureDetail { expanded: vec![line.clone(); 50], backtrace: vec![line; 50] };
        let mut failure = Failure { reason: None, details: vec![detail.clone(), detail] };
        assert!(failure.limit());
        let kept: usize =
            failure.details.iter().flat_map(|d| d.expanded.iter().chain(&d.backtrace)).map(String::len).sum();
        assert!(kept <= LONGEST_TEXT + 400, "{kept}");
        assert_eq!(failure.details[0].expanded.len(), 50);
    }
}
