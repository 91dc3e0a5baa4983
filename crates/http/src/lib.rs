//! What every protocol does alike with a request: who calls, and a body within its limits. Answers and the words of
//! errors are the protocols' own.

mod body;
mod caller;
mod content;
mod failure;
mod form;
mod limits;
mod packing;
mod refusal;
mod routes;
mod small;
mod unpacking;

pub use body::{Bodies, Fields, Incoming};
pub use caller::{Caller, ClientAddress, Forwarded};
pub use content::{Content, Room};
pub use failure::{failed, status_of};
pub use form::{boundary, broken_form, media_type};
pub use limits::Limits;
pub use packing::packed;
pub use refusal::Refusal;
pub use routes::{Needs, Route, Routes};
pub use small::small_body;
