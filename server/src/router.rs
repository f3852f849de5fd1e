//! Routing: from path and method to an endpoint.

use hyper::Method;
use matchit::Params;

use crate::problem::{Code, Rejection};

/// The endpoints. Each has one function in [`crate::handlers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    Product,
    Products,
    CreateHold,
    CreateHolds,
    CreateHoldBatch,
    Hold,
    ReleaseHold,
    ExtendHold,
    CreateOrder,
    Order,
    Webhook,
    CreateProduct,
    AdjustStock,
    Sweep,
    Audit,
    Events,
    Health,
    Ready,
    Metrics,
    Document,
    Engine,
}

impl Endpoint {
    /// Whether the endpoint needs the operators' API key.
    pub fn is_for_operators(self) -> bool {
        use Endpoint::{AdjustStock, Audit, CreateProduct, Events, Sweep};
        matches!(self, CreateProduct | AdjustStock | Sweep | Audit | Events)
    }

    /// Whether the endpoint is exempt from the concurrency limit: probes and
    /// metrics must respond on an overloaded server.
    pub fn is_probe(self) -> bool {
        matches!(self, Self::Health | Self::Ready | Self::Metrics)
    }
}

/// A path pattern with its methods.
#[derive(Debug)]
pub struct Path {
    /// The pattern with named segments, as metrics and logs show it.
    pub pattern: &'static str,
    methods: &'static [(Method, Endpoint)],
    allow: &'static str,
}

static PATHS: &[Path] = &[
    path("/api/products", "GET, HEAD", &[(Method::GET, Endpoint::Products)]),
    path("/api/products/{id}", "GET, HEAD", &[(Method::GET, Endpoint::Product)]),
    path("/api/holds", "POST", &[(Method::POST, Endpoint::CreateHolds)]),
    path("/api/holds/batch", "POST", &[(Method::POST, Endpoint::CreateHoldBatch)]),
    path(
        "/api/holds/{id}",
        "GET, HEAD, DELETE",
        &[(Method::GET, Endpoint::Hold), (Method::DELETE, Endpoint::ReleaseHold)],
    ),
    path("/api/holds/{product_id}/{quantity}", "POST", &[(Method::POST, Endpoint::CreateHold)]),
    path("/api/holds/{id}/extend", "POST", &[(Method::POST, Endpoint::ExtendHold)]),
    path("/api/orders/{id}", "GET, HEAD", &[(Method::GET, Endpoint::Order)]),
    path("/api/orders/{hold_id}/{product_id}", "POST", &[(Method::POST, Endpoint::CreateOrder)]),
    path("/api/payments/webhook", "POST", &[(Method::POST, Endpoint::Webhook)]),
    path("/api/admin/products", "POST", &[(Method::POST, Endpoint::CreateProduct)]),
    path("/api/admin/products/{id}/adjust", "POST", &[(Method::POST, Endpoint::AdjustStock)]),
    path("/api/admin/sweep", "POST", &[(Method::POST, Endpoint::Sweep)]),
    path("/api/admin/audit", "GET, HEAD", &[(Method::GET, Endpoint::Audit)]),
    path("/api/admin/events", "GET, HEAD", &[(Method::GET, Endpoint::Events)]),
    path("/healthz", "GET, HEAD", &[(Method::GET, Endpoint::Health)]),
    path("/readyz", "GET, HEAD", &[(Method::GET, Endpoint::Ready)]),
    path("/metrics", "GET, HEAD", &[(Method::GET, Endpoint::Metrics)]),
    path("/openapi.json", "GET, HEAD", &[(Method::GET, Endpoint::Document)]),
    path("/engine/v1", "POST", &[(Method::POST, Endpoint::Engine)]),
];

const fn path(
    pattern: &'static str,
    allow: &'static str,
    methods: &'static [(Method, Endpoint)],
) -> Path {
    Path { pattern, methods, allow }
}

impl Path {
    /// Returns the endpoint of a method. HEAD is served as GET; hyper omits the
    /// body.
    pub fn endpoint(&self, method: &Method) -> Result<Endpoint, Rejection> {
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        let found = self.methods.iter().find(|(known, _)| known == wanted);
        found.map(|(_, endpoint)| *endpoint).ok_or(Rejection::Method(self.allow))
    }
}

/// Matches paths against the patterns.
#[derive(Debug)]
pub struct Router(matchit::Router<&'static Path>);

impl Router {
    /// Creates the router with all paths.
    pub fn new() -> Result<Self, matchit::InsertError> {
        let mut router = matchit::Router::new();
        for path in PATHS {
            router.insert(path.pattern, path)?;
        }
        Ok(Self(router))
    }

    /// Returns the entry of a path and its variable segments.
    pub fn find<'a>(&'a self, path: &'a str) -> Option<(&'static Path, Params<'a, 'a>)> {
        let found = self.0.at(path).ok()?;
        Some((found.value, found.params))
    }
}

/// The rejection of an unknown path.
pub fn unknown_path() -> Rejection {
    Rejection::Server(Code::NotFound, "there is no such path".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::DOCUMENT;

    fn endpoint(method: Method, path: &str) -> Option<Endpoint> {
        let router = Router::new().unwrap();
        let (path, _) = router.find(path)?;
        path.endpoint(&method).ok()
    }

    #[test]
    fn each_path_of_the_contract_has_its_endpoint() {
        for (method, path, expected) in [
            (Method::GET, "/api/products/1", Endpoint::Product),
            (Method::HEAD, "/api/products/1", Endpoint::Product),
            (Method::POST, "/api/holds/1/2", Endpoint::CreateHold),
            (Method::POST, "/api/holds/2/extend", Endpoint::ExtendHold),
            (Method::DELETE, "/api/holds/2", Endpoint::ReleaseHold),
            (Method::GET, "/api/holds/2", Endpoint::Hold),
            (Method::POST, "/api/orders/13/1", Endpoint::CreateOrder),
            (Method::GET, "/api/orders/19", Endpoint::Order),
            (Method::POST, "/api/admin/products/1/adjust", Endpoint::AdjustStock),
        ] {
            assert_eq!(endpoint(method, path), Some(expected), "{path}");
        }
        for path in ["/", "/api", "/api/products/", "/api/holds//2", "/api/orders/1/2/3"] {
            assert!(Router::new().unwrap().find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn allow_lists_the_methods_of_each_path() {
        for path in PATHS {
            let mut expected = Vec::new();
            for (method, _) in path.methods {
                expected.push(method.as_str());
                if method == Method::GET {
                    expected.push("HEAD");
                }
            }
            assert_eq!(path.allow, expected.join(", "), "{}", path.pattern);
        }
    }

    #[test]
    fn the_document_has_every_path_with_its_methods_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        let documented = document["paths"].as_object().unwrap();
        assert_eq!(documented.len(), PATHS.len());
        for path in PATHS {
            let item = documented.get(path.pattern).unwrap_or_else(|| panic!("{}", path.pattern));
            let methods = |name: &&String| *name != "parameters";
            let mut found: Vec<_> = item.as_object().unwrap().keys().filter(methods).collect();
            let mut expected: Vec<_> =
                path.methods.iter().map(|(method, _)| method.as_str().to_lowercase()).collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected.iter().collect::<Vec<_>>(), "{}", path.pattern);
        }
    }

    #[test]
    fn the_document_asks_for_the_key_where_operators_are_asked_for_it() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        for path in PATHS {
            for (method, endpoint) in path.methods {
                let operation = &document["paths"][path.pattern][method.as_str().to_lowercase()];
                let security = operation["security"].to_string();
                let wants_key = endpoint.is_for_operators() || *endpoint == Endpoint::Engine;
                assert_eq!(security.contains("ApiKey"), wants_key, "{} {}", method, path.pattern);
                let shows_token = operation["parameters"].to_string().contains("HoldToken");
                assert_eq!(
                    operation["responses"]["401"].is_object(),
                    security != "null" || shows_token,
                    "{} {}",
                    method,
                    path.pattern
                );
            }
        }
    }

    #[test]
    fn operator_endpoints_are_exactly_those_under_admin() {
        for path in PATHS {
            for (_, endpoint) in path.methods {
                let under_admin = path.pattern.starts_with("/api/admin/");
                assert_eq!(endpoint.is_for_operators(), under_admin, "{}", path.pattern);
            }
        }
    }
}
