//! The operators' key.

use hyper::header::{AUTHORIZATION, ORIGIN};
use hyper::{HeaderMap, Version};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::listeners::Door;
use crate::local_guard::forwarding_header;
use crate::problem::Refusal;
use crate::router::unknown_path;
use crate::settings::Secrets;

const SCHEME: &str = "Bearer realm=\"stockade\"";

/// Lets operators in.
#[derive(Debug)]
pub struct ApiKeys {
    /// Digests, so that all have one length and a comparison tells nothing.
    digests: Vec<[u8; 32]>,
}

impl ApiKeys {
    /// The keys that open the operators' endpoints; with none they are open.
    pub fn new(keys: &Secrets) -> Self {
        let digest = |key: &str| Sha256::digest(key.as_bytes()).into();
        Self { digests: keys.iter().map(digest).collect() }
    }

    /// Refuses a request that may not do what operators do.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.digests.is_empty() {
            // The server listens on loopback: everyone on this machine is an
            // operator, except a web page that the operator happens to look at.
            return match headers.get(ORIGIN) {
                None => Ok(()),
                Some(_) => Err(Refusal::Secret(
                    SCHEME,
                    "a web page may use this endpoint only with an API key",
                )),
            };
        }
        let given = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        match given {
            Some(key) if self.knows(key) => Ok(()),
            Some(_) => Err(Refusal::Secret(SCHEME, "the API key is wrong")),
            None => Err(Refusal::Secret(
                SCHEME,
                "this endpoint needs the header `Authorization: Bearer` with the API key",
            )),
        }
    }

    /// Refuses a call of another process's engine, which can do everything, to
    /// all but processes that open the engines' socket file and clients that
    /// show the API key.
    ///
    /// The engines' socket file serves nothing that a proxy is put before it
    /// for. Should one stand there all the same, its requests are HTTP/1, or
    /// say whose they are.
    pub fn check_engine(
        &self,
        door: Door,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        match door {
            Door::Unix => match forwarding_header(headers) {
                Some(name) => Err(Refusal::forbidden(format!(
                    "a proxy forwarded this call (header {name}): the engines' socket file is for \
                     processes that open it themselves; a proxy is served by unix_http or listen"
                ))),
                None if version == Version::HTTP_2 => Ok(()),
                None => Err(unknown_path()),
            },
            Door::UnixHttp => Err(unknown_path()),
            Door::Tcp if self.digests.is_empty() => Err(Refusal::Secret(
                SCHEME,
                "engines are let in by an address only with an API key, and none is set",
            )),
            Door::Tcp => self.check(headers),
        }
    }

    /// Takes the same time whether and wherever the key differs.
    fn knows(&self, key: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let none = Choice::from(0);
        let any = self.digests.iter().fold(none, |any, one| any | one.ct_eq(&digest));
        any.into()
    }
}

/// The token of an `Authorization` header with the scheme `Bearer`.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    // HTTP takes white space off a header's value, and nothing else does: a key
    // is compared byte by byte.
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
    fn only_the_right_key_opens() {
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
    fn engines_come_by_their_socket_file_or_with_the_key() {
        let mut headers = HeaderMap::new();
        let may = |keys: &ApiKeys, door, version, headers: &HeaderMap| {
            keys.check_engine(door, version, headers).is_ok()
        };
        for setting in ["", "alpha"] {
            let keys = keys(setting);
            assert!(may(&keys, Door::Unix, Version::HTTP_2, &headers));
            assert!(!may(&keys, Door::Unix, Version::HTTP_11, &headers));
            assert!(!may(&keys, Door::Tcp, Version::HTTP_2, &headers));
        }
        headers.insert("authorization", "Bearer alpha".parse().unwrap());
        assert!(may(&keys("alpha"), Door::Tcp, Version::HTTP_2, &headers));
        assert!(!may(&keys(""), Door::Tcp, Version::HTTP_2, &headers));
        for version in [Version::HTTP_11, Version::HTTP_2] {
            assert!(!may(&keys("alpha"), Door::UnixHttp, version, &headers));
        }
    }

    #[test]
    fn a_forwarded_call_is_refused_on_the_engines_socket_file() {
        for name in FORWARDING_HEADERS.iter().copied().chain(["x-forwarded-anything"]) {
            let mut headers = HeaderMap::new();
            headers.insert(name, "10.0.0.1".parse().unwrap());
            let keys = keys("alpha");
            let refused = keys.check_engine(Door::Unix, Version::HTTP_2, &headers).unwrap_err();
            assert_eq!(refused.code(), Code::Forbidden, "{name}");
            // By an address the key is the proof: TLS may end at a proxy.
            headers.insert("authorization", "Bearer alpha".parse().unwrap());
            assert!(keys.check_engine(Door::Tcp, Version::HTTP_2, &headers).is_ok());
        }
    }

    #[test]
    fn without_a_key_all_may_but_web_pages() {
        let open = keys("");
        assert!(open.check(&HeaderMap::new()).is_ok());
        assert!(!check(&open, "origin", "https://evil.example"));
    }
}
