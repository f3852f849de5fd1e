//! Routing: from path and method to an endpoint.

use hyper::Method;
use matchit::Params;

use crate::caller::Scope;
use crate::problem::{Code, Rejection};

/// What a caller needs to use an endpoint where API keys are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredScope {
    /// Nothing; a key is ignored.
    None,
    /// This scope, which the setting `anonymous` may give to keyless callers.
    Buyer(Scope),
    /// An API key with this scope.
    Key(Scope),
}

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
    ChangeQuantity,
    Cart,
    ReleaseCart,
    ExtendCart,
    CreateOrder,
    CreateOrderOfHolds,
    Order,
    ExtendOrder,
    CancelOrder,
    RefundOrder,
    RestockOrder,
    SetPaymentReference,
    Webhook,
    ProviderWebhook,
    CreateProduct,
    PutProduct,
    ChangeProduct,
    ArchiveProduct,
    AdjustStock,
    Holds,
    Orders,
    WaitingPayments,
    RemoveWaitingPayment,
    EraseCustomer,
    Sweep,
    Audit,
    Events,
    Health,
    Ready,
    Metrics,
    Document,
    /// The control room's page and its files, which have no data of the shop.
    ControlRoomFile,
    /// What the control room shows, as server-sent events.
    ControlRoomStream,
    Engine,
    /// What a web page of another origin may send to any path; no path lists it.
    Preflight,
}

impl Endpoint {
    /// Returns what the endpoint needs: the one table of who may do what.
    pub fn scope(self) -> RequiredScope {
        use RequiredScope::{Buyer, Key, None};
        match self {
            // Webhooks are signed.
            Self::Webhook | Self::ProviderWebhook | Self::Document | Self::Preflight => None,
            Self::ControlRoomFile => None,
            Self::Health | Self::Ready | Self::Metrics => None,
            Self::Product | Self::Products | Self::Hold | Self::Cart | Self::Order => {
                Buyer(Scope::Read)
            }
            Self::CreateHold | Self::CreateHolds | Self::CreateHoldBatch => Buyer(Scope::Sell),
            Self::ReleaseHold | Self::ExtendHold | Self::CreateOrder => Buyer(Scope::Sell),
            Self::ChangeQuantity | Self::ReleaseCart | Self::ExtendCart => Buyer(Scope::Sell),
            Self::CreateOrderOfHolds => Buyer(Scope::Sell),
            Self::ExtendOrder | Self::CancelOrder | Self::SetPaymentReference => Key(Scope::Sell),
            Self::RefundOrder | Self::RestockOrder => Key(Scope::Operate),
            Self::Audit | Self::Events => Key(Scope::Read),
            Self::Holds | Self::Orders | Self::WaitingPayments => Key(Scope::Read),
            Self::CreateProduct | Self::PutProduct | Self::ChangeProduct => Key(Scope::Operate),
            Self::ArchiveProduct | Self::AdjustStock | Self::Sweep => Key(Scope::Operate),
            Self::RemoveWaitingPayment | Self::EraseCustomer => Key(Scope::Operate),
            Self::ControlRoomStream => Key(Scope::Operate),
            // An engine does everything; the engines' socket needs no key.
            Self::Engine => Key(Scope::Operate),
        }
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
    path("/api/holds/{id}/quantity", "POST", &[(Method::POST, Endpoint::ChangeQuantity)]),
    path(
        "/api/carts/{id}",
        "GET, HEAD, DELETE",
        &[(Method::GET, Endpoint::Cart), (Method::DELETE, Endpoint::ReleaseCart)],
    ),
    path("/api/carts/{id}/extend", "POST", &[(Method::POST, Endpoint::ExtendCart)]),
    path("/api/orders", "POST", &[(Method::POST, Endpoint::CreateOrderOfHolds)]),
    path("/api/orders/{id}", "GET, HEAD", &[(Method::GET, Endpoint::Order)]),
    path("/api/orders/{hold_id}/{product_id}", "POST", &[(Method::POST, Endpoint::CreateOrder)]),
    path("/api/orders/{id}/extend", "POST", &[(Method::POST, Endpoint::ExtendOrder)]),
    path("/api/orders/{id}/cancel", "POST", &[(Method::POST, Endpoint::CancelOrder)]),
    path("/api/orders/{id}/refund", "POST", &[(Method::POST, Endpoint::RefundOrder)]),
    path("/api/orders/{id}/restock", "POST", &[(Method::POST, Endpoint::RestockOrder)]),
    path(
        "/api/orders/{id}/payment-reference",
        "POST",
        &[(Method::POST, Endpoint::SetPaymentReference)],
    ),
    path("/api/payments/webhook", "POST", &[(Method::POST, Endpoint::Webhook)]),
    path("/api/payments/webhook/{provider}", "POST", &[(Method::POST, Endpoint::ProviderWebhook)]),
    path("/api/admin/products", "POST", &[(Method::POST, Endpoint::CreateProduct)]),
    path(
        "/api/admin/products/{id}",
        "PUT, PATCH, DELETE",
        &[
            (Method::PUT, Endpoint::PutProduct),
            (Method::PATCH, Endpoint::ChangeProduct),
            (Method::DELETE, Endpoint::ArchiveProduct),
        ],
    ),
    path("/api/admin/products/{id}/adjust", "POST", &[(Method::POST, Endpoint::AdjustStock)]),
    path("/api/admin/holds", "GET, HEAD", &[(Method::GET, Endpoint::Holds)]),
    path("/api/admin/orders", "GET, HEAD", &[(Method::GET, Endpoint::Orders)]),
    path("/api/admin/payments/waiting", "GET, HEAD", &[(Method::GET, Endpoint::WaitingPayments)]),
    path(
        "/api/admin/payments/waiting/{key}",
        "DELETE",
        &[(Method::DELETE, Endpoint::RemoveWaitingPayment)],
    ),
    path("/api/admin/customers/erase", "POST", &[(Method::POST, Endpoint::EraseCustomer)]),
    path("/api/admin/sweep", "POST", &[(Method::POST, Endpoint::Sweep)]),
    path("/api/admin/audit", "GET, HEAD", &[(Method::GET, Endpoint::Audit)]),
    path("/api/admin/events", "GET, HEAD", &[(Method::GET, Endpoint::Events)]),
    path("/healthz", "GET, HEAD", &[(Method::GET, Endpoint::Health)]),
    path("/readyz", "GET, HEAD", &[(Method::GET, Endpoint::Ready)]),
    path("/metrics", "GET, HEAD", &[(Method::GET, Endpoint::Metrics)]),
    path("/openapi.json", "GET, HEAD", &[(Method::GET, Endpoint::Document)]),
    path("/engine/v1", "POST", &[(Method::POST, Endpoint::Engine)]),
];

/// The paths of the control room: for people, and no part of the documented interface.
static PAGES: &[Path] = &[
    path("/admin", "GET, HEAD", &[(Method::GET, Endpoint::ControlRoomFile)]),
    path("/admin/", "GET, HEAD", &[(Method::GET, Endpoint::ControlRoomFile)]),
    path("/admin/{file}", "GET, HEAD", &[(Method::GET, Endpoint::ControlRoomFile)]),
    path("/admin/stream", "GET, HEAD", &[(Method::GET, Endpoint::ControlRoomStream)]),
];

const fn path(
    pattern: &'static str,
    allow: &'static str,
    methods: &'static [(Method, Endpoint)],
) -> Path {
    Path { pattern, methods, allow }
}

impl Path {
    /// Returns the methods, as the header `Allow` lists them.
    pub fn allow(&self) -> &'static str {
        self.allow
    }

    /// Whether the path is for web pages, those of other origins included if
    /// they are listed: not for payment providers, probes and engines.
    pub fn is_for_web_pages(&self) -> bool {
        let is_api = self.pattern.starts_with("/api/") || self.pattern == "/openapi.json";
        is_api && !self.pattern.starts_with("/api/payments/")
    }

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
        for path in PATHS.iter().chain(PAGES) {
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
            (Method::POST, "/api/holds/2/quantity", Endpoint::ChangeQuantity),
            (Method::GET, "/api/carts/2", Endpoint::Cart),
            (Method::DELETE, "/api/carts/2", Endpoint::ReleaseCart),
            (Method::POST, "/api/carts/2/extend", Endpoint::ExtendCart),
            (Method::DELETE, "/api/holds/2", Endpoint::ReleaseHold),
            (Method::GET, "/api/holds/2", Endpoint::Hold),
            (Method::POST, "/api/orders/13/1", Endpoint::CreateOrder),
            (Method::POST, "/api/orders", Endpoint::CreateOrderOfHolds),
            (Method::GET, "/api/orders/19", Endpoint::Order),
            (Method::POST, "/api/payments/webhook", Endpoint::Webhook),
            (Method::POST, "/api/payments/webhook/stripe", Endpoint::ProviderWebhook),
            (Method::POST, "/api/orders/19/extend", Endpoint::ExtendOrder),
            (Method::POST, "/api/orders/19/cancel", Endpoint::CancelOrder),
            (Method::POST, "/api/orders/19/refund", Endpoint::RefundOrder),
            (Method::POST, "/api/orders/19/restock", Endpoint::RestockOrder),
            (Method::POST, "/api/orders/19/payment-reference", Endpoint::SetPaymentReference),
            (Method::POST, "/api/admin/products/1/adjust", Endpoint::AdjustStock),
            (Method::GET, "/api/products/sku:A%2F1", Endpoint::Product),
            (Method::POST, "/api/holds/sku:extend/2", Endpoint::CreateHold),
            (Method::POST, "/api/orders/13/sku:refund", Endpoint::CreateOrder),
            (Method::PUT, "/api/admin/products/sku:1", Endpoint::PutProduct),
            (Method::PATCH, "/api/admin/products/1", Endpoint::ChangeProduct),
            (Method::DELETE, "/api/admin/products/1", Endpoint::ArchiveProduct),
            (Method::GET, "/api/admin/holds", Endpoint::Holds),
            (Method::GET, "/api/admin/orders", Endpoint::Orders),
            (Method::GET, "/api/admin/payments/waiting", Endpoint::WaitingPayments),
            (Method::DELETE, "/api/admin/payments/waiting/e%2F1", Endpoint::RemoveWaitingPayment),
            (Method::POST, "/api/admin/customers/erase", Endpoint::EraseCustomer),
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
    fn the_document_asks_for_the_scope_that_the_endpoint_needs() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        for path in PATHS {
            for (method, endpoint) in path.methods {
                let operation = &document["paths"][path.pattern][method.as_str().to_lowercase()];
                let name = format!("{method} {}", path.pattern);
                let documented = operation["security"].to_string();
                let expected = match endpoint.scope() {
                    _ if *endpoint == Endpoint::Engine => r#"[{"ApiKey":["operate"]}]"#.to_owned(),
                    _ if *endpoint == Endpoint::Webhook => {
                        r#"[{"WebhookSignature":[]},{}]"#.to_owned()
                    }
                    // Each provider has a signature of its own.
                    _ if *endpoint == Endpoint::ProviderWebhook => documented.clone(),
                    RequiredScope::None => "null".to_owned(),
                    RequiredScope::Buyer(scope) => {
                        format!(r#"[{{}},{{"ApiKey":["{}"]}}]"#, scope.as_str())
                    }
                    RequiredScope::Key(scope) => {
                        format!(r#"[{{"ApiKey":["{}"]}},{{}}]"#, scope.as_str())
                    }
                };
                assert_eq!(documented, expected, "{name}");
                let answers = |status: &str| operation["responses"][status].is_object();
                assert_eq!(answers("401"), documented != "null", "{name}");
                let by_scope = match endpoint.scope() {
                    RequiredScope::None => false,
                    RequiredScope::Buyer(scope) | RequiredScope::Key(scope) => scope > Scope::Read,
                };
                assert_eq!(answers("403"), by_scope, "{name}");
                assert_eq!(answers("429"), !endpoint.is_probe(), "{name}");
            }
        }
    }

    #[test]
    fn endpoints_under_admin_need_a_key_and_reading_needs_the_smallest_scope() {
        for path in PATHS {
            for (method, endpoint) in path.methods {
                let wants_key = matches!(endpoint.scope(), RequiredScope::Key(_));
                assert!(wants_key || !path.pattern.starts_with("/api/admin/"), "{}", path.pattern);
                let (RequiredScope::Buyer(scope) | RequiredScope::Key(scope)) = endpoint.scope()
                else {
                    continue;
                };
                assert_eq!(scope == Scope::Read, method == Method::GET, "{}", path.pattern);
            }
        }
    }

    #[test]
    fn web_pages_of_other_origins_get_no_webhook_no_probe_and_no_engine() {
        for path in PATHS {
            let mut endpoints = path.methods.iter().map(|(_, endpoint)| endpoint);
            let expected = !endpoints.any(|endpoint| {
                let is_webhook = matches!(endpoint, Endpoint::Webhook | Endpoint::ProviderWebhook);
                is_webhook || *endpoint == Endpoint::Engine || endpoint.is_probe()
            });
            assert_eq!(path.is_for_web_pages(), expected, "{}", path.pattern);
        }
    }
}
