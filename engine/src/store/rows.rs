//! Each table's SELECT list with the decoder of its rows.

use super::hold_batch::HoldBatch;
use crate::ledger::{HoldRow, KeyRow, PaymentRow, ProductRow};
use crate::model::Coded;
use crate::model::{
    Currency, HoldId, Metadata, Money, OrderId, Product, ProductId, Timestamp, Token, TokenSeed,
};

/// A row of a driver.
pub(super) trait RawCells {
    fn opt_int(&self, at: usize) -> sqlx::Result<Option<i64>>;
    fn opt_bytes(&self, at: usize) -> sqlx::Result<Option<Vec<u8>>>;
    fn text(&self, at: usize) -> sqlx::Result<String>;
}

/// A row of a driver. Each method reads the next column, so that a decoder
/// lists the columns in the order of its SELECT and needs no numbers.
pub(super) struct Cells<'a> {
    row: &'a dyn RawCells,
    next: usize,
}

impl<'a> Cells<'a> {
    pub fn new(row: &'a dyn RawCells) -> Self {
        Self { row, next: 0 }
    }

    fn next(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    /// The error of a last read column whose value Stockade does not write.
    pub fn invalid_value(&self) -> sqlx::Error {
        sqlx::Error::ColumnDecode {
            index: self.next.saturating_sub(1).to_string(),
            source: "the stored value is not one that Stockade writes".into(),
        }
    }

    pub fn text(&mut self) -> sqlx::Result<String> {
        let at = self.next();
        self.row.text(at)
    }

    pub fn opt_int(&mut self) -> sqlx::Result<Option<i64>> {
        let at = self.next();
        self.row.opt_int(at)
    }

    pub fn int(&mut self) -> sqlx::Result<i64> {
        self.opt_int()?.ok_or_else(|| self.invalid_value())
    }

    /// A number that is never negative.
    pub fn count(&mut self) -> sqlx::Result<u64> {
        u64::try_from(self.int()?).map_err(|_| self.invalid_value())
    }

    /// The units of one hold or order.
    pub fn units(&mut self) -> sqlx::Result<u32> {
        u32::try_from(self.int()?).map_err(|_| self.invalid_value())
    }

    pub fn time(&mut self) -> sqlx::Result<Timestamp> {
        self.int().map(Timestamp::from_micros)
    }

    pub fn opt_time(&mut self) -> sqlx::Result<Option<Timestamp>> {
        Ok(self.opt_int()?.map(Timestamp::from_micros))
    }

    pub fn coded<T: Coded>(&mut self) -> sqlx::Result<T> {
        T::from_code(self.int()?).ok_or_else(|| self.invalid_value())
    }

    fn opt_bytes(&mut self) -> sqlx::Result<Option<Vec<u8>>> {
        let at = self.next();
        self.row.opt_bytes(at)
    }

    pub fn bytes(&mut self) -> sqlx::Result<Vec<u8>> {
        self.opt_bytes()?.ok_or_else(|| self.invalid_value())
    }

    fn hash(&mut self) -> sqlx::Result<[u8; 32]> {
        self.bytes()?.try_into().map_err(|_| self.invalid_value())
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self) -> sqlx::Result<T> {
        serde_json::from_slice(&self.bytes()?).map_err(|_| self.invalid_value())
    }

    pub fn opt_json<T: serde::de::DeserializeOwned>(&mut self) -> sqlx::Result<Option<T>> {
        let Some(bytes) = self.opt_bytes()? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| self.invalid_value())
    }

    fn opt_token(&mut self) -> sqlx::Result<Option<Token>> {
        let Some(bytes) = self.opt_bytes()? else { return Ok(None) };
        let bytes = bytes.try_into().map_err(|_| self.invalid_value())?;
        Ok(Some(Token(u128::from_be_bytes(bytes))))
    }

    pub fn token(&mut self) -> sqlx::Result<Token> {
        self.opt_token()?.ok_or_else(|| self.invalid_value())
    }

    fn seed(&mut self) -> sqlx::Result<TokenSeed> {
        self.token().map(|token| TokenSeed(token.0))
    }

    pub fn key(&mut self) -> sqlx::Result<String> {
        self.opt_key()?.ok_or_else(|| self.invalid_value())
    }

    /// A text that is kept as bytes.
    pub fn opt_key(&mut self) -> sqlx::Result<Option<String>> {
        let Some(bytes) = self.opt_bytes()? else { return Ok(None) };
        String::from_utf8(bytes).map(Some).map_err(|_| self.invalid_value())
    }

    pub fn currency(&mut self) -> sqlx::Result<Currency> {
        self.text()?.parse().map_err(|_| self.invalid_value())
    }
}

/// Implements [`RawCells`] for a driver's row.
macro_rules! raw_cells {
    ($row:ty) => {
        impl $crate::store::rows::RawCells for $row {
            fn opt_int(&self, at: usize) -> sqlx::Result<Option<i64>> {
                sqlx::Row::try_get(self, at)
            }
            fn opt_bytes(&self, at: usize) -> sqlx::Result<Option<Vec<u8>>> {
                sqlx::Row::try_get(self, at)
            }
            fn text(&self, at: usize) -> sqlx::Result<String> {
                sqlx::Row::try_get(self, at)
            }
        }
    };
}
pub(super) use raw_cells;

/// The columns of [`product`].
pub(super) const PRODUCT: &str = "id, sku, name, price, currency, stock, held, pending, sold, returned, version, received, fence, \
     next_due, safety_stock, on_sale_from, on_sale_until, archived, metadata";

pub(super) fn product(row: &mut Cells<'_>) -> sqlx::Result<ProductRow> {
    let (id, sku, name) = (ProductId(row.count()?), row.opt_key()?, row.text()?);
    let (minor, currency) = (row.int()?, row.currency()?);
    let in_stock = row.count()?;
    let mut product = Product {
        id,
        sku,
        name,
        price: Money::from_row(minor, currency),
        currency,
        stock: 0,
        in_stock,
        safety_stock: 0,
        held: row.count()?,
        pending: row.count()?,
        sold: row.count()?,
        returned: row.count()?,
        on_sale_from: None,
        on_sale_until: None,
        archived: false,
        metadata: None,
        version: row.count()?,
    };
    let (received, fence, next_due) = (row.count()?, row.count()?, row.opt_time()?);
    product.safety_stock = row.count()?;
    product.set_in_stock(in_stock);
    (product.on_sale_from, product.on_sale_until) = (row.opt_time()?, row.opt_time()?);
    product.archived = row.int()? != 0;
    product.metadata = row.opt_key()?.map(|text| Metadata::stored(&text));
    Ok(ProductRow { product, received, fence, next_due })
}

/// The columns of [`hold_batch`].
pub(super) const HOLD_BATCH: &str =
    "first_id, product_id, expires_at, created_at, version, seed, quantities, statuses, carts";

/// Qualifies columns with the alias of their table.
pub(super) fn of_alias(columns: &str, alias: &str) -> String {
    let columns: Vec<_> = columns.split(", ").map(|name| format!("{alias}.{name}")).collect();
    columns.join(", ")
}

/// Decodes a row of [`HOLD_BATCH`].
pub(super) fn hold_batch(row: &mut Cells<'_>) -> sqlx::Result<HoldBatch> {
    let batch = HoldBatch::unpacked(
        row.count()?,
        ProductId(row.count()?),
        row.time()?,
        row.time()?,
        row.count()?,
        row.seed()?,
    );
    let (quantities, statuses) = (row.bytes()?, row.bytes()?);
    let carts = row.opt_bytes()?;
    let batch = batch.with_packed(quantities, statuses);
    batch.and_then(|batch| batch.with_carts(carts)).ok_or_else(|| row.invalid_value())
}

/// The columns of [`detached_hold`].
pub(super) const DETACHED_HOLD: &str =
    "hold_id, product_id, qty, status, expires_at, created_at, seed";

/// Decodes a row of [`DETACHED_HOLD`], with its seed.
pub(super) fn detached_hold(row: &mut Cells<'_>) -> sqlx::Result<(HoldRow, TokenSeed)> {
    let mut hold = HoldRow {
        id: HoldId(row.count()?),
        product_id: ProductId(row.count()?),
        quantity: row.units()?,
        status: row.coded()?,
        expires_at: row.time()?,
        created_at: row.time()?,
        token: Token(0),
        cart_id: None,
    };
    let seed = row.seed()?;
    hold.token = seed.deriver().token(hold.id);
    Ok((hold, seed))
}

/// The columns of [`payment`].
pub(super) const PAYMENT: &str =
    "idempotency_key, fingerprint, order_id, secret, outcome, terms, answer, waiting, received_at";

pub(super) fn payment(row: &mut Cells<'_>) -> sqlx::Result<PaymentRow> {
    Ok(PaymentRow {
        key: row.key()?,
        fingerprint: row.hash()?,
        order_id: OrderId(row.count()?),
        secret: row.opt_token()?,
        outcome: row.coded()?,
        terms: row.opt_json()?.unwrap_or_default(),
        answer: row.coded()?,
        waiting: row.int()? != 0,
        received_at: row.time()?,
    })
}

/// The columns of [`key`].
pub(super) const KEY: &str = "idempotency_key, fingerprint, answer";

pub(super) fn key(row: &mut Cells<'_>) -> sqlx::Result<KeyRow> {
    Ok(KeyRow { key: row.key()?, fingerprint: row.hash()?, answer: row.json()? })
}
