//! Admission: whether a request may reach its endpoint, by its address, its
//! API key, and the rates of both.

use std::sync::Arc;

use hyper::Response;
use hyper::http::request::Parts;

use crate::api_keys::ApiKeys;
use crate::auth::Auth;
use crate::caller::Caller;
use crate::client_address::{ClientAddress, TrustedProxies};
use crate::cors::Origins;
use crate::listeners::{Peer, Transport};
use crate::local_guard::{LocalGuard, is_own_page};
use crate::problem::{Code, Rejection};
use crate::rate_limit::RateLimit;
use crate::router::{Endpoint, Path, unknown_path};
use crate::settings::Settings;

/// Decides about requests before their bodies are read.
pub struct Admission {
    auth: Auth,
    local_guard: LocalGuard,
    cors: Origins,
    trusted_proxies: TrustedProxies,
    per_address: Option<RateLimit<ClientAddress>>,
    per_key: Option<RateLimit<Arc<str>>>,
}

/// A request that may reach its endpoint.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Who calls it.
    pub caller: Caller,
    /// The address that its requests count for; None for an engine's.
    pub client: Option<ClientAddress>,
}

impl Admission {
    /// Creates the checks of the settings.
    pub fn new(settings: &Settings, keys: ApiKeys, require_hold_token: bool) -> Self {
        Self {
            auth: Auth::new(keys, settings.anonymous, require_hold_token),
            local_guard: LocalGuard::new(settings),
            cors: settings.cors_origins.clone(),
            trusted_proxies: settings.trusted_proxies.clone(),
            per_address: RateLimit::new(
                "too many requests from this address (setting rate_limit_address)",
                settings.rate_limit_address,
            ),
            per_key: RateLimit::new(
                "too many requests with this API key (setting rate_limit_key)",
                settings.rate_limit_key,
            ),
        }
    }

    /// Returns the endpoint of a request, and its caller, if that may use it.
    ///
    /// # Errors
    /// `not_found` and `method_not_allowed` for no endpoint, `rate_limited`,
    /// `unauthorized` without a valid key where one is needed, `forbidden` with
    /// one of too small a scope or for a foreign request to an open server.
    pub fn admit(
        &self,
        path: Option<&Path>,
        head: &Parts,
        peer: Peer,
    ) -> Result<Admitted, Rejection> {
        let endpoint = self.endpoint(path, head);
        let client = self.trusted_proxies.client(peer, &head.headers);
        match endpoint {
            // Probes see an overloaded server, too.
            Ok(endpoint) if endpoint.is_probe() => {
                return Ok(Admitted { endpoint, caller: self.auth.keyless(), client: None });
            }
            // The requests of a whole process's callers come by one address. Only
            // wrong keys count, so that nobody tries many.
            Ok(Endpoint::Engine) => {
                let checked = self.auth.check_engine(peer.transport, head.version, &head.headers);
                return match checked {
                    Ok(caller) => Ok(Admitted { endpoint: Endpoint::Engine, caller, client: None }),
                    Err(rejection) => self.count_address(client.as_ref()).and(Err(rejection)),
                };
            }
            _ => self.count_address(client.as_ref())?,
        }
        let endpoint = endpoint?;
        if peer.transport == Transport::Unix {
            let why = "this socket serves engine calls only; the HTTP API is served on the \
                       addresses of the settings listen and unix_http";
            return Err(Rejection::Server(Code::NotFound, why.into()));
        }
        let origins = match path {
            Some(path) if path.is_for_web_pages() => &self.cors,
            _ => &Origins::None,
        };
        self.local_guard.check(head, origins)?;
        let required = endpoint.scope();
        let caller = self.auth.authenticate(required, &head.headers, is_own_page(head))?;
        self.count_key(&caller)?;
        self.auth.authorize(&caller, required)?;
        Ok(Admitted { endpoint, caller, client })
    }

    /// Counts one more request of a caller that was admitted.
    ///
    /// # Errors
    /// `rate_limited`
    pub fn count(&self, admitted: &Admitted) -> Result<(), Rejection> {
        self.count_address(admitted.client.as_ref())?;
        self.count_key(&admitted.caller)
    }

    /// Adds the headers that let web pages of listed origins read the response.
    pub fn share<B>(&self, path: Option<&Path>, head: &Parts, response: &mut Response<B>) {
        if let Some(path) = path {
            self.cors.apply(path, head, response.headers_mut());
        }
    }

    fn endpoint(&self, path: Option<&Path>, head: &Parts) -> Result<Endpoint, Rejection> {
        let path = path.ok_or_else(unknown_path)?;
        if self.cors.is_preflight(path, head) {
            return Ok(Endpoint::Preflight);
        }
        path.endpoint(&head.method)
    }

    fn count_address(&self, client: Option<&ClientAddress>) -> Result<(), Rejection> {
        match (&self.per_address, client) {
            (Some(limit), Some(client)) => limit.check(client),
            _ => Ok(()),
        }
    }

    fn count_key(&self, caller: &Caller) -> Result<(), Rejection> {
        match (&self.per_key, caller.name()) {
            (Some(limit), Some(name)) => limit.check(name),
            _ => Ok(()),
        }
    }
}
