//! The only place that reads the clock.

use casebook_model::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Where the time comes from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system.
    #[default]
    System,
    /// The system, so many microseconds ahead: to see what time does without waiting for it.
    Ahead(i64),
    /// A time that stands still until a test moves it.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `time`.
    #[must_use]
    pub fn fixed(time: Timestamp) -> Self {
        Self::Fixed(Arc::new(AtomicI64::new(time.as_microseconds())))
    }

    /// Moves a fixed clock; the system's clock goes its own way.
    pub fn advance(&self, microseconds: i64) {
        if let Self::Fixed(time) = self {
            time.fetch_add(microseconds, Ordering::SeqCst);
        }
    }

    /// The time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else uses")]
    pub fn now(&self) -> Timestamp {
        let system = || jiff::Timestamp::now().as_microsecond();
        Timestamp(match self {
            Self::System => system(),
            Self::Ahead(microseconds) => system().saturating_add(*microseconds),
            Self::Fixed(time) => time.load(Ordering::SeqCst),
        })
    }
}
