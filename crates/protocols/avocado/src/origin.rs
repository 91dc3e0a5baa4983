//! The address by which a client came, which all addresses in answers begin with (`avocado.md` 1.2).

use axum::http::header::HOST;
use axum::http::request::Parts;
use casebook_http::Forwarded;

/// Scheme, host, port and prefix, without a final slash. What trusted proxies say wins; where the host is that of
/// `public_url`, its scheme and path count too.
pub(crate) fn base(parts: &Parts, public_url: &str) -> String {
    let forwarded = parts.extensions.get::<Forwarded>().cloned().unwrap_or_default();
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| is_host(host));
    let Some(host) = forwarded.host.as_deref().filter(|host| is_host(host)).or(host) else {
        return public_url.to_owned();
    };
    let (public_scheme, rest) = public_url.split_once("://").unwrap_or(("http", public_url));
    let (public_host, public_path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_public = host.eq_ignore_ascii_case(public_host);
    let scheme = forwarded.scheme.as_deref().filter(|scheme| matches!(*scheme, "http" | "https"));
    let scheme = scheme.unwrap_or(if is_public { public_scheme } else { "http" });
    let prefix = forwarded.prefix.as_deref().filter(|prefix| is_prefix(prefix));
    let prefix = prefix.unwrap_or(if is_public { public_path } else { "" });
    format!("{scheme}://{host}{}", prefix.trim_end_matches('/'))
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
}

fn is_prefix(text: &str) -> bool {
    text.starts_with('/')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/.-_~%".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn of(host: Option<&str>, forwarded: Option<Forwarded>, public_url: &str) -> String {
        let mut request = Request::builder().uri("/jobs/");
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.extend(
            forwarded
                .map(|forwarded| {
                    let mut extensions = axum::http::Extensions::new();
                    extensions.insert(forwarded);
                    extensions
                })
                .unwrap_or_default(),
        );
        base(&parts, public_url)
    }

    #[test]
    fn the_host_of_the_request_counts() {
        let public = "https://ci.example.com/casebook";
        assert_eq!(of(Some("localhost:9405"), None, public), "http://localhost:9405");
        assert_eq!(of(Some("[::1]:9405"), None, public), "http://[::1]:9405");
        assert_eq!(of(Some("ci.example.com"), None, public), public);
        assert_eq!(of(None, None, public), public);
        assert_eq!(of(Some("a<b"), None, public), public);
    }

    #[test]
    fn trusted_proxies_are_believed() {
        let forwarded = |scheme: &str, host: &str, prefix: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Some(Forwarded { scheme: some(scheme), host: some(host), prefix: some(prefix) })
        };
        let public = "http://127.0.0.1:9405";
        let told = forwarded("https", "ci.example.com", "/avocado/");
        assert_eq!(of(Some("inner:1"), told, public), "https://ci.example.com/avocado");
        assert_eq!(of(Some("inner:1"), forwarded("https", "", ""), public), "https://inner:1");
        assert_eq!(of(Some("inner:1"), forwarded("ftp", "a b", "x"), public), "http://inner:1");
    }
}
