//! What the server counts about itself, for Prometheus. No suite appears in any label.

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Labels of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The route's pattern, never the path itself.
    pub route: String,
    /// The answer's status.
    pub status: u16,
}

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    /// Requests by route and status.
    pub requests: Family<RequestLabels, Counter>,
    /// Time to answer.
    pub request_seconds: Histogram,
    /// Uploads that were stored.
    pub uploads: Counter,
    /// Results that were stored.
    pub results: Counter,
    /// Results that were there already.
    pub duplicates: Counter,
    /// Results that could not be used.
    pub rejected: Counter,
    /// Uploads that shared one transaction.
    pub group_size: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("casebook");
        let metrics = Self {
            requests: Family::default(),
            request_seconds: Histogram::new(exponential_buckets(0.0005, 2.0, 16)),
            uploads: Counter::default(),
            results: Counter::default(),
            duplicates: Counter::default(),
            rejected: Counter::default(),
            group_size: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            registry: Registry::default(),
        };
        registry.register("http_requests", "Requests by route and status", metrics.requests.clone());
        registry.register_with_unit(
            "http_request",
            "Time to answer a request",
            Unit::Seconds,
            metrics.request_seconds.clone(),
        );
        registry.register("uploads", "Uploads stored", metrics.uploads.clone());
        registry.register("results", "Results stored", metrics.results.clone());
        registry.register("duplicate_results", "Results that were there already", metrics.duplicates.clone());
        registry.register("rejected_results", "Results that could not be used", metrics.rejected.clone());
        registry.register(
            "group_commit_uploads",
            "Uploads sharing one transaction",
            metrics.group_size.clone(),
        );
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// The counts in Prometheus' text form.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
