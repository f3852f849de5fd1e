//! TLS as a client: trusted certificates, and advice on failed handshakes.

#[cfg(feature = "tls")]
use std::sync::Arc;

use crate::error::{Error, Result};

/// Installs ring as the process's default crypto provider, unless the host program
/// has installed one. The `redis` crate uses the default, and panics without one.
#[cfg(all(feature = "tls", feature = "redis"))]
pub(crate) fn install_provider() {
    use rustls::crypto::{CryptoProvider, ring};
    if CryptoProvider::get_default().is_none() {
        // It fails if another thread installs one first, which is as good.
        let _ = ring::default_provider().install_default();
    }
}

/// Reads the PEM file at `path`, the value of `setting`; `None` if it is empty.
///
/// # Errors
/// `invalid_argument` for an unreadable file, or one without such a section.
pub(crate) fn read_pem(setting: &str, path: &str, label: &str) -> Result<Option<Vec<u8>>> {
    if path.is_empty() {
        return Ok(None);
    }
    let refuse = |why: String| Error::invalid_argument(format!("setting {setting}: {why}"));
    let pem = std::fs::read(path)
        .map_err(|error| refuse(format!("cannot read the file {path}: {error}")))?;
    let has_label = String::from_utf8_lossy(&pem)
        .lines()
        .any(|line| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(label));
    if !has_label {
        return Err(refuse(format!("the file {path} is not a PEM file with a {}", noun(label))));
    }
    Ok(Some(pem))
}

/// How the header line of a PEM section ends.
pub(crate) const CERTIFICATE: &str = "CERTIFICATE-----";
pub(crate) const PRIVATE_KEY: &str = "PRIVATE KEY-----";

fn noun(label: &str) -> &'static str {
    if label == CERTIFICATE { "certificate" } else { "private key" }
}

/// Builds a client configuration that trusts the certificates in `ca`, or the
/// system's if `ca` is `None`.
///
/// # Errors
/// `invalid_argument` when there is no certificate to trust.
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
            added.map_err(|error| refuse(format!("cannot parse a certificate: {error}")))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        let why =
            "this system has no root certificates; set it to a PEM file of certificates to trust";
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
            Error::caused(crate::ErrorKind::Internal, "cannot build the TLS configuration", error)
        })
}

/// What to change after a failed handshake, by the text of its error; `ca` names
/// the setting with the trusted certificates. `None` for any other error. The
/// layers in between pass on the text only.
pub(crate) fn advice(text: &str, ca: &str) -> Option<String> {
    let has = |part: &str| text.contains(part);
    let advice = if has("UnknownIssuer") || has("CaUsedAsEndEntity") {
        format!("the server's certificate is from an unknown authority; name its CA file in {ca}")
    } else if has("not valid for name") || has("NotValidForName") {
        "the server's certificate is for another name; use a host that it names in the URL"
            .to_owned()
    } else if has("invalid peer certificate: Expired") || has("certificate expired") {
        "the server's certificate has expired; renew it there".to_owned()
    } else if has("invalid peer certificate") {
        format!("the server's certificate is not accepted; check it and {ca}")
    } else if has("CertificateRequired") || has("UnknownCA") || has("BadCertificate") {
        "the server requires a client certificate that it trusts".to_owned()
    } else if has("NoApplicationProtocol") {
        "the server does not speak HTTP/2 there; check the port".to_owned()
    } else if has("InvalidContentType") {
        "the server does not speak TLS there; check the port".to_owned()
    } else {
        return None;
    };
    Some(advice)
}

/// Whether the server at this address speaks TLS. No certificate is trusted, so
/// the handshake fails, but only after the server has sent one or an alert.
#[cfg(all(feature = "tls", feature = "redis"))]
pub(crate) async fn server_speaks_tls(host: &str, port: u16) -> bool {
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
    fn a_pem_file_is_read_or_refused_with_the_name_of_its_setting() {
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
            assert!(error.message().starts_with("setting redis_ca: "), "{error}");
        }
        assert!(read_pem("redis_ca", &path, CERTIFICATE).expect("reads").is_some());
        let missing = read_pem("redis_key", "/nowhere/at.all", PRIVATE_KEY).expect_err("refused");
        assert!(missing.message().contains("/nowhere/at.all"), "{missing}");
    }
}
