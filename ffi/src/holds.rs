//! Holds and carts.

use std::ffi::c_char;
use std::time::Duration;

use stockade::{
    CartRequest, ExtendRequest, Hold, HoldId, HoldRequest, HoldStatus, ProductId, ReleaseRequest,
    Replayable,
};

use crate::boundary;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::enum_names::enum_names;
use crate::error::stockade_error;
use crate::ffi_error::{FfiError, null};
use crate::handle;
use crate::responses::{entry, respond};
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
    /// An unguessable token that authorizes using the hold, NUL-terminated.
    pub token: [c_char; 40],
}
versioned_struct!(stockade_hold, first 88, now 88);

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
            token: text::inline(&hold.token.to_string()),
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
}
versioned_struct!(stockade_hold_request, first 40, now 48);
request_struct!(stockade_hold_request, reserved);

/// One line of a cart. Its layout is fixed: carts are arrays of it.
#[repr(C)]
pub struct stockade_cart_line {
    /// The product.
    pub product_id: u64,
    /// Units requested; lines of the same product are summed.
    pub quantity: u32,
    /// Must be 0.
    pub reserved: u32,
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
}
versioned_struct!(stockade_cart_request, first 40, now 48);
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

/// The holds of a cart. Owned by the caller, who frees it with
/// stockade_holds_free.
pub struct stockade_holds {
    holds: Vec<Hold>,
}

/// Returns the requested time to live. Rejects a value that has_ttl would
/// ignore, because the caller meant it.
fn ttl(has_ttl: u32, ttl_us: u64) -> Result<Option<Duration>, FfiError> {
    match has_ttl {
        1 => Ok(Some(Duration::from_micros(ttl_us))),
        0 if ttl_us == 0 => Ok(None),
        0 => Err(FfiError::invalid_argument("ttl_us is set but has_ttl is 0; set has_ttl to 1")),
        other => Err(FfiError::invalid_argument(format!("has_ttl must be 0 or 1, got {other}"))),
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
        let mut request = HoldRequest::new(given.product_id, given.quantity);
        request.ttl = ttl(given.has_ttl, given.ttl_us)?;
        request.key = text::optional(given.key, "key")?.map(str::to_owned);
        request.customer = text::optional(given.customer, "customer")?.map(str::to_owned);
        Ok(request)
    }
}

/// Reads the lines of a cart. The engine enforces its limit; this bound only
/// prevents reading beyond the array when the count is corrupt.
///
/// # Safety
/// `request.lines` is null or points to `request.line_count` lines.
unsafe fn lines(request: &stockade_cart_request) -> Result<Vec<(ProductId, u32)>, FfiError> {
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
        versioned_struct::check_reserved("stockade_cart_line", line.reserved)?;
        Ok((ProductId(line.product_id), line.quantity))
    };
    lines.iter().map(line).collect()
}

/// Holds units of one product. `replayed` may be NULL; it tells whether the
/// response replays an earlier one with the same idempotency key.
///
/// Errors: invalid_argument, quantity_limit, not_found, insufficient_stock,
/// idempotency_mismatch, contention, unavailable, misuse.
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
            let Replayable { value, replayed: again, .. } =
                engine.create_hold(hold_request(request)?)?;
            handle::write_optional(replayed, again);
            Ok((&value).into())
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
        boundary::call(error, || {
            handle::write_new(holds, "holds", || {
                let engine = self::engine(engine)?;
                let given = versioned_struct::read(request)?;
                let mut request = CartRequest::new(lines(&given)?);
                request.ttl = ttl(given.has_ttl, given.ttl_us)?;
                request.key = text::optional(given.key, "key")?.map(str::to_owned);
                request.customer = text::optional(given.customer, "customer")?.map(str::to_owned);
                let Replayable { value, replayed: again, .. } = engine.create_holds(&request)?;
                handle::write_optional(replayed, again);
                Ok(stockade_holds { holds: value })
            })
        })
    }
}

/// Returns the number of holds; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_holds_count(holds: *const stockade_holds) -> usize {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { holds.as_ref() }.map_or(0, |holds| holds.holds.len())
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
    unsafe { entry(holds, |list| list.holds.as_slice(), index, hold, error) }
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
            request.ttl = ttl(given.has_ttl, given.ttl_us)?;
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
