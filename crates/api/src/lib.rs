//! Wire types of Casebook's own HTTP API, `/api/casebook/v1`: what the server sends and its clients read.
//!
//! Times are RFC 3339 in UTC with milliseconds. Ids are opaque. Members may be added; clients ignore what they do not know.

mod page;
mod problem;
mod upload;

pub use page::Page;
pub use problem::ProblemDocument;
pub use upload::{Upload, UploadCounts};
