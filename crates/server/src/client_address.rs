//! The address of the client: of its connection, or, where that is a trusted proxy's, what the proxy says.

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;
use casebook_http::{ClientAddress, Forwarded};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Proxies whose `X-Forwarded-*` headers are believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// These networks.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client behind `peer`: going back from it, the first address that is no trusted proxy's. What clients write into
    /// the header themselves stands further to the left and is not believed.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let values = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = values.flat_map(|value| value.split(',')).collect();
        for hop in hops.into_iter().rev() {
            if !self.trusts(client) {
                return client;
            }
            match address(hop.trim()) {
                Some(address) => client = address.to_canonical(),
                None => return client,
            }
        }
        client
    }
}

/// An address as proxies write it, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// What the nearest proxy says of the address by which the client came.
fn forwarded(headers: &HeaderMap) -> Forwarded {
    let first = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?.split(',').next()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    Forwarded {
        scheme: first("x-forwarded-proto"),
        host: first("x-forwarded-host"),
        prefix: first("x-forwarded-prefix"),
    }
}

/// Notes the client's address for whoever answers the request.
pub(crate) async fn note(
    State(proxies): State<TrustedProxies>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        let peer = peer.ip();
        let client = proxies.client(peer, request.headers());
        if proxies.trusts(peer) {
            let forwarded = forwarded(request.headers());
            request.extensions_mut().insert(forwarded);
        }
        request.extensions_mut().insert(ClientAddress(client));
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::new(trusted.iter().map(|text| text.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxy = &["10.0.0.0/8", "::1/128"];
        assert_eq!(client(&[], "10.0.0.1", &["192.0.2.7"]), "10.0.0.1");
        assert_eq!(client(proxy, "192.0.2.1", &["192.0.2.7"]), "192.0.2.1");
        assert_eq!(client(proxy, "10.0.0.1", &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(client(proxy, "::ffff:10.0.0.1", &["192.0.2.7:4711"]), "192.0.2.7");
        assert_eq!(client(proxy, "::1", &["[2001:db8::1]:80"]), "2001:db8::1");
        assert_eq!(client(proxy, "10.0.0.1", &["127.0.0.1, 192.0.2.7", "10.0.0.2"]), "192.0.2.7");
        assert_eq!(client(proxy, "10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(client(proxy, "10.0.0.1", &[]), "10.0.0.1");
    }
}
