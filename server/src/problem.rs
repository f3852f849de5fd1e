//! Error responses: RFC 9457 problem documents with the additional fields
//! `success`, `message` and `code`.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde::Serialize;
use stockade::{Error, ErrorKind, InvalidArgument, OffSale, Timestamp};

use crate::response::{Body, response};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $code:literal, $title:literal;)*) => {
        /// All error codes of the API: the engine's, mapped by [`Code::of`],
        /// and those of HTTP itself.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All codes.
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the HTTP status.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// Returns the stable code.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Returns the stable problem type, a URI.
            fn uri(self) -> &'static str {
                match self { $(Self::$name => concat!("urn:stockade:error:", $code),)* }
            }

            fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// From the engine, or a JSON body of the wrong shape.
    InvalidArgument = UNPROCESSABLE_ENTITY, "invalid_argument", "Invalid argument";
    QuantityLimit = UNPROCESSABLE_ENTITY, "quantity_limit", "Quantity limit exceeded";
    /// From the engine, or an unknown path.
    NotFound = NOT_FOUND, "not_found", "Not found";
    ProductMismatch = NOT_FOUND, "product_mismatch", "The hold is for another product";
    InsufficientStock = CONFLICT, "insufficient_stock", "Not enough stock";
    HoldExpired = UNPROCESSABLE_ENTITY, "hold_expired", "The hold has expired";
    HoldAlreadyUsed = CONFLICT, "hold_already_used", "The hold was already used by an order";
    IdempotencyMismatch = UNPROCESSABLE_ENTITY, "idempotency_mismatch", "The idempotency key was used with another request";
    /// From the engine, or too many requests in flight.
    Contention = SERVICE_UNAVAILABLE, "contention", "Too many concurrent requests";
    /// From the engine, or an engine call that timed out.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "The store is unavailable";
    Unauthorized = UNAUTHORIZED, "unauthorized", "Missing or invalid credentials";
    /// HTTP: this listener does not serve the request to this client.
    Forbidden = FORBIDDEN, "forbidden", "Not allowed here";
    Misuse = INTERNAL_SERVER_ERROR, "misuse", "The engine was used incorrectly";
    VersionMismatch = PRECONDITION_FAILED, "version_mismatch", "The product has another version";
    AlreadyExists = CONFLICT, "already_exists", "The name is taken";
    NotOnSale = CONFLICT, "not_on_sale", "The product is not for sale now";
    AlreadyPaid = CONFLICT, "already_paid", "The order is paid";
    OrderCancelled = CONFLICT, "order_cancelled", "The order is cancelled";
    NotPaid = CONFLICT, "not_paid", "The order was not paid";
    RefundTooLarge = CONFLICT, "refund_too_large", "More than is left to refund";
    NothingReturned = CONFLICT, "nothing_returned", "Fewer units are returned";
    Internal = INTERNAL_SERVER_ERROR, "internal", "Internal server error";
    /// HTTP: the body is not JSON, or not UTF-8.
    MalformedRequest = BAD_REQUEST, "malformed_request", "Malformed request";
    /// HTTP: the path has other methods; `Allow` lists them.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed";
    /// HTTP: the body exceeds the limit.
    PayloadTooLarge = PAYLOAD_TOO_LARGE, "payload_too_large", "The body is too large";
    /// HTTP: the caller's rate limit.
    RateLimited = TOO_MANY_REQUESTS, "rate_limited", "Too many requests of this caller";
    /// HTTP: the body did not arrive before the timeout.
    RequestTimeout = REQUEST_TIMEOUT, "request_timeout", "Timed out while reading the request";
}

impl Code {
    fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidArgument => Self::InvalidArgument,
            ErrorKind::QuantityLimit => Self::QuantityLimit,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::ProductMismatch => Self::ProductMismatch,
            ErrorKind::InsufficientStock => Self::InsufficientStock,
            ErrorKind::HoldExpired => Self::HoldExpired,
            ErrorKind::HoldAlreadyUsed => Self::HoldAlreadyUsed,
            ErrorKind::IdempotencyMismatch => Self::IdempotencyMismatch,
            ErrorKind::Contention => Self::Contention,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Unauthorized => Self::Unauthorized,
            ErrorKind::Misuse => Self::Misuse,
            ErrorKind::VersionMismatch => Self::VersionMismatch,
            ErrorKind::AlreadyExists => Self::AlreadyExists,
            ErrorKind::NotOnSale => Self::NotOnSale,
            ErrorKind::AlreadyPaid => Self::AlreadyPaid,
            ErrorKind::OrderCancelled => Self::OrderCancelled,
            ErrorKind::NotPaid => Self::NotPaid,
            ErrorKind::RefundTooLarge => Self::RefundTooLarge,
            ErrorKind::NothingReturned => Self::NothingReturned,
            // A kind that this server does not know yet; a test fails on it.
            _ => Self::Internal,
        }
    }
}

/// Why a request was rejected.
#[derive(Debug)]
pub enum Rejection {
    /// By the engine.
    Engine(Error),
    /// By the server: the code and a one-line message.
    Server(Code, Cow<'static, str>),
    /// The method is not allowed; lists the methods that are.
    Method(&'static str),
    /// Missing or invalid credentials: the authentication scheme and a message.
    Secret(&'static str, &'static str),
    /// Too many requests: a message, and the time until the next may come.
    RateLimited(&'static str, Duration),
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<InvalidArgument> for Rejection {
    fn from(invalid: InvalidArgument) -> Self {
        Self::Engine(invalid.into())
    }
}

/// The response body; the order of the fields is part of the contract.
#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    uri: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    success: bool,
    message: &'a str,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    short: &'a [stockade::ShortLine],
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<stockade::OrderId>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    holds: &'a [stockade::UnusableHold],
    /// The product that has the id or the SKU already.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<stockade::ProductId>,
    #[serde(flatten)]
    off_sale: OffSaleFields,
}

/// The product that is not for sale, with the moment, or that it is archived.
#[derive(Default, Serialize)]
struct OffSaleFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<stockade::ProductId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_sale_from: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_sale_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    archived: bool,
}

impl OffSaleFields {
    fn of(error: &Error) -> Self {
        let Some(why) = error.off_sale() else { return Self::default() };
        let mut fields = Self { product_id: error.product_id(), ..Self::default() };
        match why {
            OffSale::Before(at) => fields.on_sale_from = Some(at),
            OffSale::Since(at) => fields.on_sale_until = Some(at),
            OffSale::Archived => fields.archived = true,
            // One that this server does not know yet.
            _ => {}
        }
        fields
    }
}

/// A problem as the answer to one line of a batch.
#[derive(Serialize)]
struct ProblemLine<'a> {
    status: u16,
    success: bool,
    message: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    short: &'a [stockade::ShortLine],
    #[serde(flatten)]
    off_sale: OffSaleFields,
    /// In seconds, as the header of that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
}

impl Rejection {
    /// An invalid argument.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Server(Code::InvalidArgument, detail.into())
    }

    /// A request that this client may not make, whatever its credentials.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Server(Code::Forbidden, detail.into())
    }

    /// A request that cannot be parsed.
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Server(Code::MalformedRequest, detail.into())
    }

    /// An internal error of the server.
    pub fn internal(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Server(Code::Internal, detail.into())
    }

    /// Returns the code.
    pub fn code(&self) -> Code {
        match self {
            Self::Engine(error) => Code::of(error.kind()),
            Self::Server(code, _) => *code,
            Self::Method(_) => Code::MethodNotAllowed,
            Self::Secret(..) => Code::Unauthorized,
            Self::RateLimited(..) => Code::RateLimited,
        }
    }

    /// Returns a one-line message for the client. Internal details go to the
    /// log only.
    pub fn detail(&self) -> Cow<'_, str> {
        let detail = match self {
            _ if matches!(self.code(), Code::Internal | Code::Misuse) => {
                "internal server error; search the server's log for the request_id"
            }
            Self::Engine(error) => error.message(),
            Self::Server(_, detail) => detail,
            Self::Method(allowed) => {
                return format!("method not allowed; allowed here: {allowed}").into();
            }
            Self::Secret(_, why) | Self::RateLimited(why, _) => why,
        };
        detail.into()
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Engine(error) => error.retry_after(),
            Self::RateLimited(_, wait) => Some(*wait),
            _ if self.code().status() == StatusCode::SERVICE_UNAVAILABLE => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }

    /// Renders the body; `instance` is the requested path.
    pub fn body(&self, instance: &str, request_id: &str) -> Bytes {
        let (code, detail) = (self.code(), self.detail());
        let mut problem = Problem {
            uri: code.uri(),
            title: code.title(),
            status: code.status().as_u16(),
            detail: &detail,
            instance,
            success: false,
            message: &detail,
            code: code.as_str(),
            request_id,
            available: None,
            short: &[],
            order_id: None,
            holds: &[],
            id: None,
            off_sale: OffSaleFields::default(),
        };
        if let Self::Engine(error) = self {
            problem.available = error.available();
            problem.short = error.short();
            problem.order_id = error.order_id();
            problem.holds = error.holds();
            problem.off_sale = OffSaleFields::of(error);
            let is_taken = error.kind() == ErrorKind::AlreadyExists;
            problem.id = error.product_id().filter(|_| is_taken);
        }
        // Strings and numbers only: serialization cannot fail.
        serde_json::to_vec(&problem).unwrap_or_default().into()
    }

    /// Writes the problem as an answer to one line of a batch.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        let (code, detail) = (self.code(), self.detail());
        let (available, short, off_sale) = match self {
            Self::Engine(error) => (error.available(), error.short(), OffSaleFields::of(error)),
            _ => (None, &[][..], OffSaleFields::default()),
        };
        let line = ProblemLine {
            status: code.status().as_u16(),
            success: false,
            message: &detail,
            code: code.as_str(),
            available,
            short,
            off_sale,
            retry_after: self.retry_after_seconds(),
            replayed: matches!(self, Self::Engine(error) if error.replayed()),
        };
        // Texts and numbers only: it cannot fail.
        let _ = serde_json::to_writer(out, &line);
    }

    /// Returns `Retry-After` in whole seconds, rounded up.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let wait = self.retry_after()?;
        Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    /// Renders the response.
    pub fn into_response(self, instance: &str, request_id: &str) -> Response<Body> {
        let replayed = matches!(&self, Self::Engine(error) if error.replayed());
        let body = self.body(instance, request_id);
        let mut response =
            response(self.code().status(), "application/problem+json", body, replayed);
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        match self {
            Self::Method(allowed) => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            Self::Secret(scheme, _) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
            }
            // The hold token is the only credential that the engine checks.
            Self::Engine(error) if error.kind() == ErrorKind::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Hold-Token"));
            }
            Self::Engine(_) | Self::Server(..) | Self::RateLimited(..) => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::DOCUMENT;

    #[test]
    fn every_engine_error_kind_has_a_code() {
        for kind in ErrorKind::ALL {
            assert_eq!(Code::of(*kind).as_str(), kind.code());
        }
    }

    #[test]
    fn codes_are_unique_and_each_names_its_problem() {
        let mut codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(code.uri(), format!("urn:stockade:error:{}", code.as_str()));
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }

    #[test]
    fn the_document_lists_every_code() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        let listed = &document["components"]["schemas"]["ErrorCode"]["enum"];
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(*listed, serde_json::json!(codes));
    }

    #[test]
    fn the_document_is_of_this_version() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn what_broke_inside_is_not_told_outside() {
        let rejection = Rejection::internal("table shop.secret_plans is gone");
        let body = rejection.body("/api/products/1", "r-1");
        assert!(!String::from_utf8_lossy(&body).contains("secret_plans"));
    }
}
