//! Parses the URL of a running engine.

use std::path::PathBuf;

use hyper::header::HeaderValue;
use hyper::http::uri::Authority;
use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

/// The transport and address of a running engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RemoteEndpoint {
    /// A socket file.
    Unix(PathBuf),
    /// Host and port.
    Tcp(String),
    /// The same by TLS, and the name that the certificate must have.
    Tls { address: String, name: String },
}

#[derive(Debug, Clone)]
pub(super) struct Address {
    pub endpoint: RemoteEndpoint,
    /// The host of requests.
    pub authority: Authority,
    /// The `Authorization` header, if the URL carries a key.
    pub key: Option<HeaderValue>,
}

impl Address {
    /// Reads `unix:///SOCKET` or `http[s]://[:KEY@]HOST[:PORT]`.
    ///
    /// # Errors
    /// `invalid_argument`, which never repeats the URL: it may carry a key.
    pub fn read(url: &str) -> Result<Self> {
        if let Some(path) = url.strip_prefix("unix://") {
            if !path.starts_with('/') || path.ends_with('/') {
                return Err(wrong("a socket is named by its whole path: unix:///SOCKET"));
            }
            let authority = Authority::from_static("localhost");
            return Ok(Self { endpoint: RemoteEndpoint::Unix(path.into()), authority, key: None });
        }
        let (rest, usual_port, has_tls) =
            match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
                (Some(rest), _) => (rest, 80, false),
                (None, Some(rest)) => (rest, 443, true),
                (None, None) => {
                    let forms = "unix:///SOCKET, http://:KEY@HOST:PORT or https://:KEY@HOST:PORT";
                    return Err(wrong(&format!("it is {forms}")));
                }
            };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (secret, host) = rest.rsplit_once('@').map_or((None, rest), |(s, h)| (Some(s), h));
        let authority: Authority =
            host.parse().map_err(|_| wrong("HOST:PORT follows http://, and no path after it"))?;
        // A malformed port is an error and not a missing one.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => Some(usual_port),
            _ => authority.port_u16(),
        };
        let Some(port) = port.filter(|_| !authority.host().is_empty()) else {
            return Err(wrong("HOST:PORT must follow http://"));
        };
        let address = format!("{}:{port}", authority.host());
        let endpoint = if has_tls {
            let name = authority.host().trim_matches(['[', ']']).to_owned();
            RemoteEndpoint::Tls { address, name }
        } else {
            RemoteEndpoint::Tcp(address)
        };
        Ok(Self { endpoint, authority, key: secret.map(bearer).transpose()? })
    }
}

/// The header of `:KEY`, percent-encoded where it must be.
fn bearer(secret: &str) -> Result<HeaderValue> {
    let Some(key) = secret.strip_prefix(':') else {
        return Err(wrong("an API key stands after a colon: http://:KEY@HOST:PORT"));
    };
    let key = percent_decode_str(key).decode_utf8_lossy();
    let header = HeaderValue::from_str(&format!("Bearer {key}"));
    let mut header = header.map_err(|_| wrong("the API key cannot be sent"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn wrong(why: &str) -> Error {
    Error::invalid_argument(format!("the URL of a running engine: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_hosts_are_read() {
        let unix = Address::read("unix:///run/a shop/s%41.sock").expect("reads");
        assert_eq!(unix.endpoint, RemoteEndpoint::Unix("/run/a shop/s%41.sock".into()));
        for (url, host) in [
            ("http://shop", "shop:80"),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
            ("http://[::1]:81", "[::1]:81"),
        ] {
            let tcp = Address::read(url).expect("reads");
            assert_eq!((tcp.endpoint, tcp.key), (RemoteEndpoint::Tcp(host.to_owned()), None));
        }
        let keyed = Address::read("http://:a%20k:e@y@shop:81").expect("reads");
        assert_eq!(keyed.key.expect("a key"), "Bearer a k:e@y");
        assert_eq!(keyed.endpoint, RemoteEndpoint::Tcp("shop:81".to_owned()));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_host_by_tls_has_a_name_and_the_usual_port() {
        for (url, address, name) in [
            ("https://shop", "shop:443", "shop"),
            ("https://:key@10.0.0.7:8443/", "10.0.0.7:8443", "10.0.0.7"),
            ("https://[::1]", "[::1]:443", "::1"),
        ] {
            let endpoint = Address::read(url).expect("reads").endpoint;
            let (address, name) = (address.to_owned(), name.to_owned());
            assert_eq!(endpoint, RemoteEndpoint::Tls { address, name });
        }
    }

    #[test]
    fn what_is_no_such_url_is_refused_without_its_key() {
        for url in [
            "unix:",
            "unix://",
            "unix://run.sock",
            "unix:///run/",
            "http:",
            "http://",
            "http://:hush@",
            "http://:hush@host/path",
            "http://hush@host",
            "http://:hush%0a@host",
            "http://host:port",
            "https://:hush@host/path",
            "https://hush@host",
            "https://:hush@",
            "ftp://:hush@host",
        ] {
            let error = Address::read(url).expect_err(url);
            assert_eq!(error.code(), "invalid_argument", "{url}");
            assert!(!error.message().contains("hush"), "{url}");
        }
    }
}
