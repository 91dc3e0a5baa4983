//! The description of our own API (OpenAPI 3.1).

use super::{executions, failures, machines, marks, policy, shifts, tests, uploads, webhooks};
use axum::Json;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};
use utoipa::{IntoParams, Modify, OpenApi as _};

/// The suite in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "the members are read by the description alone")]
pub(crate) struct SuitePath {
    /// Slug of the organization.
    organization: String,
    /// Slug of the suite.
    suite: String,
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Casebook",
        description = "The case history of every test. Lists are newest first and come in parts; errors are problem documents (RFC 9457)."
    ),
    paths(
        tests::list, tests::find, executions::list, shifts::find, shifts::list, machines::list, marks::create,
        policy::find, policy::find_known, policy::find_of_suite, policy::set_of_suite,
        policy::clear_of_suite, policy::set_of_test, policy::clear_of_test, failures::list, uploads::list, uploads::find,
        webhooks::list, webhooks::create, webhooks::find, webhooks::change, webhooks::remove, webhooks::test,
        webhooks::deliveries, webhooks::find_delivery, webhooks::redeliver
    ),
    modifiers(&Credentials),
    security(("token" = []), ("basic" = [])),
)]
struct Description;

/// The ways to show a credential.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_with(Components::default);
        for (name, scheme) in [("token", HttpAuthScheme::Bearer), ("basic", HttpAuthScheme::Basic)] {
            components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
        }
    }
}

/// The description.
#[must_use]
pub fn document() -> OpenApi {
    Description::openapi()
}

/// `GET /api/casebook/v1/openapi.json`: open to all.
pub(crate) async fn serve() -> Json<OpenApi> {
    Json(document())
}
