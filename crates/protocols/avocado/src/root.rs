//! The root, and the version (`avocado.md` 2.1 and 2.2).

use crate::visit::Visit;
use axum::Json;
use serde::Serialize;
use serde_json::{Value, json};

/// The addresses of everything, in this order.
#[derive(Serialize)]
pub(crate) struct Listing {
    jobstatuses: String,
    teststatuses: String,
    softwarecomponentkinds: String,
    softwarecomponentarches: String,
    softwarecomponents: String,
    linuxdistros: String,
    testenvironments: String,
    jobs: String,
}

/// `GET /`
pub(crate) async fn root(visit: Visit) -> Json<Listing> {
    let at = |name: &str| format!("{}/{name}/", visit.base);
    Json(Listing {
        jobstatuses: at("jobstatuses"),
        teststatuses: at("teststatuses"),
        softwarecomponentkinds: at("softwarecomponentkinds"),
        softwarecomponentarches: at("softwarecomponentarches"),
        softwarecomponents: at("softwarecomponents"),
        linuxdistros: at("linuxdistros"),
        testenvironments: at("testenvironments"),
        jobs: at("jobs"),
    })
}

/// `GET /version/`
pub(crate) async fn version() -> Json<Value> {
    Json(json!({ "version": "0.25.0" }))
}

/// `GET /version`: the shipped client asks here before anything else and goes on only if the answer is not above 0.2.0.
pub(crate) async fn version_for_old_client() -> Json<Value> {
    Json(json!({ "version": "0.2.0" }))
}
