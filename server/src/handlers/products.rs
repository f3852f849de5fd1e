//! Endpoints of products: reading them, and for operators making, replacing, changing
//! and archiving them, and adjusting their stock.

use hyper::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use stockade::{
    Change, Currency, Metadata, NewProduct, Product, ProductChange, ProductId, ProductRef,
    PutProduct, StockAdjustment, Timestamp,
};

use crate::call::Call;
use crate::moment::Moment;
use crate::money;
use crate::problem::Rejection;
use crate::reply::{HandlerResult, Page, Reply};

/// A product as the contract defines it, followed by additional fields.
#[derive(Serialize)]
pub struct ProductView<'a> {
    id: ProductId,
    price: Box<RawValue>,
    stock: u64,
    name: &'a str,
    held: u64,
    pending: u64,
    sold: u64,
    returned: u64,
    version: u64,
    currency: Currency,
    in_stock: u64,
    safety_stock: u64,
    archived: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_sale_from: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_sale_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
}

impl<'a> ProductView<'a> {
    /// Renders a product; the price is a JSON number with exactly its digits.
    pub fn of(product: &'a Product) -> Result<Self, Rejection> {
        Ok(Self {
            id: product.id,
            price: money::number(product.price)?,
            stock: product.stock,
            name: &product.name,
            held: product.held,
            pending: product.pending,
            sold: product.sold,
            returned: product.returned,
            version: product.version,
            currency: product.currency,
            in_stock: product.in_stock,
            safety_stock: product.safety_stock,
            archived: product.archived,
            sku: product.sku.as_deref(),
            on_sale_from: product.on_sale_from,
            on_sale_until: product.on_sale_until,
            metadata: product.metadata.as_ref(),
        })
    }
}

fn shown(product: &Product) -> HandlerResult {
    Reply::json(&ProductView::of(product)?)
}

/// `GET /api/products/{id}`
pub async fn product(call: &Call<'_>) -> HandlerResult {
    shown(&call.engine.product(call.segment::<ProductRef>(0)?).await?)
}

/// `GET /api/products?after=…&limit=…`
pub async fn products(call: &Call<'_>) -> HandlerResult {
    let after: Option<ProductId> = call.after_id()?;
    let page = call.engine.products(after, call.limit()?).await?;
    let items = page.items.iter().map(ProductView::of).collect::<Result<Vec<_>, _>>()?;
    Reply::json(&Page { items, next: page.next })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewProductBody<'a> {
    id: Option<ProductId>,
    sku: Option<String>,
    name: String,
    // A number or a string, kept as text: a float would lose cents.
    #[serde(borrow)]
    price: &'a RawValue,
    currency: Option<Currency>,
    stock: u64,
    safety_stock: Option<u64>,
    on_sale_from: Option<Moment>,
    on_sale_until: Option<Moment>,
    metadata: Option<Metadata>,
}

/// `POST /api/admin/products`
pub async fn create_product(call: &Call<'_>) -> HandlerResult {
    let body: NewProductBody<'_> = call.object()?;
    let price = money::parse("price", body.price)?;
    let mut request = NewProduct::new(body.name, price, body.stock);
    (request.id, request.sku, request.currency) = (body.id, body.sku, body.currency);
    request.safety_stock = body.safety_stock.unwrap_or_default();
    request.on_sale_from = body.on_sale_from.map(Into::into);
    request.on_sale_until = body.on_sale_until.map(Into::into);
    request.metadata = body.metadata;
    request.key = call.idempotency_key()?;
    let product = call.engine.create_product(&request).await?;
    let reply = shown(&product.value)?.status(StatusCode::CREATED);
    Ok(reply.replayed(product.replayed))
}

/// What a product shall be. Missing fields and null are reset, but for `stock`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutBody<'a> {
    name: String,
    #[serde(borrow)]
    price: &'a RawValue,
    currency: Option<Currency>,
    sku: Option<String>,
    stock: Option<u64>,
    safety_stock: Option<u64>,
    on_sale_from: Option<Moment>,
    on_sale_until: Option<Moment>,
    metadata: Option<Metadata>,
}

/// `PUT /api/admin/products/{id}`
pub async fn put_product(call: &Call<'_>) -> HandlerResult {
    let product: ProductRef = call.segment(0)?;
    let body: PutBody<'_> = call.object()?;
    let mut request = PutProduct::new(product, body.name, money::parse("price", body.price)?);
    (request.currency, request.sku, request.stock) = (body.currency, body.sku, body.stock);
    request.safety_stock = body.safety_stock.unwrap_or_default();
    request.on_sale_from = body.on_sale_from.map(Into::into);
    request.on_sale_until = body.on_sale_until.map(Into::into);
    request.metadata = body.metadata;
    request.version = call.version(None)?;
    let put = call.engine.put_product(&request).await?;
    let status = if put.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(shown(&put.product)?.status(status))
}

/// Parses a field that null clears.
fn change<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Change<T>, D::Error> {
    let value = Option::deserialize(from)?;
    Ok(value.map_or(Change::Clear, Change::Set))
}

/// Parses a field that cannot be cleared: null is of a wrong type.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// What changes of a product. Missing fields stay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody<'a> {
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    #[serde(default, borrow, deserialize_with = "present")]
    price: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "present")]
    currency: Option<Currency>,
    #[serde(default, deserialize_with = "change")]
    sku: Change<String>,
    #[serde(default, deserialize_with = "present")]
    stock: Option<u64>,
    #[serde(default, deserialize_with = "change")]
    safety_stock: Change<u64>,
    #[serde(default, deserialize_with = "change")]
    on_sale_from: Change<Moment>,
    #[serde(default, deserialize_with = "change")]
    on_sale_until: Change<Moment>,
    #[serde(default, deserialize_with = "change")]
    metadata: Change<Metadata>,
    #[serde(default, deserialize_with = "present")]
    archived: Option<bool>,
}

fn moment(change: Change<Moment>) -> Change<Timestamp> {
    match change {
        Change::Keep => Change::Keep,
        Change::Clear => Change::Clear,
        Change::Set(moment) => Change::Set(moment.into()),
    }
}

/// `PATCH /api/admin/products/{id}`
pub async fn change_product(call: &Call<'_>) -> HandlerResult {
    let mut request = ProductChange::new(call.segment::<ProductRef>(0)?);
    let body: ChangeBody<'_> = call.object()?;
    (request.name, request.price) = (body.name, money::read("price", body.price)?);
    (request.currency, request.sku, request.stock) = (body.currency, body.sku, body.stock);
    request.safety_stock = match body.safety_stock {
        Change::Keep => None,
        Change::Clear => Some(0),
        Change::Set(units) => Some(units),
    };
    request.on_sale_from = moment(body.on_sale_from);
    request.on_sale_until = moment(body.on_sale_until);
    (request.metadata, request.archived) = (body.metadata, body.archived);
    request.version = call.version(None)?;
    shown(&call.engine.change_product(&request).await?)
}

/// `DELETE /api/admin/products/{id}`: archives it.
pub async fn archive_product(call: &Call<'_>) -> HandlerResult {
    let mut request = ProductChange::new(call.segment::<ProductRef>(0)?).archived(true);
    call.no_fields()?;
    request.version = call.version(None)?;
    shown(&call.engine.change_product(&request).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdjustBody {
    delta: Option<i64>,
    to: Option<u64>,
    reason: String,
    version: Option<u64>,
}

/// `POST /api/admin/products/{id}/adjust`
pub async fn adjust_stock(call: &Call<'_>) -> HandlerResult {
    let product: ProductRef = call.segment(0)?;
    let body: AdjustBody = call.object()?;
    let mut request = match (body.delta, body.to) {
        (Some(delta), None) => StockAdjustment::new(product, delta, body.reason),
        (None, Some(to)) => StockAdjustment::to(product, to, body.reason),
        (None, None) => return Err(Rejection::invalid("delta is missing, or to")),
        (Some(_), Some(_)) => return Err(Rejection::invalid("delta and to are both given")),
    };
    request.version = call.version(body.version)?;
    request.key = call.idempotency_key()?;
    let product = call.engine.adjust_stock(&request).await?;
    Ok(shown(&product.value)?.replayed(product.replayed))
}
