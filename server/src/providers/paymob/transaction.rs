//! Reads a transaction so strictly that its signed text has no second reading.
//!
//! Paymob joins the signed fields without separators, so a copy of a callback may cut the
//! same text elsewhere and keep its `hmac`: 199 cents of the year 2026 are 19920 cents of
//! the year 26. Each field is therefore read by its exact JSON type and form, and in their
//! order the forms leave one place for each cut. The amount has no minus, so the first one
//! ends a year of four digits; after the moment come three capital letters and two flags;
//! flags begin with a small letter, which no number does, and tell themselves apart by it;
//! the text ends with a flag. Nothing is read of the texts of the source before that.
//!
//! Two pairs of numbers stay side by side: the transaction's id with its integration's,
//! and the id of Paymob's order with its owner's. [`Transaction::joined_ids`] is the same
//! wherever the first pair is cut; the second only names an order, as fields do that
//! Paymob does not sign.

use serde_json::Value;

use crate::problem::Rejection;
use crate::providers::json;

/// The flags among the signed fields.
const FLAGS: [&str; 10] = [
    "error_occured",
    "has_parent_transaction",
    "is_3d_secure",
    "is_auth",
    "is_capture",
    "is_refunded",
    "is_standalone_payment",
    "is_voided",
    "pending",
    "success",
];

/// The form of a moment: `0` stands for a digit, the rest for itself.
const MOMENT: &[u8] = b"2000-00-00T00:00:00";
const OFFSET: &[u8] = b"00:00";

/// A transaction whose signed fields have their types and forms.
#[derive(Debug, Clone, Copy)]
pub struct Transaction<'a> {
    object: &'a Value,
    id: u64,
    /// The integration by which the customer paid.
    pub integration_id: u64,
    /// Paymob's order.
    pub order_id: u64,
}

impl<'a> Transaction<'a> {
    /// Reads the object of a callback.
    ///
    /// # Errors
    /// `invalid_argument`, naming the first signed field of another type or form.
    pub fn read(object: &'a Value) -> Result<Self, Rejection> {
        number(object, "/amount_cents")?;
        form(
            object,
            "/created_at",
            "a date and time such as 2026-11-27T08:00:00.592345",
            |value| value.as_str().is_some_and(is_moment),
        )?;
        form(object, "/currency", "three capital letters, such as EGP", |value| {
            let code = value.as_str().unwrap_or_default();
            code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())
        })?;
        let id = number(object, "/id")?;
        let integration_id = number(object, "/integration_id")?;
        let order_id = number(object, "/order/id")?;
        number(object, "/owner")?;
        for flag in FLAGS {
            form(object, &format!("/{flag}"), "true or false", Value::is_boolean)?;
        }
        for name in ["pan", "sub_type", "type"] {
            let pointer = format!("/source_data/{name}");
            form(object, &pointer, "a text", |value| value.is_string() || value.is_null())?;
        }
        Ok(Self { object, id, integration_id, order_id })
    }

    /// A flag of the transaction.
    pub fn is(&self, flag: &str) -> bool {
        json::flag(self.object, &format!("/{flag}"))
    }

    /// The ids of the transaction and of its integration as they are signed, one after the
    /// other: a copy that is cut elsewhere has the same.
    pub fn joined_ids(&self) -> String {
        format!("{}{}", self.id, self.integration_id)
    }
}

fn number(object: &Value, pointer: &str) -> Result<u64, Rejection> {
    form(object, pointer, "a whole number of at least 0", Value::is_u64)?;
    Ok(object.pointer(pointer).and_then(Value::as_u64).unwrap_or_default())
}

fn form(
    object: &Value,
    pointer: &str,
    expected: &str,
    is_right: impl Fn(&Value) -> bool,
) -> Result<(), Rejection> {
    if is_right(object.pointer(pointer).unwrap_or(&Value::Null)) {
        return Ok(());
    }
    Err(json::unreadable(&format!("/obj{pointer}"), &format!("expected {expected}")))
}

/// Whether a text is a date and time of this millennium in ISO 8601, with or without a
/// fraction and an offset, and nothing more.
fn is_moment(text: &str) -> bool {
    let Some((moment, rest)) = text.as_bytes().split_at_checked(MOMENT.len()) else { return false };
    let rest = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
        _ => rest,
    };
    let is_offset = match rest {
        [] | [b'Z'] => true,
        [b'+' | b'-', offset @ ..] => is_like(offset, OFFSET),
        _ => false,
    };
    is_like(moment, MOMENT) && is_offset
}

fn is_like(text: &[u8], form: &[u8]) -> bool {
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    };
    text.len() == form.len() && text.iter().zip(form).all(fits)
}
