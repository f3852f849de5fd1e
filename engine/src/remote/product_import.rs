//! Sends the products of an import in parts that fit a request, one after the other.

use std::sync::Arc;

use super::client::{Client, PendingCall};
use crate::call::{Request, Response};
use crate::error::{Error, Result};
use crate::model::{PutOutcome, PutProduct};

/// The most bytes of the requests in one part: half the limit of a request.
const PART_BYTES_MAX: usize = 512 << 10;
/// The most products of a part, whose answers are larger than their requests.
const PART_MAX: usize = 1_024;

/// Sends the requests, and returns one result for each. A part that fails is the error
/// of each of its requests.
pub(super) async fn put_products(
    client: Arc<Client>,
    requests: Vec<PutProduct>,
) -> Vec<Result<PutOutcome>> {
    let mut results = Vec::with_capacity(requests.len());
    for part in split(requests) {
        let count = part.len();
        match send(&client, part).await {
            Ok(part) if part.len() == count => results.extend(part),
            Ok(_) => {
                let why = "the engine answered another number of products";
                let error = Error::new(crate::error::ErrorKind::Internal, why);
                results.extend((0..count).map(|_| Err(error.clone())));
            }
            Err(error) => results.extend((0..count).map(|_| Err(error.clone()))),
        }
    }
    results
}

async fn send(client: &Arc<Client>, requests: Vec<PutProduct>) -> Result<Vec<Result<PutOutcome>>> {
    let call = PendingCall::new(Request::PutProducts { requests })?;
    match Arc::clone(client).exchange(call).await? {
        Response::PutProducts(results) => Ok(results),
        other => Err(other.mismatch("put_products")),
    }
}

/// Splits requests into parts that fit a request each. One that does not fit is alone,
/// and refused as too long.
fn split(requests: Vec<PutProduct>) -> Vec<Vec<PutProduct>> {
    let mut parts: Vec<Vec<PutProduct>> = Vec::new();
    let mut left = 0_usize;
    for request in requests {
        // Plain data: serializing it cannot fail.
        let bytes = serde_json::to_vec(&request).map_or(0, |json| json.len() + 1);
        match parts.last_mut() {
            Some(part) if bytes <= left && part.len() < PART_MAX => part.push(request),
            _ => {
                parts.push(vec![request]);
                left = PART_BYTES_MAX;
            }
        }
        left = left.saturating_sub(bytes);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Money;

    #[test]
    fn parts_fit_a_request_and_keep_the_order() {
        let put = |at: u64, text: usize| {
            PutProduct::new(at, "\u{1}".repeat(text), Money::ZERO)
                .metadata(format!(r#"{{"a":"{}"}}"#, "x".repeat(4_000)).parse().expect("an object"))
        };
        let requests: Vec<_> = (0..900).map(|at| put(at, 255)).collect();
        let parts = split(requests.clone());
        assert!(parts.len() > 2, "{}", parts.len());
        for part in &parts {
            let request = Request::PutProducts { requests: part.clone() };
            assert!(PendingCall::new(request).is_ok());
        }
        assert_eq!(parts.concat(), requests);
    }
}
