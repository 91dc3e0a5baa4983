//! The proxies that the environment names, by the usual variables.

use super::Unusable;
use crate::address::ServerAddress;
use std::collections::BTreeMap;
use std::net::IpAddr;
use ureq::Proxy;

/// Variables for each scheme, first match first. Some systems write them in capitals, some do not.
const HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const HTTP: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];

/// The proxies and the hosts that need none.
#[derive(Clone, Default)]
pub struct Proxies {
    named: BTreeMap<&'static str, String>,
    without: Vec<String>,
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Their addresses may hold passwords.
        f.debug_set().entries(self.named.keys()).finish()
    }
}

impl Proxies {
    /// The proxies that the variables name.
    #[must_use]
    pub fn from_variables(variables: &BTreeMap<String, String>) -> Self {
        let set = |name: &str| variables.get(name).filter(|value| !value.trim().is_empty());
        let names = HTTPS.into_iter().chain(HTTP);
        let named = names.filter_map(|name| Some((name, set(name)?.trim().to_owned()))).collect();
        let without = set("no_proxy").or_else(|| set("NO_PROXY")).map_or("", String::as_str);
        let without = without.split([',', ' ']).map(|host| host.trim().to_ascii_lowercase());
        Self { named, without: without.filter(|host| !host.is_empty()).collect() }
    }

    /// The proxy for a server, if it needs one.
    pub(super) fn for_server(&self, server: &ServerAddress) -> Result<Option<Proxy>, Unusable> {
        let host = server.host().trim_matches(['[', ']']);
        if self.without.iter().any(|entry| covers(entry, host)) {
            return Ok(None);
        }
        let names = if server.is_https() { HTTPS } else { HTTP };
        let Some((name, address)) = names.iter().find_map(|name| self.named.get_key_value(name)) else {
            return Ok(None);
        };
        Proxy::new(address).map(Some).map_err(|_| Unusable::Proxy(name))
    }
}

/// Whether an entry of `NO_PROXY` speaks of a host: `*`, the name, a domain that it is in, or a network of its address.
fn covers(entry: &str, host: &str) -> bool {
    if entry == "*" {
        return true;
    }
    let entry =
        entry.split_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(entry, |(name, _)| name);
    if let (Some((network, length)), Ok(address)) = (entry.split_once('/'), host.parse::<IpAddr>()) {
        return match (network.parse(), length.parse::<u32>()) {
            (Ok(network), Ok(length)) => is_in_network(address, network, length),
            _ => false,
        };
    }
    let domain = entry.trim_start_matches("*.").trim_start_matches('.');
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')) && !domain.is_empty()
}

fn is_in_network(address: IpAddr, network: IpAddr, length: u32) -> bool {
    let beginning = |bits: u128, width: u32| bits.checked_shr(width.saturating_sub(length)).unwrap_or(0);
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let (address, network) = (u32::from(address), u32::from(network));
            beginning(address.into(), 32) == beginning(network.into(), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            beginning(address.into(), 128) == beginning(network.into(), 128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(variables: &[(&str, &str)], server: &str) -> Option<String> {
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let server = ServerAddress::parse(server).unwrap_or_else(|error| panic!("{error}"));
        let proxy = Proxies::from_variables(&variables).for_server(&server);
        proxy.unwrap_or_else(|error| panic!("{error}")).map(|proxy| proxy.host().to_owned())
    }

    #[test]
    fn the_scheme_chooses_the_proxy() {
        let both = [
            ("HTTPS_PROXY", "http://secure:1"),
            ("HTTP_PROXY", "http://plain:1"),
            ("ALL_PROXY", "http://all:1"),
        ];
        assert_eq!(proxy(&both, "https://casebook.example").unwrap(), "secure");
        assert_eq!(proxy(&both, "http://casebook.example").unwrap(), "plain");
        assert_eq!(proxy(&both[2..], "https://casebook.example").unwrap(), "all");
        assert_eq!(proxy(&[("HTTPS_PROXY", " ")], "https://casebook.example"), None);
        let small = [("https_proxy", "small:3128"), ("HTTPS_PROXY", "http://large:1")];
        assert_eq!(proxy(&small, "https://casebook.example").unwrap(), "small");
    }

    #[test]
    fn some_hosts_need_none() {
        let without = |entries: &str, server: &str| {
            proxy(&[("ALL_PROXY", "http://all:1"), ("NO_PROXY", entries)], server).is_none()
        };
        for entries in ["*", "casebook.example", "a,.example", "example", "*.example", "casebook.example:443"]
        {
            assert!(without(entries, "https://casebook.example"), "{entries}");
        }
        for entries in ["", "sebook.example", "other.example", "10.0.0.0/8"] {
            assert!(!without(entries, "https://casebook.example"), "{entries}");
        }
        assert!(without("10.0.0.0/8", "http://10.200.0.1") && !without("10.0.0.0/8", "http://11.0.0.1"));
        assert!(without("fd00::/8", "http://[fd12::1]"));
    }
}
