//! Authentication by API key, and what each key may do.

use hyper::header::{AUTHORIZATION, ORIGIN};
use hyper::{HeaderMap, Version};

use crate::api_keys::ApiKeys;
use crate::caller::{Caller, Scope};
use crate::listeners::Transport;
use crate::local_guard::forwarding_header;
use crate::problem::Rejection;
use crate::router::{RequiredScope, unknown_path};
use crate::settings::Anonymous;

const SCHEME: &str = "Bearer realm=\"stockade\"";

/// Identifies callers by their API keys.
#[derive(Debug)]
pub struct Auth {
    keys: ApiKeys,
    /// What keyless callers may do among the buyers' endpoints, where keys are
    /// set.
    anonymous: Option<Scope>,
    keyless: Caller,
}

impl Auth {
    /// Creates the check. Without keys, every endpoint is open.
    pub fn new(keys: ApiKeys, anonymous: Anonymous, require_hold_token: bool) -> Self {
        let keyless = Caller::keyless(require_hold_token);
        let keyless = if keys.is_empty() { keyless } else { keyless.beside_keys() };
        Self { keys, anonymous: anonymous.scope(), keyless }
    }

    /// Returns the caller without an API key.
    pub fn keyless(&self) -> Caller {
        self.keyless.clone()
    }

    /// Returns the caller of a request to an endpoint. An endpoint that needs no
    /// scope ignores a key: the header may be meant for someone else.
    ///
    /// # Errors
    /// `unauthorized` for a wrong key, and without any key set for a web page at
    /// an endpoint of operators, unless it is the control room on this machine.
    pub fn authenticate(
        &self,
        required: RequiredScope,
        headers: &HeaderMap,
        is_own_page: bool,
    ) -> Result<Caller, Rejection> {
        match required {
            RequiredScope::None => return Ok(self.keyless()),
            // Without a key the server listens on loopback only and trusts
            // every local client, except a web page in the operator's browser.
            RequiredScope::Key(_)
                if self.keys.is_empty() && headers.contains_key(ORIGIN) && !is_own_page =>
            {
                let why = "a web page may use this endpoint only with an API key";
                return Err(Rejection::Secret(SCHEME, why));
            }
            _ if self.keys.is_empty() => return Ok(self.keyless()),
            RequiredScope::Buyer(_) | RequiredScope::Key(_) => {}
        }
        match bearer(headers)? {
            None => Ok(self.keyless()),
            Some(key) => match self.keys.find(key) {
                Some(caller) => Ok(caller.clone()),
                None => Err(Rejection::Secret(SCHEME, "the API key is wrong")),
            },
        }
    }

    /// Checks that a caller may use an endpoint.
    ///
    /// # Errors
    /// `forbidden` for a key of a smaller scope, `unauthorized` without one.
    pub fn authorize(&self, caller: &Caller, required: RequiredScope) -> Result<(), Rejection> {
        let (scope, anonymous) = match required {
            RequiredScope::None => return Ok(()),
            RequiredScope::Buyer(scope) => (scope, self.anonymous),
            RequiredScope::Key(scope) => (scope, None),
        };
        match (caller.name(), caller.scope()) {
            _ if self.keys.is_empty() => Ok(()),
            (Some(name), Some(held)) if held < scope => Err(Rejection::forbidden(format!(
                "this endpoint needs an API key with the scope {}, and {name} has the scope {}",
                scope.as_str(),
                held.as_str()
            ))),
            (None, _) if anonymous < Some(scope) => Err(missing_key(scope)),
            _ => Ok(()),
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
    ) -> Result<Caller, Rejection> {
        match transport {
            Transport::Unix => match forwarding_header(headers) {
                Some(name) => Err(Rejection::forbidden(format!(
                    "a proxy forwarded this call (header {name}): the engines' socket accepts only \
                     direct connections; point the proxy at unix_http or listen"
                ))),
                None if version == Version::HTTP_2 => Ok(self.keyless()),
                None => Err(unknown_path()),
            },
            Transport::UnixHttp => Err(unknown_path()),
            Transport::Tcp if self.keys.is_empty() => Err(Rejection::Secret(
                SCHEME,
                "engine calls over TCP need an API key; set STOCKADE_API_KEY on the server",
            )),
            Transport::Tcp => {
                let required = RequiredScope::Key(Scope::Operate);
                let caller = self.authenticate(required, headers, false)?;
                self.authorize(&caller, required)?;
                Ok(caller)
            }
        }
    }
}

fn missing_key(scope: Scope) -> Rejection {
    let why = match scope {
        Scope::Read => {
            "this endpoint needs the header `Authorization: Bearer` with an API key of the scope \
             read, sell or operate"
        }
        Scope::Sell => {
            "this endpoint needs the header `Authorization: Bearer` with an API key of the scope \
             sell or operate"
        }
        Scope::Operate => {
            "this endpoint needs the header `Authorization: Bearer` with an API key of the scope \
             operate"
        }
    };
    Rejection::Secret(SCHEME, why)
}

/// Returns the token of the `Authorization: Bearer` header; None without it, or
/// with another scheme, which may be meant for a proxy.
fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, Rejection> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let value = match (given.next(), given.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.as_bytes(),
        (Some(_), Some(_)) => {
            return Err(Rejection::Secret(SCHEME, "the header Authorization is given twice"));
        }
    };
    let (scheme, token) = match value.iter().position(|byte| *byte == b' ') {
        // HTTP strips white space around header values; nothing else is trimmed,
        // because a key is compared byte by byte.
        Some(at) => (&value[..at], &value[at + 1..]),
        None => (value, &b""[..]),
    };
    Ok(scheme.eq_ignore_ascii_case(b"Bearer").then_some(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local_guard::FORWARDING_HEADERS;
    use crate::problem::Code;
    use crate::settings::Settings;

    fn auth(settings: &[(&str, &str)]) -> Auth {
        let mut all = Settings::default();
        for (name, value) in settings {
            all.set(name, value).unwrap();
        }
        Auth::new(ApiKeys::load(&all).unwrap(), all.anonymous, false)
    }

    fn keys(setting: &str) -> Auth {
        auth(&[("api_key", setting)])
    }

    /// Returns the name of the caller that may use an endpoint.
    fn admitted(
        auth: &Auth,
        required: RequiredScope,
        headers: &HeaderMap,
    ) -> Result<String, Rejection> {
        let caller = auth.authenticate(required, headers, false)?;
        auth.authorize(&caller, required)?;
        Ok(caller.name().map_or(String::new(), ToString::to_string))
    }

    fn check(auth: &Auth, name: &'static str, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        admitted(auth, RequiredScope::Key(Scope::Operate), &headers).is_ok()
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
        let operate = RequiredScope::Key(Scope::Operate);
        assert!(admitted(&keys, operate, &HeaderMap::new()).is_err());
        let mut twice = HeaderMap::new();
        for key in ["Bearer alpha", "Bearer beta"] {
            twice.append("authorization", key.parse().unwrap());
        }
        assert!(admitted(&keys, operate, &twice).is_err());
    }

    #[test]
    fn each_scope_opens_its_endpoints_and_those_before() {
        let settings = "r:read:secret-of-r-0000,s:sell:secret-of-s-0000,o:operate:secret-of-o-0000";
        let auths = ["sell", "read", "none"]
            .map(|anonymous| auth(&[("api_keys", settings), ("anonymous", anonymous)]));
        let required = |scope| [RequiredScope::Buyer(scope), RequiredScope::Key(scope)];
        let scopes = [Scope::Read, Scope::Sell, Scope::Operate];
        for (held, name) in ["r", "s", "o"].iter().enumerate() {
            let mut headers = HeaderMap::new();
            let key = format!("Bearer secret-of-{name}-0000");
            headers.insert("authorization", key.parse().unwrap());
            for (needed, scope) in scopes.iter().enumerate() {
                for required in required(*scope) {
                    for auth in &auths {
                        match admitted(auth, required, &headers) {
                            Ok(caller) => {
                                assert!(needed <= held && caller == *name, "{required:?}")
                            }
                            Err(rejection) => {
                                assert!(needed > held, "{name} {required:?}");
                                assert_eq!(rejection.code(), Code::Forbidden);
                            }
                        }
                    }
                }
            }
        }
        for (auth, keyless) in auths.iter().zip([2, 1, 0]) {
            let served = |scope, required: fn(Scope) -> RequiredScope| match admitted(
                auth,
                required(scope),
                &HeaderMap::new(),
            ) {
                Ok(caller) => caller.is_empty(),
                Err(rejection) => {
                    assert_eq!(rejection.code(), Code::Unauthorized);
                    false
                }
            };
            let count = |required| scopes.iter().filter(|scope| served(**scope, required)).count();
            assert_eq!((count(RequiredScope::Buyer), count(RequiredScope::Key)), (keyless, 0));
        }
    }

    #[test]
    fn a_wrong_key_is_refused_and_another_scheme_is_no_key() {
        let keys = keys("alpha");
        let buyer = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", value.parse().unwrap());
            admitted(&keys, RequiredScope::Buyer(Scope::Sell), &headers)
        };
        assert_eq!(buyer("Bearer alpha").unwrap(), "operator-1");
        assert_eq!(buyer("Basic c2hvcDpzaG9w").unwrap(), "");
        for wrong in ["Bearer beta", "Bearer", "bearer ", "Bearer alpha "] {
            assert_eq!(buyer(wrong).unwrap_err().code(), Code::Unauthorized, "{wrong}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer beta".parse().unwrap());
        assert_eq!(admitted(&keys, RequiredScope::None, &headers).unwrap(), "");
    }

    #[test]
    fn engine_calls_need_the_socket_or_the_key() {
        let mut headers = HeaderMap::new();
        let may = |keys: &Auth, transport, version, headers: &HeaderMap| {
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
        // Engines do everything: a smaller scope is not enough.
        let seller = auth(&[("api_keys", "s:sell:secret-of-s-0000")]);
        headers.insert("authorization", "Bearer secret-of-s-0000".parse().unwrap());
        let refused = seller.check_engine(Transport::Tcp, Version::HTTP_2, &headers).unwrap_err();
        assert_eq!(refused.code(), Code::Forbidden);
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
        let operate = RequiredScope::Key(Scope::Operate);
        assert!(admitted(&open, operate, &HeaderMap::new()).is_ok());
        assert!(!check(&open, "origin", "https://evil.example"));
    }
}
