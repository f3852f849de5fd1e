//! The operators' key.

use hyper::header::{AUTHORIZATION, ORIGIN};
use hyper::{HeaderMap, Version};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::listeners::Door;
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

    /// Refuses a call of another process's engine, which may do everything, to
    /// all but those who have the key or may open the socket file.
    ///
    /// The file lets in HTTP/2 alone: what a web server in front of it passes
    /// on of the world's requests is HTTP/1, and must not get here.
    pub fn check_engine(
        &self,
        door: Door,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        match door {
            Door::Unix if version == Version::HTTP_2 => Ok(()),
            Door::Unix => Err(unknown_path()),
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
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
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
        for good in ["Bearer alpha", "bearer beta", "Bearer  beta"] {
            assert!(check(&keys, "authorization", good), "{good}");
        }
        for bad in
            ["Bearer", "Bearer ", "Bearer gamma", "Bearer alpha,beta", "Basic alpha", "alpha"]
        {
            assert!(!check(&keys, "authorization", bad), "{bad}");
        }
        assert!(keys.check(&HeaderMap::new()).is_err());
    }

    #[test]
    fn engines_come_by_the_socket_file_or_with_the_key() {
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
    }

    #[test]
    fn without_a_key_all_may_but_web_pages() {
        let open = keys("");
        assert!(open.check(&HeaderMap::new()).is_ok());
        assert!(!check(&open, "origin", "https://evil.example"));
    }
}
