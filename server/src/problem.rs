//! Refusals, as RFC 9457 problems that also say `success`, `message` and `code`.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde::Serialize;
use stockade::{Error, ErrorKind, InvalidArgument};

use crate::response::{Body, response};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $code:literal, $title:literal;)*) => {
        /// Everything a client can be told beside success: the engine's codes,
        /// which [`Code::of`] finds, and those of HTTP itself.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code there is.
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The status of the response.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// The stable code, in words.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The stable name of the kind of problem, as an URI.
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
    /// The engine's, or a body of JSON that is not what the endpoint takes.
    InvalidArgument = UNPROCESSABLE_ENTITY, "invalid_argument", "The request makes no sense";
    QuantityLimit = UNPROCESSABLE_ENTITY, "quantity_limit", "More units than one hold or one customer may have";
    /// The engine's, or a path without an endpoint.
    NotFound = NOT_FOUND, "not_found", "Not found";
    ProductMismatch = NOT_FOUND, "product_mismatch", "The hold is of another product";
    InsufficientStock = CONFLICT, "insufficient_stock", "Not enough stock";
    HoldExpired = UNPROCESSABLE_ENTITY, "hold_expired", "The hold is over";
    HoldAlreadyUsed = CONFLICT, "hold_already_used", "The hold became an order before";
    IdempotencyMismatch = UNPROCESSABLE_ENTITY, "idempotency_mismatch", "The idempotency key was used for another request";
    /// The engine's, or too many requests under way.
    Contention = SERVICE_UNAVAILABLE, "contention", "Too many ask at once";
    /// The engine's, or an engine that took too long.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "The store is out of reach";
    Unauthorized = UNAUTHORIZED, "unauthorized", "A secret is missing or wrong";
    /// HTTP: a request that this listener does not serve to whoever sent it.
    Forbidden = FORBIDDEN, "forbidden", "Not allowed here";
    Misuse = INTERNAL_SERVER_ERROR, "misuse", "The engine cannot be used so";
    VersionMismatch = PRECONDITION_FAILED, "version_mismatch", "The product was changed meanwhile";
    Internal = INTERNAL_SERVER_ERROR, "internal", "A fault of the server";
    /// HTTP: the body is no JSON, or no UTF-8.
    MalformedRequest = BAD_REQUEST, "malformed_request", "The request cannot be read";
    /// HTTP: the path has other methods; `Allow` lists them.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method_not_allowed", "The path has other methods";
    /// HTTP: the body is over the limit.
    PayloadTooLarge = PAYLOAD_TOO_LARGE, "payload_too_large", "The body is too long";
    /// HTTP: the body did not arrive in time.
    RequestTimeout = REQUEST_TIMEOUT, "request_timeout", "The request took too long to arrive";
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
            // A kind that is new to this server; a test finds it.
            _ => Self::Internal,
        }
    }
}

/// Why a request was refused.
#[derive(Debug)]
pub enum Refusal {
    /// By the engine.
    Engine(Error),
    /// By the server: the code and one line for a person.
    Server(Code, Cow<'static, str>),
    /// The path has other methods, which are listed.
    Method(&'static str),
    /// A secret is missing or wrong: the scheme that is asked for, and why.
    Secret(&'static str, &'static str),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<InvalidArgument> for Refusal {
    fn from(invalid: InvalidArgument) -> Self {
        Self::Engine(invalid.into())
    }
}

/// The body of a refusal, in the order of its fields.
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
}

impl Refusal {
    /// An argument that makes no sense.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Server(Code::InvalidArgument, detail.into())
    }

    /// A request that is not for its sender, whoever shows which secret.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Server(Code::Forbidden, detail.into())
    }

    /// A request that cannot be read at all.
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Server(Code::MalformedRequest, detail.into())
    }

    /// A fault of the server.
    pub fn internal(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Server(Code::Internal, detail.into())
    }

    /// The code.
    pub fn code(&self) -> Code {
        match self {
            Self::Engine(error) => Code::of(error.kind()),
            Self::Server(code, _) => *code,
            Self::Method(_) => Code::MethodNotAllowed,
            Self::Secret(..) => Code::Unauthorized,
        }
    }

    /// One line for the client. What exactly broke inside is for the log only.
    fn detail(&self) -> &str {
        match self {
            _ if matches!(self.code(), Code::Internal | Code::Misuse) => {
                "the server failed; its log has more under the request_id"
            }
            Self::Engine(error) => error.message(),
            Self::Server(_, detail) => detail,
            Self::Method(_) => "this path has other methods, see the Allow header",
            Self::Secret(_, why) => why,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Engine(error) => error.retry_after(),
            _ if self.code().status() == StatusCode::SERVICE_UNAVAILABLE => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }

    /// The body: `instance` is the path that was asked for.
    pub fn body(&self, instance: &str, request_id: &str) -> Bytes {
        let code = self.code();
        let mut problem = Problem {
            uri: code.uri(),
            title: code.title(),
            status: code.status().as_u16(),
            detail: self.detail(),
            instance,
            success: false,
            message: self.detail(),
            code: code.as_str(),
            request_id,
            available: None,
            short: &[],
            order_id: None,
        };
        if let Self::Engine(error) = self {
            problem.available = error.available();
            problem.short = error.short();
            problem.order_id = error.order_id();
        }
        // Texts and numbers only: there is nothing that could not be written.
        serde_json::to_vec(&problem).unwrap_or_default().into()
    }

    /// The whole seconds after which it makes sense to try again.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let wait = self.retry_after()?;
        Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    /// The response.
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
            // The only secret that the engine asks for.
            Self::Engine(error) if error.kind() == ErrorKind::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Hold-Token"));
            }
            Self::Engine(_) | Self::Server(..) => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::DOCUMENT;

    #[test]
    fn every_kind_of_the_engine_has_its_code_here() {
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
        let listed = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
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
        let refusal = Refusal::internal("table shop.secret_plans is gone");
        let body = refusal.body("/api/products/1", "r-1");
        assert!(!String::from_utf8_lossy(&body).contains("secret_plans"));
    }
}
