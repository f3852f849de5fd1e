//! Answering the calls that a remote engine sends.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::AsyncEngine;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CartRequest, ExtendRequest, HoldRequest, NewProduct, OrderRequest};
use crate::model::{ProductId, StockAdjustment};
use crate::wire::{Resend, Sent, SentPayment, SentRelease, Told, ToldError};

impl AsyncEngine {
    /// Answers a call that an engine opened with a URL of this one has sent,
    /// for a server that carries both: `call` is the call's name and `body`
    /// what came with it. The answer is JSON and holds the whole result or the
    /// whole error. `None` if there is no such call.
    ///
    /// Who may send such a call may do all that this engine does.
    pub async fn answer(&self, call: &str, body: &[u8]) -> Option<Vec<u8>> {
        let core = match self.seat.own_core() {
            Ok(core) => core,
            Err(error) => return Some(written::<()>(Err(told_from_afar(error)))),
        };
        Some(match call {
            "product" => answered(body, async |(id,), _| core.product(id).await).await,
            "products" => {
                let read = async |(after, limit): (Option<ProductId>, u32), _| {
                    core.products(after, limit).await
                };
                answered(body, read).await
            }
            "create_product" => {
                let create = async |(new,): (NewProduct,), resend| {
                    core.create_product_sent(&new, resend).await
                };
                answered(body, create).await
            }
            "adjust_stock" => {
                let adjust = async |(by,): (StockAdjustment,), resend| {
                    core.adjust_stock_sent(&by, resend).await
                };
                answered(body, adjust).await
            }
            "release" => {
                let release = async |(sent,): (SentRelease,), _| core.release(sent).await;
                answered(body, release).await
            }
            "extend" => {
                let extend = async |(request,): (ExtendRequest,), _| core.extend(&request).await;
                answered(body, extend).await
            }
            "get_hold" => answered(body, async |(id,), _| core.get_hold(id).await).await,
            "get_order" => answered(body, async |(id,), _| core.get_order(id).await).await,
            "sweep" => answered(body, async |(): (), _| core.sweep().await).await,
            "audit" => answered(body, async |(): (), _| core.audit().await).await,
            "events_after" => {
                let read = async |(cursor, limit), _| core.events_after(cursor, limit).await;
                answered(body, read).await
            }
            "ping" => answered(body, async |(): (), _| core.ping().await).await,
            "hold" => {
                let hold = async |(request,): (HoldRequest,), resend| {
                    core.hold_sent(&request, resend).await
                };
                answered(body, hold).await
            }
            "hold_many" => {
                let hold = async |(request,): (CartRequest,), resend| {
                    core.hold_many_sent(&request, resend).await
                };
                answered(body, hold).await
            }
            "order" => {
                let order = async |(request,): (OrderRequest,), resend| {
                    core.order_sent(&request, resend).await
                };
                answered(body, order).await
            }
            "payment" => {
                let pay = async |(sent,): (SentPayment,), _| {
                    let digest = sent.digest;
                    core.payment_sent(&sent.into(), digest).await
                };
                answered(body, pay).await
            }
            _ => return None,
        })
    }
}

/// Reads the arguments, does the work, and writes what came of it.
async fn answered<A: DeserializeOwned, T: Serialize>(
    body: &[u8],
    work: impl AsyncFnOnce(A, Option<Resend>) -> Result<T>,
) -> Vec<u8> {
    let answer = match read(body) {
        Ok((args, resend)) => work(args, resend).await,
        Err(error) => Err(error),
    };
    written(answer.map_err(told_from_afar))
}

/// That this engine is closed is no misuse of a caller's who has another.
fn told_from_afar(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Misuse => {
            let why = format!("the running engine does not serve: {error}");
            Error::caused(ErrorKind::Unavailable, why, error)
        }
        _ => error,
    }
}

fn read<A: DeserializeOwned>(body: &[u8]) -> Result<(A, Option<Resend>)> {
    let wrong = |error| Error::invalid_argument(format!("the call cannot be read: {error}"));
    let sent: Sent<'_> = serde_json::from_slice(body).map_err(wrong)?;
    Ok((serde_json::from_str(sent.args.get()).map_err(wrong)?, sent.resend))
}

fn written<T: Serialize>(answer: Result<T>) -> Vec<u8> {
    let told: Told<T> = answer.map_err(ToldError::from);
    // Texts and numbers only: there is nothing that could not be written.
    serde_json::to_vec(&told).unwrap_or_default()
}
