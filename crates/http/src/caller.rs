//! Who sends a request.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use casebook_app::App;
use casebook_app::access::{Access, Credential, Denied};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

/// The address of the client, as the server found it: of the connection, or as a trusted proxy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// What trusted proxies say of the address by which a client came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// `X-Forwarded-Proto`.
    pub scheme: Option<String>,
    /// `X-Forwarded-Host`.
    pub host: Option<String>,
    /// `X-Forwarded-Prefix`.
    pub prefix: Option<String>,
}

/// Who sends a request: its headers, and the address it comes from.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The request's headers.
    pub headers: HeaderMap,
    /// Where it comes from, if the server knows.
    pub address: Option<IpAddr>,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = parts.extensions.get::<ClientAddress>().map(|address| address.0);
        Ok(Self { headers: parts.headers.clone(), address })
    }
}

impl Caller {
    /// The access that the request's credential gives.
    ///
    /// # Errors
    /// The credential is missing where one is needed, cannot be read, or is not valid.
    pub async fn authenticate(&self, app: &Arc<App>) -> Result<Access, Denied> {
        app.authenticate(self.credential()?, self.address).await
    }

    /// The request's credential, not verified.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn credential(&self) -> Result<Option<Credential>, Denied> {
        let bytes = |name: &str| self.headers.get(name).map(HeaderValue::as_bytes);
        Credential::from_headers(bytes(AUTHORIZATION.as_str()), bytes("x-aviator-api-key"))
    }
}
