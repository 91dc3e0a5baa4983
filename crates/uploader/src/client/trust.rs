//! Whom to believe that they are the server: what the system trusts, and a file of certificates beside it.

use super::Unusable;
use std::path::Path;
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// The certificates at the roots. Without any on the system, those that browsers trust.
pub(super) fn roots(ca_file: Option<&Path>) -> Result<RootCerts, Unusable> {
    // Honours SSL_CERT_FILE and SSL_CERT_DIR. Single certificates that cannot be read are no reason to stop.
    let system = rustls_native_certs::load_native_certs().certs;
    let mut certificates: Vec<Certificate<'static>> =
        system.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    let Some(file) = ca_file else {
        let none = certificates.is_empty();
        return Ok(if none { RootCerts::WebPki } else { RootCerts::new_with_certs(&certificates) });
    };
    let wrong = |why: String| Unusable::Certificates(file.display().to_string(), why);
    let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let before = certificates.len();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| wrong(error.to_string()))? {
            certificates.push(certificate);
        }
    }
    if certificates.len() == before {
        return Err(wrong("it holds no certificate in PEM form".to_owned()));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}
