//! A protocol's addresses as a table: what the router is made of, and what tests of access walk through.

use axum::Router;
use axum::http::Method;
use axum::routing::MethodRouter;

/// What a credential must allow at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it is open to all.
    Nothing,
    /// Any valid credential.
    Any,
    /// Sending results to the credential's own suite.
    Upload,
    /// Reading the suite or organization in the path, or the credential's own suite where the path names none.
    Read,
    /// Deciding about tests of the suite in the path.
    Write,
    /// Administering the suite or organization in the path.
    Admin,
}

/// An address: method, path with its named parts in braces, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// What a credential must allow.
    pub needs: Needs,
}

/// Addresses with the handlers that answer there.
pub struct Routes<S> {
    routes: Vec<(Route, MethodRouter<S>)>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { routes: Vec::new() }
    }

    /// One more. `handler` answers `method` alone.
    #[must_use]
    pub fn with(
        mut self,
        needs: Needs,
        method: Method,
        path: impl Into<String>,
        handler: MethodRouter<S>,
    ) -> Self {
        self.routes.push((Route { method, path: path.into(), needs }, handler));
        self
    }

    /// The table alone.
    pub fn table(self) -> impl Iterator<Item = Route> {
        self.routes.into_iter().map(|(route, _)| route)
    }

    /// The router that answers at these addresses, which end in a slash, and at the same without it.
    pub fn slashes_optional(self) -> Router<S> {
        self.routes.into_iter().fold(Router::new(), |router, (route, handler)| {
            let bare = route.path.strip_suffix('/').filter(|bare| !bare.is_empty());
            let router = match bare {
                Some(bare) => router.route(bare, handler.clone()),
                None => router,
            };
            router.route(&route.path, handler)
        })
    }

    /// The router that answers at these addresses.
    pub fn router(self) -> Router<S> {
        self.routes
            .into_iter()
            .fold(Router::new(), |router, (route, handler)| router.route(&route.path, handler))
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}
