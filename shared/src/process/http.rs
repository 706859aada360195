//! HTTP conventions, in one place: reading requests, refusing them, and what each process adds around its routes
//! once.

mod api;
mod docs;
mod entity_tag;
mod extract;
mod home;
mod json;
mod media;
mod middleware;
mod numbers;
mod origins;
mod request_id;
mod serve;
mod tls;
mod trace;

pub use api::{Api, operations};
pub use entity_tag::{EntityTag, EntityTags, MalformedTags};
pub use extract::{Json, Path, Query, present};
pub use middleware::{Health, middleware};
pub use numbers::make_whole;
pub use origins::Origins;
pub use request_id::{CORRELATION_ID, IDEMPOTENCY_KEY, LONGEST_NAME, REQUEST_ID, name};
pub use serve::{Limits, serve, serve_within};
pub use tls::Tls;
