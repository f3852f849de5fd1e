//! Cross-origin resource sharing (CORS): which web pages of other origins may
//! call the API from a browser.

use hyper::Method;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderMap, HeaderValue, ORIGIN, VARY,
};
use hyper::http::request::Parts;

use crate::router::Path;
use crate::settings::Value;

/// The headers that the server reads of a request.
const REQUEST_HEADERS: &str =
    "authorization, content-type, hold-token, idempotency-key, if-match, x-request-id";

/// The headers that a page may read of a response, besides those it always may.
const RESPONSE_HEADERS: &str = "idempotent-replayed, retry-after, x-request-id";

/// How long a browser may keep the answer to a preflight: two hours, the most
/// that browsers accept.
const MAX_AGE_SECONDS: &str = "7200";

/// The origins whose pages may call the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origins {
    /// None besides the server's own.
    #[default]
    None,
    /// All.
    Any,
    /// These, compared byte by byte.
    Named(Vec<String>),
}

impl Value for Origins {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "" => return Ok(Self::None),
            "*" => return Ok(Self::Any),
            _ => {}
        }
        let origins: Vec<_> = text.split(',').map(|one| one.trim().to_owned()).collect();
        if !origins.iter().all(|one| is_origin(one)) {
            return Err("expected origins as browsers send them, such as https://shop.example or \
                        http://localhost:3000, separated by commas, or * alone"
                .to_owned());
        }
        Ok(Self::Named(origins))
    }
}

/// Whether a text is an origin: scheme and host, in lower case, and nothing
/// behind the port.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let is_of_host = |byte: u8| {
        byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !b"/?#@*".contains(&byte)
    };
    !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || b"0123456789+-.".contains(&byte))
        && !host.is_empty()
        && host.bytes().all(is_of_host)
}

impl Origins {
    /// Whether an origin is listed by its name. `*` lists none: it must not open
    /// a server that trusts its machine to every web page.
    pub fn names(&self, origin: &[u8]) -> bool {
        matches!(self, Self::Named(known) if known.iter().any(|one| one.as_bytes() == origin))
    }

    /// Whether a request asks, on behalf of a web page of a listed origin, what
    /// it may send.
    pub fn is_preflight(&self, path: &Path, head: &Parts) -> bool {
        head.method == Method::OPTIONS
            && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
            && self.allowed(path, &head.headers).is_some()
    }

    /// Adds what lets the page's script read the response, if its origin is
    /// listed; to a preflight also what it may send.
    pub fn apply(&self, path: &Path, head: &Parts, response: &mut HeaderMap) {
        if *self == Self::None || !path.is_for_web_pages() {
            return;
        }
        if *self != Self::Any {
            // No cache may give one origin's answer to another.
            response.append(VARY, HeaderValue::from_static("origin"));
        }
        let Some(origin) = self.allowed(path, &head.headers) else { return };
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let mut insert = |name, value| response.insert(name, HeaderValue::from_static(value));
        if self.is_preflight(path, head) {
            insert(ACCESS_CONTROL_ALLOW_METHODS, path.allow());
            insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
            insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
        } else {
            insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
        }
    }

    /// Returns the value of `Access-Control-Allow-Origin`; None for a page that
    /// is not listed, and without a page.
    fn allowed(&self, path: &Path, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN).filter(|_| path.is_for_web_pages())?;
        match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            _ => self.names(origin.as_bytes()).then(|| origin.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_named_exactly() {
        let origins = Origins::read("https://shop.example, http://localhost:3000").unwrap();
        for (origin, expected) in [
            ("https://shop.example", true),
            ("http://localhost:3000", true),
            ("http://shop.example", false),
            ("https://shop.example:443", false),
            ("https://evil.shop.example", false),
            ("https://shop.example.evil", false),
            ("https://SHOP.example", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(origins.names(origin.as_bytes()), expected, "{origin}");
        }
        assert!(!Origins::read("*").unwrap().names(b"https://shop.example"));
        assert!(Origins::read("capacitor://localhost").is_ok());
        for bad in [
            "shop.example",
            "https://shop.example/",
            "https://Shop.example",
            "https://*.shop.example",
            "https://shop.example,*",
            "https://shop.example,",
            "https://user@shop.example",
            "https://",
            "://shop",
            "null",
        ] {
            assert!(Origins::read(bad).is_err(), "{bad}");
        }
    }
}
