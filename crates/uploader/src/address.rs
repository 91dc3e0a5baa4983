//! Addresses of servers: what may be sent where.

use std::net::{IpAddr, Ipv6Addr, ToSocketAddrs as _};
use ureq::http::Uri;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    is_https: bool,
    host: String,
    port: Option<u16>,
    path: String,
}

/// The text is no address of a server. Says why, without repeating the text, which may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// It is no address of the web.
    #[error(
        "the server's address must be https://HOST or http://HOST, with a port and a path if there are any"
    )]
    NoAddress,
    /// It holds user or password.
    #[error("the server's address must not hold credentials: put the token into CASEBOOK_TOKEN")]
    Credentials,
}

impl ServerAddress {
    /// Reads an address; one that ends with the path of uploads is taken for its server's.
    ///
    /// # Errors
    /// It is no address of the web, or holds credentials.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let uri: Uri = text.trim().parse().map_err(|_| InvalidAddress::NoAddress)?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(InvalidAddress::NoAddress),
        };
        let authority = uri.authority().ok_or(InvalidAddress::NoAddress)?;
        if authority.as_str().contains('@') {
            return Err(InvalidAddress::Credentials);
        }
        if authority.host().is_empty() || uri.query().is_some() || text.contains('#') {
            return Err(InvalidAddress::NoAddress);
        }
        let path = uri.path().trim_end_matches('/');
        let path = path.strip_suffix("/v1/uploads").or_else(|| path.strip_suffix("/v1")).unwrap_or(path);
        let (host, port) = (authority.host().to_ascii_lowercase(), authority.port_u16());
        Ok(Self { is_https, host, port, path: path.to_owned() })
    }

    /// Where results are sent.
    #[must_use]
    pub fn uploads(&self) -> String {
        format!("{self}/v1/uploads")
    }

    /// Whether what is sent is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// The host, as it stands in the address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether every address of the host is this machine's or a private network's.
    ///
    /// # Errors
    /// The host's name cannot be resolved.
    pub fn is_private(&self) -> std::io::Result<bool> {
        let name = self.host.trim_matches(['[', ']']);
        if let Ok(address) = name.parse() {
            return Ok(is_private(address));
        }
        if name == "localhost" || name.ends_with(".localhost") {
            return Ok(true);
        }
        let mut addresses = (name, self.port.unwrap_or(80)).to_socket_addrs()?;
        Ok(addresses.all(|address| is_private(address.ip())))
    }

    /// Where a redirection of an upload leads, if it may be followed: to the same host, and not from https to http.
    #[must_use]
    pub fn redirected(&self, location: &str) -> Option<String> {
        if location.starts_with('/') && !location.starts_with("//") {
            let origin = Self { path: String::new(), ..self.clone() };
            return Some(format!("{origin}{location}"));
        }
        let uri: Uri = location.parse().ok()?;
        let authority = uri.authority()?;
        let is_https = uri.scheme_str() == Some("https");
        let is_plain = uri.scheme_str() == Some("http");
        let port = |port: Option<u16>, is_https: bool| port.unwrap_or(if is_https { 443 } else { 80 });
        // The same place, or the encrypted one of the same host.
        let is_same = port(authority.port_u16(), is_https) == port(self.port, self.is_https)
            && is_https == self.is_https;
        let is_upgrade = is_https && !self.is_https;
        let is_host = authority.host().eq_ignore_ascii_case(&self.host) && !authority.as_str().contains('@');
        (is_host && (is_https || is_plain) && (is_same || is_upgrade)).then(|| location.to_owned())
    }
}

impl std::fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { is_https, host, port, path } = self;
        write!(f, "{}://{host}", if *is_https { "https" } else { "http" })?;
        if let Some(port) = port {
            write!(f, ":{port}")?;
        }
        f.write_str(path)
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(inner) => is_private(IpAddr::V4(inner)),
            None => {
                address == Ipv6Addr::LOCALHOST || address.is_unique_local() || address.is_unicast_link_local()
            }
        },
    }
}

/// An address without user and password.
#[must_use]
pub fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ServerAddress {
        ServerAddress::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn addresses_are_read() {
        assert_eq!(parse("https://casebook.example").uploads(), "https://casebook.example/v1/uploads");
        assert_eq!(parse("http://[::1]:9405/").uploads(), "http://[::1]:9405/v1/uploads");
        assert_eq!(
            parse("https://CI.example/casebook/v1/uploads").uploads(),
            "https://ci.example/casebook/v1/uploads"
        );
        for wrong in
            ["", "casebook.example", "ftp://casebook.example", "https://", "https://a?b", "https://a#b"]
        {
            assert_eq!(ServerAddress::parse(wrong), Err(InvalidAddress::NoAddress), "{wrong}");
        }
        let secret = ServerAddress::parse("https://x:s3cret@casebook.example").unwrap_err();
        assert!(!secret.to_string().contains("s3cret"));
    }

    #[test]
    fn private_places_are_known() {
        let is_private = |text: &str| parse(text).is_private().unwrap();
        for private in [
            "http://127.0.0.1:1",
            "http://localhost",
            "http://10.1.2.3",
            "http://192.168.0.9",
            "http://[::1]",
        ] {
            assert!(is_private(private), "{private}");
        }
        for private in
            ["http://172.20.0.1", "http://169.254.1.1", "http://[fd00::1]", "http://[::ffff:10.0.0.1]"]
        {
            assert!(is_private(private), "{private}");
        }
        for public in
            ["http://8.8.8.8", "http://172.32.0.1", "http://[2001:db8::1]", "http://[::ffff:8.8.8.8]"]
        {
            assert!(!is_private(public), "{public}");
        }
    }

    #[test]
    fn redirections_stay_with_the_host() {
        let server = parse("http://casebook.example:8080/a");
        let follow = |to: &str| server.redirected(to);
        assert_eq!(follow("/b/v1/uploads").unwrap(), "http://casebook.example:8080/b/v1/uploads");
        assert!(follow("http://casebook.example:8080/x").is_some());
        assert!(follow("https://Casebook.example/x").is_some());
        for other in [
            "https://other.example/x",
            "//other.example/x",
            "http://casebook.example/x",
            "ftp://casebook.example:8080/",
        ] {
            assert_eq!(follow(other), None, "{other}");
        }
        assert_eq!(follow("http://u:p@casebook.example:8080/x"), None);
        let safe = parse("https://casebook.example");
        assert_eq!(safe.redirected("http://casebook.example/x"), None);
        assert!(safe.redirected("https://casebook.example:443/x").is_some());
    }

    #[test]
    fn credentials_are_taken_out() {
        assert_eq!(without_credentials("https://u:p@host/a@b?c"), "https://host/a@b?c");
        assert_eq!(without_credentials("https://u:p@ss@host"), "https://host");
        assert_eq!(without_credentials("no address"), "no address");
    }
}
