//! An HTTP client over TLS or plain connections, which trusts the system's certificates.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

/// A client with a pool of kept connections; it follows no redirect.
pub type HttpsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Creates a client; `None` if TLS cannot be set up, which ring's default versions rule
/// out.
pub fn https_client() -> Option<HttpsClient> {
    let connector = over_tls(HttpConnector::new()).ok()?;
    Some(Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector))
}

/// Wraps a connector, whatever resolves its names, so that it speaks TLS where the URL is
/// `https`.
///
/// # Errors
/// What of TLS cannot be set up, which ring's default versions rule out.
pub fn over_tls<R>(
    mut connector: HttpConnector<R>,
) -> Result<HttpsConnector<HttpConnector<R>>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Requests are small: none waits for the acknowledgement of the one before.
    connector.set_nodelay(true);
    connector.enforce_http(false);
    let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    Ok(builder.enable_http1().wrap_connector(connector))
}

/// Joins an error with its causes, which hyper's text leaves out.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
