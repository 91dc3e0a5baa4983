//! Which addresses may be sent to: those of the web, outside of the operator's own network unless that is allowed.
//!
//! Checked when a webhook is made, and again after each resolution of its name, on the very address that is connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Longest address, in bytes.
const LONGEST: usize = 2_000;

/// An address cannot be a webhook's. Says why, without repeating what may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no address of the web.
    #[error("a webhook's address is http://HOST or https://HOST with a path, at most {LONGEST} bytes")]
    NoAddress,
    /// It holds user or password.
    #[error(
        "a webhook's address holds no user and no password: the receiver knows deliveries by their signature"
    )]
    Credentials,
    /// Its host has no address.
    #[error("the host {0} cannot be found")]
    Unresolved(String),
    /// It is in the operator's own network.
    #[error(
        "{host} is {address}, {what}: webhooks lead there only with --allow-private-webhooks, for the server and for commands"
    )]
    Inside {
        /// The host as it was given.
        host: String,
        /// What it stands for.
        address: IpAddr,
        /// What kind of address that is.
        what: &'static str,
    },
}

/// Checks the text of an address, and unless `allow_private` what its host stands for now.
///
/// # Errors
/// It is no address of the web, holds credentials, or leads inside.
pub(crate) fn check(text: &str, allow_private: bool) -> Result<(), Refused> {
    let uri: Uri = text.parse().map_err(|_| Refused::NoAddress)?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().filter(|_| is_web && text.len() <= LONGEST).ok_or(Refused::NoAddress)?;
    if authority.as_str().contains('@') {
        return Err(Refused::Credentials);
    }
    let behind_host = authority.as_str().get(authority.host().len()..).unwrap_or_default();
    let no_port = !behind_host.is_empty() && authority.port_u16().is_none_or(|port| port == 0);
    if authority.host().is_empty() || no_port || text.contains('#') {
        return Err(Refused::NoAddress);
    }
    if allow_private {
        return Ok(());
    }
    let host = authority.host();
    let port = authority.port_u16().unwrap_or(443);
    let found = format!("{host}:{port}").to_socket_addrs();
    let addresses: Vec<IpAddr> = found.into_iter().flatten().map(|address| address.ip()).collect();
    if addresses.is_empty() {
        return Err(Refused::Unresolved(host.to_owned()));
    }
    outside(host, &addresses)
}

/// Refuses a host of which any address is inside.
fn outside(host: &str, addresses: &[IpAddr]) -> Result<(), Refused> {
    let mut inside = addresses.iter().filter_map(|address| Some((*address, kind_of_inside(*address)?)));
    match inside.next() {
        Some((address, what)) => Err(Refused::Inside { host: host.to_owned(), address, what }),
        None => Ok(()),
    }
}

/// What kind of address it is, if it is none of the public internet.
fn kind_of_inside(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => inside_v4(address),
        IpAddr::V6(address) => inside_v6(address),
    }
}

fn inside_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (0, ..) => Some("an unspecified address"),
        (127, ..) => Some("a loopback address"),
        (10, ..) | (192, 168, _) => Some("a private address"),
        (172, 16..=31, _) => Some("a private address"),
        (169, 254, _) => Some("a link-local address"),
        (100, 64..=127, _) => Some("an address of a provider's own network"),
        (192, 0, 0) | (192, 0, 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => {
            Some("a reserved address")
        }
        (224..=239, ..) => Some("a multicast address"),
        (240.., ..) => Some("a reserved address"),
        _ => None,
    }
}

fn inside_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let low = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        // An IPv4 address written as IPv6, compatible, mapped or translated, is what that is.
        [0, 0, 0, 0, 0 | 0xffff, 0, a, b] | [0, 0, 0, 0, 0, 0xffff, a, b] => {
            inside_v4(low(a, b)).or(Some("a reserved address"))
        }
        [0x64, 0xff9b, 0, 0, 0, 0, a, b] => inside_v4(low(a, b)),
        [0x64, 0xff9b, 1, ..] => Some("an address of a provider's own network"),
        [0x2002, a, b, ..] => inside_v4(low(a, b)),
        // Teredo, benchmarks, ORCHID, documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] | [0x100, 0, 0, 0, ..] => {
            Some("a reserved address")
        }
        [0xfc00..=0xfdff, ..] => Some("a unique local address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xfec0..=0xfeff, ..] => Some("a private address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        // All that is public so far.
        [0x2000..=0x3fff, ..] => None,
        _ => Some("a reserved address"),
    }
}

/// Resolves names, and refuses what leads inside. What it returns is what is connected to.
#[derive(Debug)]
pub(crate) struct GuardedResolver {
    resolver: DefaultResolver,
    allow_private: bool,
}

impl GuardedResolver {
    pub(crate) fn new(allow_private: bool) -> Self {
        Self { resolver: DefaultResolver::default(), allow_private }
    }
}

impl Resolver for GuardedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.resolver.resolve(uri, config, timeout)?;
        if !self.allow_private {
            let addresses: Vec<IpAddr> = found.iter().map(std::net::SocketAddr::ip).collect();
            outside(uri.host().unwrap_or_default(), &addresses).map_err(|why| Error::Other(Box::new(why)))?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_web_only() {
        for good in ["http://192.0.1.1", "https://1.1.1.1:8443/hook?team=a", "https://[2606:4700::1111]/"] {
            assert_eq!(check(good, false), Ok(()), "{good}");
        }
        let long = format!("https://1.1.1.1/{}", "x".repeat(LONGEST));
        for wrong in [
            "",
            "example.com",
            "/path",
            "ftp://1.1.1.1/",
            "file:///etc/passwd",
            "http://",
            "http://1.1.1.1/#a",
            "https://1.1.1.1:0/",
            "https://1.1.1.1:99999/",
            "https://1.1.1.1:/",
            &long,
        ] {
            assert_eq!(check(wrong, true), Err(Refused::NoAddress), "{wrong}");
        }
        for wrong in ["http://user:pass@1.1.1.1/", "https://token@example.com", "http://1.1.1.1@127.0.0.1/"] {
            assert_eq!(check(wrong, true), Err(Refused::Credentials), "{wrong}");
            assert!(!Refused::Credentials.to_string().contains("pass@"));
        }
    }

    #[test]
    fn nothing_inside() {
        for inside in [
            "127.0.0.1",
            "127.255.0.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fc00::1]",
            "[fd12:3456::1]",
            "[ff02::1]",
            "[fec0::1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:1.1.1.1]",
            "[::7f00:1]",
            "[::ffff:0:a00:1]",
            "[64:ff9b::a00:1]",
            "[64:ff9b:1::1]",
            "[2002:7f00:1::]",
            "[2001:db8::1]",
            "[2001::1]",
            "[100::1]",
        ] {
            let url = format!("http://{inside}:8080/hook");
            assert!(matches!(check(&url, false), Err(Refused::Inside { .. })), "{url}");
            assert_eq!(check(&url, true), Ok(()), "{url}");
        }
        for outside in
            ["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "[2606:4700::1]", "[64:ff9b::101:101]"]
        {
            assert_eq!(check(&format!("http://{outside}/"), false), Ok(()), "{outside}");
        }
    }

    #[test]
    fn names_and_odd_spellings_that_lead_inside() {
        for inside in ["localhost", "2130706433", "0x7f.1", "127.1"] {
            let refused = check(&format!("http://{inside}/"), false).unwrap_err();
            assert!(
                matches!(refused, Refused::Inside { .. } | Refused::Unresolved(_)),
                "{inside}: {refused}"
            );
        }
        let told = check("https://localhost/hook", false).unwrap_err().to_string();
        assert!(told.contains("loopback") && told.contains("--allow-private-webhooks"), "{told}");
    }
}
