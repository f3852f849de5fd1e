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
use stockade::{InvalidArgument, Token};

use crate::body;
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
}

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

    /// Parses an optional body.
    pub fn optional<T: Default + Deserialize<'a>>(&'a self) -> Result<T, Rejection> {
        if self.body.is_empty() {
            return Ok(T::default());
        }
        body::object(body::text(&self.body)?)
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

    /// Returns the idempotency key from the first of these headers that is
    /// present.
    pub fn key(&self, names: &[&str]) -> Result<Option<String>, Rejection> {
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
