//! Holds and carts.

use std::ffi::c_char;
use std::time::Duration;

use stockade::{
    Cart, CartLine, CartRequest, Engine, ExtendRequest, Hold, HoldId, HoldRequest, HoldStatus,
    ReleaseRequest,
};

use crate::boundary;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::enum_names::enum_names;
use crate::error::stockade_error;
use crate::ffi_error::{FfiError, null};
use crate::handle;
use crate::product_ref;
use crate::responses::{answered, entry, respond};
use crate::text;
use crate::versioned_struct::{self, request_struct, versioned_struct};

/// The most lines that stockade_engine_create_holds accepts. The "cart_lines_max"
/// setting is lower by default and cannot exceed this.
pub const STOCKADE_CART_LINES_MAX: u64 = 65_536;

/// The status of a hold. All but active are final.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_hold_status {
    /// A value that this header does not list.
    Unknown = 0,
    /// Reserves stock until it is ordered, released or expires.
    Active = 1,
    /// Became an order.
    Converted = 2,
    /// Released by its caller.
    Released = 3,
    /// Expired.
    Expired = 4,
}

enum_names!(HoldStatus => stockade_hold_status {
    Active: c"active",
    Converted: c"converted",
    Released: c"released",
    Expired: c"expired",
});

/// Stock reserved for one buyer for a short time.
#[repr(C)]
pub struct stockade_hold {
    /// sizeof(stockade_hold), set by the caller.
    pub struct_size: u32,
    /// Its status.
    pub status: stockade_hold_status,
    /// Units reserved.
    pub quantity: u32,
    /// Always 0.
    pub reserved: u32,
    /// The hold's id.
    pub id: u64,
    /// The product.
    pub product_id: u64,
    /// It is expired from this moment on, in microseconds since 1970 in UTC.
    pub expires_at_us: i64,
    /// When it was created, in microseconds since 1970 in UTC.
    pub created_at_us: i64,
    /// An unguessable token that authorizes using the hold, NUL-terminated. Only the
    /// call that makes the hold shows it: elsewhere it is empty.
    pub token: [c_char; 40],
    /// The order that a converted hold became, if the hold was read; else 0.
    pub order_id: u64,
    /// The cart that the hold was created with; 0 for a lone hold.
    pub cart_id: u64,
    /// The product's SKU, NUL-terminated; "" for none.
    pub sku: [c_char; 520],
    /// The customer that it was created for, if the hold was created or read,
    /// NUL-terminated; else "".
    pub customer: [c_char; 256],
    /// What the shop keeps with it, if the hold was created or read: the text of a JSON
    /// object as it came, NUL-terminated; else "".
    pub metadata: [c_char; 4104],
}
versioned_struct!(stockade_hold, first 88, now 4984);

impl From<&Hold> for stockade_hold {
    fn from(hold: &Hold) -> Self {
        Self {
            struct_size: 0,
            status: hold.status.into(),
            quantity: hold.quantity,
            reserved: 0,
            id: hold.id.0,
            product_id: hold.product_id.0,
            expires_at_us: hold.expires_at.micros(),
            created_at_us: hold.created_at.micros(),
            token: text::secret(hold.token),
            order_id: hold.order_id.map_or(0, |id| id.0),
            cart_id: hold.cart_id.map_or(0, |id| id.0),
            sku: text::inline(hold.sku.as_deref().unwrap_or_default()),
            customer: text::inline(hold.customer.as_deref().unwrap_or_default()),
            metadata: text::inline(hold.metadata.as_ref().map_or("", |json| json.as_str())),
        }
    }
}

/// A request to hold units of one product.
#[repr(C)]
pub struct stockade_hold_request {
    /// sizeof(stockade_hold_request), set by the caller.
    pub struct_size: u32,
    /// Units requested, from 1 to the "max_per_hold" setting.
    pub quantity: u32,
    /// The product.
    pub product_id: u64,
    /// The time to live, in microseconds; used only with has_ttl.
    pub ttl_us: u64,
    /// 1 to use ttl_us, 0 to use the "hold_ttl" setting.
    pub has_ttl: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The idempotency key, or NULL.
    pub key: *const c_char,
    /// The customer, any identifier of 1 to 255 bytes, or NULL. Under the
    /// "max_per_customer" setting the holds of one customer count together.
    pub customer: *const c_char,
    /// 1 to take what is left, at least one unit, where fewer than quantity can
    /// be held; 0 to take quantity or none. Limits apply to quantity.
    pub at_most: u64,
    /// The SKU that names the product, instead of product_id; or NULL.
    pub sku: *const c_char,
    /// What the shop keeps with the hold: the text of a JSON object of at most 4096
    /// bytes; or NULL.
    pub metadata: *const c_char,
}
versioned_struct!(stockade_hold_request, first 40, now 72);
request_struct!(stockade_hold_request, reserved);

/// One line of a cart. Its layout is fixed: carts are arrays of it.
#[repr(C)]
pub struct stockade_cart_line {
    /// The product.
    pub product_id: u64,
    /// Units requested; lines of the same product are summed.
    pub quantity: u32,
    /// 1 to take what is left, as in stockade_hold_request; else 0. Of a product
    /// with other lines, theirs are the fewest units that are taken.
    pub at_most: u32,
    /// The SKU that names the product, instead of product_id; or NULL.
    pub sku: *const c_char,
}

/// A request to hold several products atomically: all or none.
#[repr(C)]
pub struct stockade_cart_request {
    /// sizeof(stockade_cart_request), set by the caller.
    pub struct_size: u32,
    /// 1 to use ttl_us, 0 to use the "hold_ttl" setting.
    pub has_ttl: u32,
    /// The time to live, in microseconds; used only with has_ttl.
    pub ttl_us: u64,
    /// The lines.
    pub lines: *const stockade_cart_line,
    /// The number of lines, at most STOCKADE_CART_LINES_MAX.
    pub line_count: u64,
    /// The idempotency key, or NULL.
    pub key: *const c_char,
    /// As in stockade_hold_request.
    pub customer: *const c_char,
    /// As in stockade_hold_request, for each of the holds.
    pub metadata: *const c_char,
}
versioned_struct!(stockade_cart_request, first 40, now 56);
request_struct!(stockade_cart_request);

/// A request to release a hold.
#[repr(C)]
pub struct stockade_release_request {
    /// sizeof(stockade_release_request), set by the caller.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The hold.
    pub hold_id: u64,
    /// The hold's token, or NULL, which is rejected under the
    /// "require_hold_token" setting.
    pub token: *const c_char,
}
versioned_struct!(stockade_release_request, first 24, now 24);
request_struct!(stockade_release_request, reserved);

/// A request to extend a hold.
#[repr(C)]
pub struct stockade_extend_request {
    /// sizeof(stockade_extend_request), set by the caller.
    pub struct_size: u32,
    /// 1 to use ttl_us, 0 to use the "hold_ttl" setting.
    pub has_ttl: u32,
    /// The hold.
    pub hold_id: u64,
    /// The time to live from now, in microseconds; used only with has_ttl. A
    /// hold is never shortened, and its total life never exceeds the
    /// "hold_ttl_max" setting.
    pub ttl_us: u64,
    /// The hold's token, or NULL, which is rejected under the
    /// "require_hold_token" setting.
    pub token: *const c_char,
}
versioned_struct!(stockade_extend_request, first 24, now 32);
request_struct!(stockade_extend_request);

/// A cart: its holds, its id and its token. Owned by the caller, who frees it
/// with stockade_holds_free.
pub struct stockade_holds {
    pub(crate) cart: Cart,
}

/// Returns the requested time to live of a field. Rejects a value that the field's
/// `has_` would ignore, because the caller meant it.
pub(crate) fn ttl(what: &str, has_ttl: u32, ttl_us: u64) -> Result<Option<Duration>, FfiError> {
    match has_ttl {
        1 => Ok(Some(Duration::from_micros(ttl_us))),
        0 if ttl_us == 0 => Ok(None),
        0 => Err(FfiError::invalid_argument(format!(
            "{what}_us is set but has_{what} is 0; set has_{what} to 1"
        ))),
        other => Err(FfiError::invalid_argument(format!("has_{what} must be 0 or 1, got {other}"))),
    }
}

/// Reads a request for one hold.
///
/// # Safety
/// `request` is null or points to as many readable bytes as it declares, with
/// NUL-terminated texts.
pub(crate) unsafe fn hold_request(
    request: *const stockade_hold_request,
) -> Result<HoldRequest, FfiError> {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let given = versioned_struct::read(request)?;
        let product = product_ref::required(given.product_id, given.sku)?;
        let mut request = HoldRequest::new(product, given.quantity);
        request.ttl = ttl("ttl", given.has_ttl, given.ttl_us)?;
        request.key = text::copied(given.key, "key")?;
        request.customer = text::copied(given.customer, "customer")?;
        request.at_most = flag("at_most", given.at_most)?;
        request.metadata = text::parsed(given.metadata, "metadata")?;
        Ok(request)
    }
}

/// Reads a flag, which is 0 or 1.
pub(crate) fn flag(name: &str, given: u64) -> Result<bool, FfiError> {
    match given {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(FfiError::invalid_argument(format!("{name} must be 0 or 1, got {other}"))),
    }
}

/// Reads the lines of a cart. The engine enforces its limit; this bound only
/// prevents reading beyond the array when the count is corrupt.
///
/// # Safety
/// `request.lines` is null or points to `request.line_count` lines, with NUL-terminated
/// texts.
unsafe fn lines(request: &stockade_cart_request) -> Result<Vec<CartLine>, FfiError> {
    let count = request.line_count;
    if count > STOCKADE_CART_LINES_MAX {
        let why = format!("a cart has at most {STOCKADE_CART_LINES_MAX} lines, got {count}");
        return Err(FfiError::invalid_argument(why));
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    if request.lines.is_null() {
        return Err(null("lines"));
    }
    if !request.lines.is_aligned() {
        return Err(FfiError::invalid_argument("lines must be aligned"));
    }
    // SAFETY: not null, aligned, and as long as the caller says.
    let lines = unsafe { std::slice::from_raw_parts(request.lines, count as usize) };
    let line = |line: &stockade_cart_line| {
        // SAFETY: guaranteed by the caller.
        let product = unsafe { product_ref::required(line.product_id, line.sku) }?;
        let new = CartLine::new(product, line.quantity);
        Ok(if flag("stockade_cart_line.at_most", line.at_most.into())? {
            new.at_most()
        } else {
            new
        })
    };
    lines.iter().map(line).collect()
}

/// Holds units of one product. `replayed` may be NULL; it tells whether the
/// response replays an earlier one with the same idempotency key.
///
/// Errors: invalid_argument, quantity_limit, not_found, not_on_sale with the reason,
/// insufficient_stock, idempotency_mismatch, contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_create_hold(
    engine: *const stockade_engine,
    request: *const stockade_hold_request,
    hold: *mut stockade_hold,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, hold, error, |engine| {
            Ok((&answered(engine.create_hold(hold_request(request)?)?, replayed)).into())
        })
    }
}

/// Runs a call about a cart and hands its holds to the caller.
///
/// # Safety
/// As [`respond`]; `holds` is null or writable.
pub(crate) unsafe fn respond_cart(
    handle: *const stockade_engine,
    holds: *mut *mut stockade_holds,
    error: *mut *mut stockade_error,
    ask: impl FnOnce(&Engine) -> Result<Cart, FfiError>,
) -> stockade_code {
    // SAFETY: guaranteed by the caller.
    unsafe {
        boundary::call(error, || {
            handle::write_new(holds, "holds", || Ok(stockade_holds { cart: ask(engine(handle)?)? }))
        })
    }
}

/// Holds several products atomically: all or none. Returns one hold per
/// product, by ascending product id. `replayed` may be NULL.
///
/// Errors: as stockade_engine_create_hold; insufficient_stock lists every short line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_create_holds(
    engine: *const stockade_engine,
    request: *const stockade_cart_request,
    holds: *mut *mut stockade_holds,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond_cart(engine, holds, error, |engine| {
            let given = versioned_struct::read(request)?;
            let mut request = CartRequest::new(lines(&given)?);
            request.ttl = ttl("ttl", given.has_ttl, given.ttl_us)?;
            request.key = text::copied(given.key, "key")?;
            request.customer = text::copied(given.customer, "customer")?;
            request.metadata = text::parsed(given.metadata, "metadata")?;
            Ok(answered(engine.create_holds(&request)?, replayed))
        })
    }
}

/// Returns the number of holds; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_holds_count(holds: *const stockade_holds) -> usize {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { holds.as_ref() }.map_or(0, |holds| holds.cart.holds.len())
}

/// Reads a hold of the list, counted from 0.
///
/// Errors: invalid_argument if the index is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_holds_get(
    holds: *const stockade_holds,
    index: usize,
    hold: *mut stockade_hold,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { entry(holds, |list| list.cart.holds.as_slice(), index, hold, error) }
}

/// Frees the list; does not release the holds. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_holds_free(holds: *mut stockade_holds) {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { handle::free(holds) }
}

/// Releases a hold and returns it. A hold that is already released or expired
/// is not changed. Sends no token: see stockade_engine_release_hold_with.
///
/// Errors: not_found, unauthorized under the "require_hold_token" setting,
/// hold_already_used if it became an order, contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_release_hold(
    engine: *const stockade_engine,
    id: u64,
    hold: *mut stockade_hold,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { respond(engine, hold, error, |engine| Ok((&engine.release_hold(HoldId(id))?).into())) }
}

/// Releases a hold, as stockade_engine_release_hold does, with its token.
///
/// Errors: invalid_argument for a malformed token, not_found, unauthorized for
/// an invalid or missing token, hold_already_used if it became an order,
/// contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_release_hold_with(
    engine: *const stockade_engine,
    request: *const stockade_release_request,
    hold: *mut stockade_hold,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, hold, error, |engine| {
            let given = versioned_struct::read(request)?;
            let mut request = ReleaseRequest::new(given.hold_id);
            request.token = text::token(given.token)?;
            Ok((&engine.release_hold(request)?).into())
        })
    }
}

/// Extends an active hold and returns it.
///
/// Errors: invalid_argument, not_found, unauthorized for an invalid or missing
/// token, hold_expired (also if it was released), hold_already_used,
/// contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_extend_hold(
    engine: *const stockade_engine,
    request: *const stockade_extend_request,
    hold: *mut stockade_hold,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, hold, error, |engine| {
            let given = versioned_struct::read(request)?;
            let mut request = ExtendRequest::new(given.hold_id);
            request.ttl = ttl("ttl", given.has_ttl, given.ttl_us)?;
            request.token = text::token(given.token)?;
            Ok((&engine.extend_hold(&request)?).into())
        })
    }
}

/// Reads the current state of a hold.
///
/// Errors: not_found, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_hold(
    engine: *const stockade_engine,
    id: u64,
    hold: *mut stockade_hold,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { respond(engine, hold, error, |engine| Ok((&engine.hold(HoldId(id))?).into())) }
}

/// Returns the name of a hold's status, such as "active"; NULL for an unknown
/// number. Static.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_hold_status_name(status: u32) -> *const c_char {
    stockade_hold_status::name(status)
}
