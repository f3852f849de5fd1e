//! What an endpoint is given: the path's parts, the query, headers and body.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use stockade::InvalidArgument;

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

/// The body of a request that may ask for a life.
#[derive(Deserialize)]
struct Life {
    ttl: Option<u64>,
}

impl Call<'_> {
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

    /// Reads a whole number from the query; one too large becomes the largest.
    pub fn query_number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.query_value(name)? else {
            return Ok(None);
        };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::invalid(format!("{name} must be a whole number")));
        }
        Ok(Some(text.parse().unwrap_or(u64::MAX)))
    }

    /// The `limit` of a page; 100 when the caller does not care.
    pub fn limit(&self) -> Result<u32, Refusal> {
        let limit = self.query_number("limit")?.unwrap_or(100);
        Ok(u32::try_from(limit).unwrap_or(u32::MAX))
    }

    /// The life asked for, by `?ttl=` or by a body `{"ttl":…}`; both are optional.
    pub fn life(&self) -> Result<Option<Duration>, Refusal> {
        let from_query = self.query_number("ttl")?;
        let from_body = if self.body.is_empty() {
            None
        } else {
            body::object::<Life>(body::text(&self.body)?)?.ttl
        };
        match (from_query, from_body) {
            (Some(_), Some(_)) => Err(Refusal::invalid("ttl stands in the query and in the body")),
            (query, body) => Ok(query.or(body).map(Duration::from_secs)),
        }
    }

    /// The idempotency key in the first of these headers that is there.
    pub fn key(&self, names: &[&str]) -> Result<Option<String>, Refusal> {
        let Some((name, first)) =
            names.iter().find_map(|name| Some((name, self.headers.get(*name)?)))
        else {
            return Ok(None);
        };
        if self.headers.get_all(*name).iter().count() > 1 {
            return Err(Refusal::invalid("the idempotency key stands twice in the headers"));
        }
        utf8(first).map(|key| Some(key.to_owned()))
    }
}

fn utf8(value: &HeaderValue) -> Result<&str, Refusal> {
    str::from_utf8(value.as_bytes())
        .map_err(|_| Refusal::invalid("the idempotency key is not UTF-8"))
}

fn decode(raw: &str) -> Result<Cow<'_, str>, Refusal> {
    percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| Refusal::invalid("the path or query is not UTF-8 once decoded"))
}
