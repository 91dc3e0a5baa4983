//! Wire types of Casebook's own HTTP API, `/api/casebook/v1`: what the server sends and its clients read.
//!
//! Times are RFC 3339 in UTC with milliseconds. Ids are opaque. Members may be added; clients ignore what they do not know.

mod execution;
mod failure;
mod machine;
mod page;
mod policy;
mod problem;
mod shift;
mod test;
mod upload;
mod webhook;

pub use execution::{Execution, Resources};
pub use failure::{Failure, Judgement};
pub use machine::Machine;
pub use page::Page;
pub use policy::{Mark, NewTests, Policy, PolicyLimits, PolicySuite, SetPolicy, TestPolicy, UploadForm};
pub use problem::ProblemDocument;
pub use shift::{ResourceBaseline, ResourceValue, Shift, ShiftRun, TestBaselines};
pub use test::{Episode, Evidence, HealthChange, RerunPolicy, Test, TestDetail};
pub use upload::{Upload, UploadCounts};
pub use webhook::{
    CreatedWebhook, Delivery, DeliveryAttempt, DeliveryDetail, NewWebhook, Webhook, WebhookChange,
};
