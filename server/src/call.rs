//! What an endpoint is given: the path's parts, the query, headers and body.

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
use crate::problem::Refusal;

/// A request whose endpoint is known.
#[derive(Debug)]
pub struct Call<'a> {
    /// The variable parts of the path, as they were sent.
    pub segments: matchit::Params<'a, 'a>,
    /// The query, as it was sent.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl<'a> Call<'a> {
    /// Reads the variable part of the path with this position.
    pub fn segment<T: FromStr<Err = InvalidArgument>>(
        &self,
        position: usize,
    ) -> Result<T, Refusal> {
        Ok(self.decoded(position)?.parse()?)
    }

    /// Reads the quantity in the path at this position.
    pub fn quantity(&self, position: usize) -> Result<u32, Refusal> {
        Ok(stockade::parse_quantity(&self.decoded(position)?)?)
    }

    fn decoded(&self, position: usize) -> Result<Cow<'_, str>, Refusal> {
        let raw = self.segments.iter().nth(position).map_or("", |(_, raw)| raw);
        decode(raw)
    }

    /// The value of a name in the query.
    fn query_value(&self, name: &str) -> Result<Option<Cow<'_, str>>, Refusal> {
        let pairs = self.query.unwrap_or_default().split('&');
        let mut values = pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .filter(|(given, _)| *given == name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some((_, value)), None) => decode(value).map(Some),
            (Some(_), Some(_)) => {
                Err(Refusal::invalid(format!("{name} stands twice in the query")))
            }
        }
    }

    /// Reads a whole number from the query; one too large is refused, never
    /// taken for another.
    pub fn query_number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.query_value(name)? else {
            return Ok(None);
        };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::invalid(format!("{name} must be a whole number")));
        }
        let beyond = |_| Refusal::invalid(format!("{name} must be at most {}", u64::MAX));
        text.parse().map(Some).map_err(beyond)
    }

    /// The `after` of a page: what a page before it gave as `next`.
    pub fn after(&self) -> Result<Option<u64>, Refusal> {
        let after = self.query_number("after")?;
        // No id and no cursor is greater. A number that does not fit would be
        // cut, and the answer speak of one that was not asked for.
        if after.is_some_and(|after| i64::try_from(after).is_err()) {
            return Err(Refusal::invalid(format!("after must be at most {}", i64::MAX)));
        }
        Ok(after)
    }

    /// The `limit` of a page; 100 when the caller does not care.
    pub fn limit(&self) -> Result<u32, Refusal> {
        let limit = self.query_number("limit")?.unwrap_or(100);
        let beyond = |_| Refusal::invalid(format!("no page is as long as limit={limit}"));
        u32::try_from(limit).map_err(beyond)
    }

    /// The id behind which a page begins. One that is too large is behind all.
    pub fn after_id<T: FromStr<Err = InvalidArgument>>(&self) -> Result<Option<T>, Refusal> {
        match self.query_value("after")? {
            None => Ok(None),
            Some(text) => Ok(Some(text.parse()?)),
        }
    }

    /// Reads the body where there need not be one.
    pub fn optional<T: Default + Deserialize<'a>>(&'a self) -> Result<T, Refusal> {
        if self.body.is_empty() {
            return Ok(T::default());
        }
        body::object(body::text(&self.body)?)
    }

    /// The life asked for, by `?ttl=` or in the body; both are optional.
    pub fn life(&self, from_body: Option<u64>) -> Result<Option<Duration>, Refusal> {
        let from_query = self.query_number("ttl")?;
        let seconds = either("ttl", ("query", from_query), ("body", from_body))?;
        Ok(seconds.map(Duration::from_secs))
    }

    /// Whom a hold is for, by `?customer=` or in the body; both are optional.
    pub fn customer(&self, from_body: Option<String>) -> Result<Option<String>, Refusal> {
        let from_query = self.query_value("customer")?.map(Cow::into_owned);
        either("customer", ("query", from_query), ("body", from_body))
    }

    /// The token shown of a hold, by `Hold-Token` or in the body; both are
    /// optional.
    pub fn hold_token(&self, from_body: Option<Token>) -> Result<Option<Token>, Refusal> {
        let from_header = match self.header("hold-token", "the hold's token")? {
            Some(text) => Some(text.parse()?),
            None => None,
        };
        either("the hold's token", ("headers", from_header), ("body", from_body))
    }

    /// The idempotency key in the first of these headers that is there.
    pub fn key(&self, names: &[&str]) -> Result<Option<String>, Refusal> {
        for name in names {
            if let Some(key) = self.header(name, "the idempotency key")? {
                return Ok(Some(key.to_owned()));
            }
        }
        Ok(None)
    }

    /// The value of a header that may stand once.
    fn header(&self, name: &str, what: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.headers.get_all(name).iter().map(HeaderValue::as_bytes);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => str::from_utf8(value)
                .map(Some)
                .map_err(|_| Refusal::invalid(format!("{what} is not UTF-8"))),
            (Some(_), Some(_)) => {
                Err(Refusal::invalid(format!("{what} stands twice in the headers")))
            }
        }
    }
}

/// What may be given in one of two places.
fn either<T>(
    what: &str,
    (one, first): (&str, Option<T>),
    (other, second): (&str, Option<T>),
) -> Result<Option<T>, Refusal> {
    if first.is_some() && second.is_some() {
        return Err(Refusal::invalid(format!("{what} stands in the {one} and in the {other}")));
    }
    Ok(first.or(second))
}

fn decode(raw: &str) -> Result<Cow<'_, str>, Refusal> {
    percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| Refusal::invalid("the path or query is not UTF-8 once decoded"))
}
