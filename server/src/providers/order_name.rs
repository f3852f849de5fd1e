//! How a provider's event names its order.

use serde_json::Value;
use stockade::{OrderId, PaymentToken};

use super::json;
use crate::problem::Rejection;

/// The fields of a provider's metadata that name the order.
const TOKEN: &str = "stockade_payment_token";
const ORDER_ID: &str = "stockade_order_id";

/// The most characters of a shop's number of an order, and the most bytes of a provider's
/// id of a payment, that the engine takes.
const REFERENCE_CHARS_MAX: usize = 128;
const PAYMENT_BYTES_MAX: usize = 200;

/// The names of an order in an event; none if it says nothing of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderName {
    /// The payment token that creating the order returned.
    pub payment_token: Option<String>,
    /// The order's id.
    pub order_id: Option<u64>,
    /// The provider's id of the payment.
    pub payment_reference: Option<String>,
    /// The shop's own number of the order.
    pub reference: Option<String>,
}

impl OrderName {
    /// Reads `stockade_payment_token` and `stockade_order_id` from the metadata of a
    /// payment. Fields of other types, and no metadata, name nothing.
    ///
    /// # Errors
    /// `invalid_argument` for a token or an id that no order can have.
    pub fn from_metadata(metadata: Option<&Value>) -> Result<Self, Rejection> {
        Self::from_fields(metadata, "")
    }

    /// Reads the same fields, with a prefix before their names.
    ///
    /// # Errors
    /// As [`Self::from_metadata`].
    pub fn from_fields(fields: Option<&Value>, prefix: &str) -> Result<Self, Rejection> {
        let mut name = Self::default();
        let Some(fields) = fields else { return Ok(name) };
        if let Some(token) = json::plain(fields, &format!("/{prefix}{TOKEN}")) {
            let _: PaymentToken = token.parse()?;
            name.payment_token = Some(token);
        }
        if let Some(id) = json::plain(fields, &format!("/{prefix}{ORDER_ID}")) {
            let id: OrderId = id.parse()?;
            if !id.is_possible() {
                return Err(Rejection::invalid(format!("{ORDER_ID} is out of range")));
            }
            name.order_id = Some(id.0);
        }
        Ok(name)
    }

    /// Adds a field that the shop fills as it likes: the payment token, if it reads as
    /// one, else the shop's number of the order.
    #[must_use]
    pub fn or_own(mut self, text: Option<&str>) -> Self {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return self };
        if text.parse::<PaymentToken>().is_ok() {
            self.payment_token.get_or_insert_with(|| text.to_owned());
        } else {
            self.reference.get_or_insert_with(|| text.to_owned());
        }
        self
    }

    /// The shop's number of the order, if an order can have it.
    pub fn reference(&self) -> Option<&str> {
        let reference = self.reference.as_deref()?;
        let is_possible = (1..=REFERENCE_CHARS_MAX).contains(&reference.chars().count());
        (is_possible && !reference.contains('\0')).then_some(reference)
    }

    /// The provider's id of the payment, if an order can be tied to it.
    pub fn payment(&self) -> Option<&str> {
        let id = self.payment_reference.as_deref()?;
        let is_possible = (1..=PAYMENT_BYTES_MAX).contains(&id.len());
        (is_possible && !id.chars().any(char::is_control)).then_some(id)
    }

    /// Adds the provider's id of the payment.
    #[must_use]
    pub fn of_payment(mut self, id: Option<&str>) -> Self {
        self.payment_reference = id.map(str::to_owned);
        self
    }
}
