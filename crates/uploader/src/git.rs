//! Questions to git, which may be missing, slow, or not know.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Git within a second in all.
pub struct Git {
    until: Instant,
}

impl Git {
    /// Time for all questions together.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// Starts the clock.
    #[must_use]
    pub fn new() -> Self {
        Self { until: Instant::now() + Self::PATIENCE }
    }

    /// What git prints; nothing if it is missing, fails or takes too long.
    #[must_use]
    pub fn ask(&self, arguments: &[&str]) -> Option<String> {
        let mut git = Command::new("git");
        let git = git.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = git.spawn().ok()?;
        let mut output = child.stdout.take()?;
        let (told, listening) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let read = std::io::Read::read_to_string(&mut output, &mut text);
            // Nobody listens any more when it took too long.
            let _ = told.send(read.is_ok().then_some(text));
        });
        let left = self.until.saturating_duration_since(Instant::now());
        let text = listening.recv_timeout(left).ok().flatten();
        if text.is_none() {
            // It may have ended by itself.
            let _ = child.kill();
        }
        let succeeded = child.wait().is_ok_and(|status| status.success());
        text.filter(|_| succeeded)
    }
}

impl Default for Git {
    fn default() -> Self {
        Self::new()
    }
}
