//! Reading rows: each table's columns and how a row of them becomes a value.

use sqlx::Row;
use sqlx::mysql::MySqlRow;
use sqlx::sqlite::SqliteRow;

use super::codes::Coded;
use crate::ledger::{KeyRow, OrderRow, PaymentRow, ProductRow};
use crate::model::{
    Hold, HoldId, Money, Order, OrderId, PaymentToken, Product, ProductId, Timestamp, Token,
};

pub(super) const PRODUCT: &str =
    "id, name, price, stock, held, pending, sold, received, version, fence, next_due";
/// Where the time stands that is read beside [`PRODUCT`].
pub(super) const PRODUCT_TIME: usize = 11;
pub(super) const HOLD: &str = "id, product_id, qty, status, expires_at, created_at, token";
/// Where the customer stands that is read beside [`HOLD`].
pub(super) const HOLD_CUSTOMER: usize = 7;
pub(super) const ORDER: &str = "id, hold_id, product_id, qty, status, disposition, secret, \
     created_at, updated_at, due_at";
pub(super) const PAYMENT: &str =
    "idempotency_key, body_hash, order_id, secret, outcome, answer, waiting, received_at";
pub(super) const KEY: &str = "idempotency_key, fingerprint, answer";

/// A row of either driver.
pub(super) trait RawCells {
    fn opt_int(&self, at: usize) -> sqlx::Result<Option<i64>>;
    fn opt_bytes(&self, at: usize) -> sqlx::Result<Option<Vec<u8>>>;
    fn text(&self, at: usize) -> sqlx::Result<String>;
}

/// A row of either driver, by the position of its columns.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a>(pub &'a dyn RawCells);

impl Cells<'_> {
    pub fn text(self, at: usize) -> sqlx::Result<String> {
        self.0.text(at)
    }

    pub fn opt_int(self, at: usize) -> sqlx::Result<Option<i64>> {
        self.0.opt_int(at)
    }

    pub fn int(self, at: usize) -> sqlx::Result<i64> {
        self.0.opt_int(at)?.ok_or_else(|| wrong(at))
    }

    /// A number that is never negative.
    pub fn count(self, at: usize) -> sqlx::Result<u64> {
        u64::try_from(self.int(at)?).map_err(|_| wrong(at))
    }

    pub fn time(self, at: usize) -> sqlx::Result<Timestamp> {
        self.int(at).map(Timestamp::from_micros)
    }

    pub fn opt_time(self, at: usize) -> sqlx::Result<Option<Timestamp>> {
        Ok(self.opt_int(at)?.map(Timestamp::from_micros))
    }

    fn coded<T: Coded>(self, at: usize) -> sqlx::Result<T> {
        T::from_code(self.int(at)?).ok_or_else(|| wrong(at))
    }

    fn bytes(self, at: usize) -> sqlx::Result<Vec<u8>> {
        self.0.opt_bytes(at)?.ok_or_else(|| wrong(at))
    }

    fn hash(self, at: usize) -> sqlx::Result<[u8; 32]> {
        self.bytes(at)?.try_into().map_err(|_| wrong(at))
    }

    fn opt_token(self, at: usize) -> sqlx::Result<Option<Token>> {
        match self.0.opt_bytes(at)? {
            None => Ok(None),
            Some(bytes) => {
                let bytes = bytes.try_into().map_err(|_| wrong(at))?;
                Ok(Some(Token(u128::from_be_bytes(bytes))))
            }
        }
    }

    fn token(self, at: usize) -> sqlx::Result<Token> {
        self.opt_token(at)?.ok_or_else(|| wrong(at))
    }

    pub fn key(self, at: usize) -> sqlx::Result<String> {
        String::from_utf8(self.bytes(at)?).map_err(|_| wrong(at))
    }
}

pub(super) fn wrong(at: usize) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: at.to_string(),
        source: "the stored value is none that Stockade writes".into(),
    }
}

macro_rules! cells {
    ($($row:ty),*) => {
        $(impl RawCells for $row {
            fn opt_int(&self, at: usize) -> sqlx::Result<Option<i64>> {
                self.try_get(at)
            }
            fn opt_bytes(&self, at: usize) -> sqlx::Result<Option<Vec<u8>>> {
                self.try_get(at)
            }
            fn text(&self, at: usize) -> sqlx::Result<String> {
                self.try_get(at)
            }
        })*
    };
}

cells!(MySqlRow, SqliteRow);

/// Reads a row of [`PRODUCT`].
pub(super) fn product(row: Cells<'_>) -> sqlx::Result<ProductRow> {
    Ok(ProductRow {
        product: Product {
            id: ProductId(row.count(0)?),
            name: row.text(1)?,
            price: Money::from_row(row.int(2)?),
            stock: row.count(3)?,
            held: row.count(4)?,
            pending: row.count(5)?,
            sold: row.count(6)?,
            version: row.count(8)?,
        },
        received: row.count(7)?,
        fence: row.count(9)?,
        next_due: row.opt_time(10)?,
    })
}

/// Reads a row of [`HOLD`].
pub(super) fn hold(row: Cells<'_>) -> sqlx::Result<Hold> {
    Ok(Hold {
        id: HoldId(row.count(0)?),
        product_id: ProductId(row.count(1)?),
        qty: u32::try_from(row.count(2)?).map_err(|_| wrong(2))?,
        status: row.coded(3)?,
        expires_at: row.time(4)?,
        created_at: row.time(5)?,
        token: row.token(6)?,
        order_id: None,
    })
}

/// Reads a row of [`ORDER`].
pub(super) fn order(row: Cells<'_>) -> sqlx::Result<OrderRow> {
    let id = OrderId(row.count(0)?);
    Ok(OrderRow {
        order: Order {
            id,
            hold_id: HoldId(row.count(1)?),
            product_id: ProductId(row.count(2)?),
            qty: u32::try_from(row.count(3)?).map_err(|_| wrong(3))?,
            status: row.coded(4)?,
            payment_disposition: row.coded(5)?,
            payment_token: PaymentToken { order_id: id, secret: row.token(6)? },
            created_at: row.time(7)?,
            updated_at: row.time(8)?,
        },
        due_at: row.opt_time(9)?,
    })
}

/// Reads a row of [`PAYMENT`].
pub(super) fn payment(row: Cells<'_>) -> sqlx::Result<PaymentRow> {
    Ok(PaymentRow {
        key: row.key(0)?,
        body_hash: row.hash(1)?,
        order_id: OrderId(row.count(2)?),
        secret: row.opt_token(3)?,
        outcome: row.coded(4)?,
        answer: row.coded(5)?,
        waiting: row.int(6)? != 0,
        received_at: row.time(7)?,
    })
}

/// Reads a row of [`KEY`].
pub(super) fn key(row: Cells<'_>) -> sqlx::Result<KeyRow> {
    Ok(KeyRow {
        key: row.key(0)?,
        fingerprint: row.hash(1)?,
        answer: serde_json::from_slice(&row.bytes(2)?).map_err(|_| wrong(2))?,
    })
}
