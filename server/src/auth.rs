//! Authentication of operators and of remote engines by API key.

use hyper::header::{AUTHORIZATION, ORIGIN};
use hyper::{HeaderMap, Version};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::listeners::Transport;
use crate::local_guard::forwarding_header;
use crate::problem::Rejection;
use crate::router::unknown_path;
use crate::settings::Secrets;

const SCHEME: &str = "Bearer realm=\"stockade\"";

/// Checks API keys.
#[derive(Debug)]
pub struct ApiKeys {
    /// SHA-256 digests: all have one length, so a comparison leaks no length.
    digests: Vec<[u8; 32]>,
}

impl ApiKeys {
    /// Creates the check. Without keys, operator endpoints are open.
    pub fn new(keys: &Secrets) -> Self {
        let digest = |key: &str| Sha256::digest(key.as_bytes()).into();
        Self { digests: keys.iter().map(digest).collect() }
    }

    /// Rejects a request that may not use operator endpoints.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        if self.digests.is_empty() {
            // Without a key the server listens on loopback only and trusts
            // every local client, except a web page in the operator's browser.
            return match headers.get(ORIGIN) {
                None => Ok(()),
                Some(_) => Err(Rejection::Secret(
                    SCHEME,
                    "a web page may use this endpoint only with an API key",
                )),
            };
        }
        let given = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        match given {
            Some(key) if self.is_known_key(key) => Ok(()),
            Some(_) => Err(Rejection::Secret(SCHEME, "the API key is wrong")),
            None => Err(Rejection::Secret(
                SCHEME,
                "this endpoint needs the header `Authorization: Bearer` with the API key",
            )),
        }
    }

    /// Rejects an engine call, which can do everything, unless the client
    /// opened the engines' socket or sends the API key.
    ///
    /// The engines' socket is not meant for reverse proxies. A proxy in front
    /// of it is detected by HTTP/1 or by its forwarding headers.
    pub fn check_engine(
        &self,
        transport: Transport,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<(), Rejection> {
        match transport {
            Transport::Unix => match forwarding_header(headers) {
                Some(name) => Err(Rejection::forbidden(format!(
                    "a proxy forwarded this call (header {name}): the engines' socket accepts only \
                     direct connections; point the proxy at unix_http or listen"
                ))),
                None if version == Version::HTTP_2 => Ok(()),
                None => Err(unknown_path()),
            },
            Transport::UnixHttp => Err(unknown_path()),
            Transport::Tcp if self.digests.is_empty() => Err(Rejection::Secret(
                SCHEME,
                "engine calls over TCP need an API key; set STOCKADE_API_KEY on the server",
            )),
            Transport::Tcp => self.check(headers),
        }
    }

    /// Compares in constant time: the duration does not depend on the key.
    fn is_known_key(&self, key: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let none = Choice::from(0);
        let any = self.digests.iter().fold(none, |any, one| any | one.ct_eq(&digest));
        any.into()
    }
}

/// Extracts the token of an `Authorization: Bearer` header.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    // HTTP strips white space around header values; nothing else is trimmed,
    // because a key is compared byte by byte.
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local_guard::FORWARDING_HEADERS;
    use crate::problem::Code;
    use crate::settings::Settings;

    fn keys(setting: &str) -> ApiKeys {
        let mut settings = Settings::default();
        settings.set("api_key", setting).unwrap();
        ApiKeys::new(&settings.api_key)
    }

    fn check(keys: &ApiKeys, name: &'static str, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        keys.check(&headers).is_ok()
    }

    #[test]
    fn only_a_valid_key_is_accepted() {
        let keys = keys("alpha,beta");
        for good in ["Bearer alpha", "bearer beta"] {
            assert!(check(&keys, "authorization", good), "{good}");
        }
        for bad in [
            "Bearer",
            "Bearer ",
            "Bearer gamma",
            "Bearer alpha,beta",
            "Basic alpha",
            "alpha",
            "Bearer alpha ",
            "Bearer  alpha",
            "Bearer alpha\t",
            "Bearer\talpha",
        ] {
            assert!(!check(&keys, "authorization", bad), "{bad}");
        }
        assert!(keys.check(&HeaderMap::new()).is_err());
    }

    #[test]
    fn engine_calls_need_the_socket_or_the_key() {
        let mut headers = HeaderMap::new();
        let may = |keys: &ApiKeys, transport, version, headers: &HeaderMap| {
            keys.check_engine(transport, version, headers).is_ok()
        };
        for setting in ["", "alpha"] {
            let keys = keys(setting);
            assert!(may(&keys, Transport::Unix, Version::HTTP_2, &headers));
            assert!(!may(&keys, Transport::Unix, Version::HTTP_11, &headers));
            assert!(!may(&keys, Transport::Tcp, Version::HTTP_2, &headers));
        }
        headers.insert("authorization", "Bearer alpha".parse().unwrap());
        assert!(may(&keys("alpha"), Transport::Tcp, Version::HTTP_2, &headers));
        assert!(!may(&keys(""), Transport::Tcp, Version::HTTP_2, &headers));
        for version in [Version::HTTP_11, Version::HTTP_2] {
            assert!(!may(&keys("alpha"), Transport::UnixHttp, version, &headers));
        }
    }

    #[test]
    fn engines_socket_rejects_forwarded_calls() {
        for name in FORWARDING_HEADERS.iter().copied().chain(["x-forwarded-anything"]) {
            let mut headers = HeaderMap::new();
            headers.insert(name, "10.0.0.1".parse().unwrap());
            let keys = keys("alpha");
            let rejected =
                keys.check_engine(Transport::Unix, Version::HTTP_2, &headers).unwrap_err();
            assert_eq!(rejected.code(), Code::Forbidden, "{name}");
            // Over TCP the key authenticates: a TLS proxy is allowed.
            headers.insert("authorization", "Bearer alpha".parse().unwrap());
            assert!(keys.check_engine(Transport::Tcp, Version::HTTP_2, &headers).is_ok());
        }
    }

    #[test]
    fn without_a_key_only_web_pages_are_rejected() {
        let open = keys("");
        assert!(open.check(&HeaderMap::new()).is_ok());
        assert!(!check(&open, "origin", "https://evil.example"));
    }
}
