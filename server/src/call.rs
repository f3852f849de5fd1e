//! The parsed request that a handler receives: path segments, query, headers
//! and body.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use stockade::{AsyncEngine, InvalidArgument, ProductId, ProductRef, Token};

use crate::body;
use crate::caller::Caller;
use crate::problem::Rejection;

/// A request whose endpoint is known.
#[derive(Debug)]
pub struct Call<'a> {
    /// The variable segments of the path, still percent-encoded.
    pub segments: matchit::Params<'a, 'a>,
    /// The query string, still percent-encoded.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The complete body.
    pub body: Bytes,
    /// Who makes it: the name and scope of the API key.
    pub caller: Caller,
    /// The engine, acting as the caller.
    pub engine: AsyncEngine,
}

/// The body of a request that takes no fields.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoFields {}

impl<'a> Call<'a> {
    /// Parses the variable path segment at this position.
    pub fn segment<T: FromStr<Err = InvalidArgument>>(
        &self,
        position: usize,
    ) -> Result<T, Rejection> {
        Ok(self.decoded(position)?.parse()?)
    }

    /// Parses the quantity in the path segment at this position.
    pub fn quantity(&self, position: usize) -> Result<u32, Rejection> {
        Ok(stockade::parse_quantity(&self.decoded(position)?)?)
    }

    /// Returns the text in the path segment at this position.
    pub fn text_segment(&self, position: usize) -> Result<String, Rejection> {
        self.decoded(position).map(Cow::into_owned)
    }

    fn decoded(&self, position: usize) -> Result<Cow<'_, str>, Rejection> {
        let raw = self.segments.iter().nth(position).map_or("", |(_, raw)| raw);
        decode(raw)
    }

    /// Returns the value of a query parameter, which may appear once.
    fn query_value(&self, name: &str) -> Result<Option<Cow<'_, str>>, Rejection> {
        let pairs = self.query.unwrap_or_default().split('&');
        let mut values = pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .filter(|(given, _)| *given == name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some((_, value)), None) => decode(value).map(Some),
            (Some(_), Some(_)) => {
                Err(Rejection::invalid(format!("{name} is given twice in the query")))
            }
        }
    }

    /// Rejects a query parameter that is not one of these.
    pub fn known_query(&self, known: &[&str]) -> Result<(), Rejection> {
        let pairs = self.query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        for pair in pairs {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            if !known.contains(&name) {
                let shown: String = decode(name)?.chars().take(40).collect();
                let known = known.join("`, `");
                return Err(Rejection::invalid(format!(
                    "{shown} is unknown in the query; known are `{known}`"
                )));
            }
        }
        Ok(())
    }

    /// Returns a text from the query.
    pub fn query_text(&self, name: &str) -> Result<Option<String>, Rejection> {
        Ok(self.query_value(name)?.map(Cow::into_owned))
    }

    /// Parses a value from the query.
    pub fn query_parsed<T: FromStr<Err = InvalidArgument>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Rejection> {
        let Some(text) = self.query_value(name)? else { return Ok(None) };
        let wrong = |error: InvalidArgument| Rejection::invalid(format!("{name}: {error}"));
        text.parse().map(Some).map_err(wrong)
    }

    /// Finds the value that a word of the query names.
    pub fn query_word<T: Copy>(
        &self,
        name: &str,
        all: &[T],
        word: fn(T) -> &'static str,
    ) -> Result<Option<T>, Rejection> {
        let Some(text) = self.query_value(name)? else { return Ok(None) };
        let found = all.iter().copied().find(|one| word(*one) == text);
        found.map(Some).ok_or_else(|| {
            let words: Vec<_> = all.iter().map(|one| word(*one)).collect();
            Rejection::invalid(format!("{name} must be one of {}", words.join(", ")))
        })
    }

    /// Parses the product that a list is of, from `product_id` or `sku`.
    pub fn query_product(&self) -> Result<Option<ProductRef>, Rejection> {
        let id: Option<ProductId> = self.query_parsed("product_id")?;
        let sku = self.query_text("sku")?;
        match (id, sku) {
            (Some(_), Some(_)) => Err(Rejection::invalid("product_id and sku are both given")),
            (id, sku) => Ok(id.map(ProductRef::from).or(sku.map(ProductRef::Sku))),
        }
    }

    /// Parses a whole number from the query. Rejects a number that is too large
    /// instead of truncating it.
    pub fn query_number(&self, name: &str) -> Result<Option<u64>, Rejection> {
        let Some(text) = self.query_value(name)? else {
            return Ok(None);
        };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Rejection::invalid(format!("{name} must be a whole number")));
        }
        let beyond = |_| Rejection::invalid(format!("{name} must be at most {}", u64::MAX));
        text.parse().map(Some).map_err(beyond)
    }

    /// Parses `after`, the cursor that the previous page returned as `next`.
    pub fn after(&self) -> Result<Option<u64>, Rejection> {
        let after = self.query_number("after")?;
        // The store's ids and cursors fit i64. A larger number would be
        // truncated, and the page would start somewhere else.
        if after.is_some_and(|after| i64::try_from(after).is_err()) {
            return Err(Rejection::invalid(format!("after must be at most {}", i64::MAX)));
        }
        Ok(after)
    }

    /// Parses the page size `limit`; 100 by default.
    pub fn limit(&self) -> Result<u32, Rejection> {
        let limit = self.query_number("limit")?.unwrap_or(100);
        let beyond = |_| Rejection::invalid(format!("limit={limit} is too large for a page"));
        u32::try_from(limit).map_err(beyond)
    }

    /// Parses the id after which a page begins. An id that is too large is
    /// after all.
    pub fn after_id<T: FromStr<Err = InvalidArgument>>(&self) -> Result<Option<T>, Rejection> {
        match self.query_value("after")? {
            None => Ok(None),
            Some(text) => Ok(Some(text.parse()?)),
        }
    }

    /// Parses the body.
    pub fn object<T: Deserialize<'a>>(&'a self) -> Result<T, Rejection> {
        body::object(body::text(&self.body)?)
    }

    /// Parses an optional body.
    pub fn optional<T: Default + Deserialize<'a>>(&'a self) -> Result<T, Rejection> {
        if self.body.is_empty() {
            return Ok(T::default());
        }
        self.object()
    }

    /// Rejects a body that is neither empty nor an object without fields.
    pub fn no_fields(&self) -> Result<(), Rejection> {
        self.optional().map(|NoFields {}| ())
    }

    /// Returns the requested time to live, from `?ttl=` or from the body.
    pub fn ttl(&self, from_body: Option<u64>) -> Result<Option<Duration>, Rejection> {
        let from_query = self.query_number("ttl")?;
        let seconds = at_most_one("ttl", ("query", from_query), ("body", from_body))?;
        Ok(seconds.map(Duration::from_secs))
    }

    /// Returns the customer of a hold, from `?customer=` or from the body.
    pub fn customer(&self, from_body: Option<String>) -> Result<Option<String>, Rejection> {
        let from_query = self.query_value("customer")?.map(Cow::into_owned);
        at_most_one("customer", ("query", from_query), ("body", from_body))
    }

    /// Returns the hold token, from `Hold-Token` or from the body.
    pub fn hold_token(&self, from_body: Option<Token>) -> Result<Option<Token>, Rejection> {
        let from_header = match self.header("hold-token", "the hold's token")? {
            Some(text) => Some(text.parse()?),
            None => None,
        };
        at_most_one("the hold's token", ("headers", from_header), ("body", from_body))
    }

    /// Returns the version that the header `If-Match` demands, from the header or from
    /// the body.
    pub fn version(&self, from_body: Option<u64>) -> Result<Option<u64>, Rejection> {
        let from_header = match self.header("if-match", "the version")? {
            Some(tag) => Some(version_of(tag)?),
            None => None,
        };
        at_most_one("the version", ("headers", from_header), ("body", from_body))
    }

    /// Returns the key of the header `Idempotency-Key`, in the key space of this
    /// caller.
    pub fn idempotency_key(&self) -> Result<Option<String>, Rejection> {
        let key = self.header("idempotency-key", "the idempotency key")?;
        key.map(|key| self.caller.idempotency_key(key)).transpose()
    }

    /// Returns the key of a payment provider's event, from the first of these
    /// headers that is present. Keys of events have a space of their own.
    pub fn event_key(&self, names: &[&str]) -> Result<Option<String>, Rejection> {
        for name in names {
            if let Some(key) = self.header(name, "the idempotency key")? {
                return Ok(Some(key.to_owned()));
            }
        }
        Ok(None)
    }

    /// Returns the value of a header that may appear once.
    fn header(&self, name: &str, what: &str) -> Result<Option<&str>, Rejection> {
        let mut values = self.headers.get_all(name).iter().map(HeaderValue::as_bytes);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => str::from_utf8(value)
                .map(Some)
                .map_err(|_| Rejection::invalid(format!("{what} is not UTF-8"))),
            (Some(_), Some(_)) => {
                Err(Rejection::invalid(format!("{what} is given twice in the headers")))
            }
        }
    }
}

/// Parses a version in double quotes. A weak tag, a list and `*` name no single version.
fn version_of(tag: &str) -> Result<u64, Rejection> {
    let digits = tag.trim().strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let version = digits.and_then(|digits| digits.parse().ok());
    version.ok_or_else(|| {
        Rejection::invalid("If-Match must be the product's version in double quotes, such as \"7\"")
    })
}

/// Returns a value that may be given in one of two places, and rejects both.
fn at_most_one<T>(
    what: &str,
    (one, first): (&str, Option<T>),
    (other, second): (&str, Option<T>),
) -> Result<Option<T>, Rejection> {
    if first.is_some() && second.is_some() {
        return Err(Rejection::invalid(format!(
            "{what} is given both in the {one} and in the {other}"
        )));
    }
    Ok(first.or(second))
}

fn decode(raw: &str) -> Result<Cow<'_, str>, Rejection> {
    percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| Rejection::invalid("the percent-decoded path or query is not UTF-8"))
}
