//! Simulated callers. Each sends one request after the other.

mod orders;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::fault_schedule::FaultKind;
use super::log::{HoldOp, Response, Violation, tagged_ttl};
use super::shop::{ProcessHandle, RESPONSE_TIMEOUT, Shop};
use super::world::here;
use crate::call::Retry;
use crate::error::{Error, Result};
use crate::local::LocalBackend;
use crate::model::{
    CartId, CartRequest, Change, ChangeQuantityRequest, ExtendCartRequest, ExtendRequest, Hold,
    HoldId, HoldRequest, HoldStatus, ProductChange, ProductId, ProductRef, Replayable,
    StockAdjustment, Token,
};
use crate::runtime;

/// SKUs that go from product to product.
const SKUS: [&str; 2] = ["a", "b"];

/// Runs one caller: sends `times` requests, one after the other.
pub(super) async fn call(shop: Arc<Shop>, times: u64) {
    for _ in 0..times {
        let pause = here().draw_time(Duration::ZERO..Duration::from_millis(30));
        // Half of the requests follow without a pause, so that the combiner forms
        // batches.
        if here().happens(0.5) {
            runtime::sleep(pause).await;
        }
        let op = shop.log.begin();
        let handle = any_process(&shop);
        match here().draw(0..100) {
            0..31 => hold(&shop, op).await,
            31..41 => cart(&shop, op).await,
            41..55 => orders::order(&shop, op, &handle).await,
            55..66 => orders::pay(&shop, op).await,
            66..77 => orders::change(&shop, op).await,
            77..81 => release(&shop, &handle).await,
            81..83 => release_cart(&shop, &handle).await,
            83..85 => change_quantity(&shop, &handle).await,
            85..87 => extend(&shop, &handle).await,
            87 => extend_cart(&shop, &handle).await,
            88..90 => adjust(&shop, &handle).await,
            90..92 => change_terms(&shop, &handle).await,
            92..98 => read(&shop, &handle).await,
            _ => drop(await_response(&shop, &handle, handle.backend.sweep()).await),
        }
    }
}

fn any_process(shop: &Shop) -> ProcessHandle {
    let handles = shop.handles();
    let at = here().draw(0..handles.len() as u64);
    handles[usize::try_from(at).unwrap_or(0)].clone()
}

/// Waits for a response; `None` when the caller cancels or its process dies.
async fn await_response<T>(
    shop: &Shop,
    handle: &ProcessHandle,
    call: impl Future<Output = Result<T>>,
) -> Option<Result<T>> {
    let is_leaving = shop.faults.strikes(FaultKind::CallerCancelled);
    let stays = match is_leaving {
        true => here().draw_time(Duration::ZERO..Duration::from_millis(20)),
        false => RESPONSE_TIMEOUT,
    };
    tokio::select! {
        biased;
        () = handle.killed.cancelled() => None,
        answer = runtime::timeout(stays, call) => {
            if answer.is_none() && !is_leaving {
                shop.log.report(Violation::Unexplained, "a caller received no response within the timeout".to_owned());
            }
            if let Some(answer) = &answer {
                here().note(&answer.as_ref().err().map(Error::code));
            }
            answer
        }
    }
}

/// Which idempotency key a hold request carries.
#[derive(Clone)]
enum Key {
    None,
    Callers(String),
    Clients(Token),
}

fn drawn_key(op: u64) -> Key {
    match here().draw(0..3) {
        0 => Key::None,
        1 => Key::Callers(format!("key-{op}")),
        _ => Key::Clients(Token(u128::from(op))),
    }
}

fn retry(key: &Key, again: bool) -> Option<Retry> {
    match key {
        Key::Clients(token) => Some(Retry { key: *token, is_retry: again }),
        _ => None,
    }
}

/// Retries under the same idempotency key, at any process, until the response is
/// definite.
async fn request_holds(
    shop: &Shop,
    op: u64,
    lines: BTreeMap<ProductId, u32>,
    sku: Option<&'static str>,
    key: Key,
    send: impl Fn(Arc<LocalBackend>, Option<Retry>) -> BoxFuture<'static, Result<Replayable<Vec<Hold>>>>,
) {
    let keeps_refusals = matches!(key, Key::Callers(_));
    let record = HoldOp { lines, sku, keeps_refusals, ..HoldOp::default() };
    shop.log.records().holds.insert(op, record);
    let tries = if matches!(key, Key::None) { 1 } else { 4 };
    for round in 0..tries {
        let handle = any_process(shop);
        let answer = await_response(
            shop,
            &handle,
            send(Arc::clone(&handle.backend), retry(&key, round > 0)),
        )
        .await;
        let response = match &answer {
            None => Response::Unknown,
            Some(Ok(_)) => Response::Done,
            Some(Err(error)) => shop.log.classify(error),
        };
        let made = answer.and_then(Result::ok);
        let is_other = |hold: &&Hold| sku.is_some() && hold.sku.as_deref() != sku;
        if let Some(other) = made.as_ref().and_then(|made| made.value.iter().find(is_other)) {
            let what = format!("a hold of the product with the SKU {sku:?} is {other:?}");
            shop.log.report(Violation::Unexplained, what);
        }
        let mut records = shop.log.records();
        if let Some(made) = &made {
            records.known_holds.extend(made.value.iter().cloned());
            if !made.replayed {
                let versions = shop.database.read(|tables| {
                    let at = |hold: &Hold| Some((hold.product_id, *tables.made_at.get(&hold.id)?));
                    made.value.iter().filter_map(at).collect::<Vec<_>>()
                });
                versions
                    .into_iter()
                    .for_each(|(id, version)| records.raise(handle.process, id, version));
            }
        }
        if let Some(record) = records.holds.get_mut(&op) {
            record.responses.push(response);
            record.answers.extend(made.map(|made| made.value));
        }
        if matches!(response, Response::Done | Response::Refused) {
            return;
        }
    }
}

async fn hold(shop: &Shop, op: u64) {
    let id = here().pick(&shop.products);
    let quantity = here().pick(&[1, 1, 1, 2, 3]);
    let (key, ttl) = (drawn_key(op), tagged_ttl(op));
    let sku = here().happens(0.2).then(|| here().pick(&SKUS));
    let product = sku.map_or_else(|| ProductRef::from(id), ProductRef::sku);
    let mut request = HoldRequest::new(product, quantity).ttl(ttl);
    if let Key::Callers(key) = &key {
        request = request.key(key.clone());
    }
    let send = move |backend: Arc<LocalBackend>, retry| -> BoxFuture<'static, _> {
        let request = request.clone();
        Box::pin(async move {
            let held = backend.create_hold(request, retry).await?;
            Ok(Replayable { value: vec![held.value], replayed: held.replayed })
        })
    };
    request_holds(shop, op, [(id, quantity)].into(), sku, key, send).await;
}

async fn cart(shop: &Shop, op: u64) {
    let (key, ttl) = (drawn_key(op), tagged_ttl(op));
    let mut lines: BTreeMap<ProductId, u32> = BTreeMap::new();
    for _ in 0..here().draw(1..4) {
        lines.insert(here().pick(&shop.products), here().pick(&[1, 2]));
    }
    let mut request =
        CartRequest::new(lines.iter().map(|(id, quantity)| (*id, *quantity))).ttl(ttl);
    if let Key::Callers(key) = &key {
        request = request.key(key.clone());
    }
    let send = move |backend: Arc<LocalBackend>, retry| -> BoxFuture<'static, _> {
        let request = request.clone();
        Box::pin(async move {
            let Replayable { value, replayed } = backend.create_holds(request, retry).await?;
            Ok(Replayable { value: value.holds, replayed })
        })
    };
    request_holds(shop, op, lines, None, key, send).await;
}

/// Picks a hold from an earlier response, or an id that may exist later.
fn some_hold(shop: &Shop) -> Hold {
    let records = shop.log.records();
    let known = &records.known_holds;
    if known.is_empty() || here().happens(0.05) {
        return Hold {
            id: HoldId(here().draw(1..40)),
            product_id: here().pick(&shop.products),
            sku: None,
            quantity: 1,
            status: HoldStatus::Active,
            expires_at: super::database::clock(),
            created_at: super::database::clock(),
            token: None,
            order_id: None,
            cart_id: None,
            customer: None,
            metadata: None,
        };
    }
    // The newest holds are picked most often, so that callers contend for them.
    let among = (known.len() as u64).min(here().pick(&[3, 40]));
    let back = usize::try_from(here().draw(0..among)).unwrap_or(0);
    known[known.len() - 1 - back].clone()
}

async fn release(shop: &Shop, handle: &ProcessHandle) {
    let hold = some_hold(shop);
    // The release is in doubt until its response arrives.
    shop.log.records().releases.push((hold.id, Response::Unknown));
    match await_response(shop, handle, handle.backend.release_hold(hold.id.into())).await {
        Some(Ok(hold)) => {
            let response = match hold.status {
                HoldStatus::Released => Response::Done,
                _ => Response::Refused,
            };
            shop.log.records().releases.push((hold.id, response));
        }
        Some(Err(error)) => drop(shop.log.classify(&error)),
        None => {}
    }
}

async fn extend(shop: &Shop, handle: &ProcessHandle) {
    let hold = some_hold(shop);
    let request = ExtendRequest::new(hold.id).ttl(Duration::from_secs(here().pick(&[1, 3, 6])));
    match await_response(shop, handle, handle.backend.extend_hold(request)).await {
        Some(Ok(extended)) => shop.log.records().extensions.push((hold.id, extended)),
        Some(Err(error)) => drop(shop.log.classify(&error)),
        None => {}
    }
}

async fn change_quantity(shop: &Shop, handle: &ProcessHandle) {
    let hold = some_hold(shop);
    let request = ChangeQuantityRequest::new(hold.id, here().pick(&[1, 2, 3, 5]));
    let answer = await_response(shop, handle, handle.backend.change_quantity(request, None)).await;
    if let Some(Err(error)) = answer {
        shop.log.classify(&error);
    }
}

/// Picks a cart from an earlier response.
fn some_cart(shop: &Shop) -> Option<CartId> {
    let records = shop.log.records();
    let carts = records.known_holds.iter().rev().filter_map(|hold| hold.cart_id);
    let newest: Vec<CartId> = carts.take(20).collect();
    (!newest.is_empty()).then(|| here().pick(&newest))
}

async fn release_cart(shop: &Shop, handle: &ProcessHandle) {
    let Some(id) = some_cart(shop) else { return };
    let holds = shop.database.read(|tables| {
        let of_cart = tables.holds.values().filter(|hold| hold.cart_id == Some(id));
        of_cart.map(|hold| hold.id).collect::<Vec<_>>()
    });
    let asked = holds.into_iter().map(|hold| (hold, Response::Unknown));
    shop.log.records().releases.extend(asked);
    match await_response(shop, handle, handle.backend.release_cart(id.into())).await {
        Some(Ok(cart)) => {
            let released = cart.holds.into_iter();
            let released = released.filter(|hold| hold.status == HoldStatus::Released);
            let done = released.map(|hold| (hold.id, Response::Done));
            shop.log.records().releases.extend(done);
        }
        Some(Err(error)) => drop(shop.log.classify(&error)),
        None => {}
    }
}

async fn extend_cart(shop: &Shop, handle: &ProcessHandle) {
    let Some(id) = some_cart(shop) else { return };
    let request = ExtendCartRequest::new(id).ttl(Duration::from_secs(here().pick(&[1, 3, 6])));
    match await_response(shop, handle, handle.backend.extend_cart(request)).await {
        Some(Ok(cart)) => {
            let extended = cart.holds.into_iter().map(|hold| (hold.id, hold));
            shop.log.records().extensions.extend(extended);
        }
        Some(Err(error)) => drop(shop.log.classify(&error)),
        None => {}
    }
}

async fn adjust(shop: &Shop, handle: &ProcessHandle) {
    let id = here().pick(&shop.products);
    let delta = here().pick(&[1, 2, 5, -1, -3]);
    let place = {
        let mut records = shop.log.records();
        records.adjustments.push((id, delta, Response::Unknown));
        records.adjustments.len() - 1
    };
    let answer = await_response(
        shop,
        handle,
        handle.backend.adjust_stock(StockAdjustment::new(id, delta, "counted"), None),
    )
    .await;
    let response = match &answer {
        None => Response::Unknown,
        Some(Ok(_)) => Response::Done,
        Some(Err(error)) => shop.log.classify(error),
    };
    let mut records = shop.log.records();
    records.adjustments[place].2 = response;
    if let Some(Ok(product)) = answer {
        records.raise(handle.process, id, product.value.version);
    }
}

/// Gives a product another safety stock or another SKU, which it may take from no other.
async fn change_terms(shop: &Shop, handle: &ProcessHandle) {
    let id = here().pick(&shop.products);
    let change = ProductChange::new(id);
    let change = match here().draw(0..4) {
        0 => change.safety_stock(here().pick(&[0, 0, 1, 3])),
        1 => change.sku(Change::Clear),
        _ => change.sku(here().pick(&SKUS).to_owned()),
    };
    match await_response(shop, handle, handle.backend.change_product(change, None)).await {
        Some(Ok(product)) => shop.log.records().raise(handle.process, id, product.version),
        Some(Err(error)) => drop(shop.log.classify(&error)),
        None => {}
    }
}

async fn read(shop: &Shop, handle: &ProcessHandle) {
    let id = here().pick(&shop.products);
    let floor = shop.log.records().floors.get(&(handle.process, id)).copied().unwrap_or(0);
    match await_response(shop, handle, handle.backend.product(id.into())).await {
        Some(Ok(product)) => {
            if product.version < floor {
                let what = format!(
                    "product {id} was shown at version {} after {floor} in {:?}",
                    product.version, handle.process
                );
                shop.log.report(Violation::Unexplained, what);
            }
            shop.log.records().raise(handle.process, id, product.version);
        }
        Some(Err(error)) if shop.log.classify(&error) == Response::Refused => {
            shop.log.report(Violation::Lost, format!("product {id} was not found: {error}"));
        }
        Some(Err(_)) | None => {}
    }
    let known: Option<HoldId> = shop.log.records().known_holds.last().map(|hold| hold.id);
    if let Some(hold_id) = known
        && let Some(Err(error)) = await_response(shop, handle, handle.backend.hold(hold_id)).await
        && shop.log.classify(&error) == Response::Refused
    {
        shop.log.report(Violation::Lost, format!("hold {hold_id} was acknowledged and is missing"));
    }
}
