//! TLS as a client: whom the engine trusts, and what a failed handshake means.

#[cfg(feature = "tls")]
use std::sync::Arc;

use crate::error::{Error, Result};

/// Installs ring as the process's cryptography, unless the program that the
/// engine is part of has installed another. The `redis` crate takes what is
/// installed, and panics where nothing is.
#[cfg(feature = "tls")]
pub(crate) fn install_provider() {
    use rustls::crypto::{CryptoProvider, ring};
    if CryptoProvider::get_default().is_none() {
        // It fails when another thread was quicker, which is as good.
        let _ = ring::default_provider().install_default();
    }
}

/// Reads the PEM file that a setting names; `None` where it names none.
///
/// # Errors
/// `invalid_argument` for a file that cannot be read or is no such PEM file.
pub(crate) fn read_pem(setting: &str, path: &str, label: &str) -> Result<Option<Vec<u8>>> {
    if path.is_empty() {
        return Ok(None);
    }
    let refuse = |why: String| Error::invalid_argument(format!("setting {setting}: {why}"));
    let pem = std::fs::read(path)
        .map_err(|error| refuse(format!("the file {path} cannot be read: {error}")))?;
    let is_there = String::from_utf8_lossy(&pem)
        .lines()
        .any(|line| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(label));
    if !is_there {
        return Err(refuse(format!("the file {path} is no PEM file with a {}", noun(label))));
    }
    Ok(Some(pem))
}

/// The last line of a PEM header.
pub(crate) const CERTIFICATE: &str = "CERTIFICATE-----";
pub(crate) const PRIVATE_KEY: &str = "PRIVATE KEY-----";

fn noun(label: &str) -> &'static str {
    if label == CERTIFICATE { "certificate" } else { "private key" }
}

/// A client's configuration that trusts the certificates in `ca`, or those of
/// the system where there are none.
///
/// # Errors
/// `invalid_argument` when no certificate to trust is found.
#[cfg(all(feature = "tls", feature = "remote"))]
pub(crate) fn client_config(setting: &str, ca: Option<&[u8]>) -> Result<rustls::ClientConfig> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    let refuse = |why: String| Error::invalid_argument(format!("setting {setting}: {why}"));
    let mut roots = rustls::RootCertStore::empty();
    if let Some(ca) = ca {
        for certificate in CertificateDer::pem_slice_iter(ca) {
            let added = certificate.map_err(|error| error.to_string());
            let added = added.and_then(|der| roots.add(der).map_err(|error| error.to_string()));
            added.map_err(|error| refuse(format!("a certificate cannot be read: {error}")))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        let why = "this system has no root certificates; name a PEM file with those to trust";
        return Err(refuse(why.to_owned()));
    }
    Ok(with_provider()?.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(feature = "tls")]
fn with_provider() -> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            Error::caused(crate::ErrorKind::Internal, "the TLS configuration fails", error)
        })
}

/// What a failed handshake asks for, by the text of its error: which setting to
/// change, `{ca}` being the one with the certificates to trust. `None` for what
/// is no such failure. Only the text comes through the layers that carry it.
pub(crate) fn advice(text: &str, ca: &str) -> Option<String> {
    let has = |part: &str| text.contains(part);
    let advice = if has("UnknownIssuer") || has("CaUsedAsEndEntity") {
        format!("the server's certificate is of no known authority; name its CA file in {ca}")
    } else if has("not valid for name") || has("NotValidForName") {
        "the server's certificate is for another name; write a host into the URL that it names"
            .to_owned()
    } else if has("invalid peer certificate: Expired") || has("certificate expired") {
        "the server's certificate has expired".to_owned()
    } else if has("invalid peer certificate") {
        format!("the server's certificate is refused; look at it and at {ca}")
    } else if has("CertificateRequired") || has("UnknownCA") || has("BadCertificate") {
        "the server wants a client certificate that it knows".to_owned()
    } else if has("NoApplicationProtocol") {
        "the server speaks no HTTP/2 there".to_owned()
    } else if has("InvalidContentType") {
        "the server does not speak TLS there".to_owned()
    } else {
        return None;
    };
    Some(advice)
}

/// Whether a server at this address speaks TLS: it shows a certificate, which
/// nothing here trusts.
#[cfg(feature = "tls")]
pub(crate) async fn is_spoken(host: &str, port: u16) -> bool {
    use rustls::pki_types::ServerName;

    let (Ok(name), Ok(config)) = (ServerName::try_from(host.to_owned()), with_provider()) else {
        return false;
    };
    let config = config.with_root_certificates(rustls::RootCertStore::empty());
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config.with_no_client_auth()));
    let Ok(stream) = tokio::net::TcpStream::connect((host, port)).await else { return false };
    match connector.connect(name, stream).await {
        Ok(_) => true,
        Err(error) => {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
            matches!(
                cause,
                Some(rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_))
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pem_file_is_read_or_refused_by_its_setting() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path().to_str().expect("a path").to_owned();
        assert_eq!(read_pem("redis_ca", "", CERTIFICATE).expect("none"), None);
        for (content, label) in [
            ("hello", CERTIFICATE),
            ("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n", PRIVATE_KEY),
        ] {
            std::fs::write(&path, content).expect("written");
            let error = read_pem("redis_ca", &path, label).expect_err("refused");
            assert_eq!(error.code(), "invalid_argument");
            assert!(error.message().starts_with("setting redis_ca: the file"), "{error}");
        }
        assert!(read_pem("redis_ca", &path, CERTIFICATE).expect("reads").is_some());
        let missing = read_pem("redis_key", "/nowhere/at.all", PRIVATE_KEY).expect_err("refused");
        assert!(missing.message().contains("/nowhere/at.all"), "{missing}");
    }
}
