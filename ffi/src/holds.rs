//! Holds and carts.

use std::ffi::c_char;
use std::time::Duration;

use stockade::{
    CartRequest, ExtendRequest, Hold, HoldId, HoldRequest, HoldStatus, ProductId, ReleaseRequest,
    Replayable,
};

use crate::answers::{answer, entry};
use crate::border;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::error::stockade_error;
use crate::failure::{Failure, null};
use crate::handle;
use crate::names::names;
use crate::plain::{self, incoming, plain};
use crate::text;

/// The most lines that stockade_engine_hold_many reads of a cart. The
/// "cart_lines_max" setting is lower by default, and never higher in effect.
pub const STOCKADE_CART_LINES_MAX: u64 = 65_536;

/// Where a hold stands. All but active are final.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_hold_status {
    /// It keeps stock until it is ordered, released or expires.
    Active = 1,
    /// An order took it over.
    Converted = 2,
    /// Its caller gave it back.
    Released = 3,
    /// Its time ran out.
    Expired = 4,
}

names!(HoldStatus => stockade_hold_status {
    Active: c"active",
    Converted: c"converted",
    Released: c"released",
    Expired: c"expired",
});

/// Stock kept for one buyer for a short time.
#[repr(C)]
pub struct stockade_hold {
    /// sizeof(stockade_hold), set by the caller.
    pub struct_size: u32,
    /// Where it stands.
    pub status: stockade_hold_status,
    /// Units kept.
    pub qty: u32,
    /// Always 0.
    pub reserved: u32,
    /// The hold's id.
    pub id: u64,
    /// The product it keeps.
    pub product_id: u64,
    /// It is dead from this moment on, in microseconds since 1970 in UTC.
    pub expires_at_us: i64,
    /// When it was made, in microseconds since 1970 in UTC.
    pub created_at_us: i64,
    /// An unguessable word that shows whose hold it is, with a NUL.
    pub token: [c_char; 40],
}
plain!(stockade_hold, first 88, now 88);

impl From<&Hold> for stockade_hold {
    fn from(hold: &Hold) -> Self {
        Self {
            struct_size: 0,
            status: hold.status.into(),
            qty: hold.qty,
            reserved: 0,
            id: hold.id.0,
            product_id: hold.product_id.0,
            expires_at_us: hold.expires_at.micros(),
            created_at_us: hold.created_at.micros(),
            token: text::inline(&hold.token.to_string()),
        }
    }
}

/// Asks to hold units of one product.
#[repr(C)]
pub struct stockade_hold_request {
    /// sizeof(stockade_hold_request), set by the caller.
    pub struct_size: u32,
    /// Units wanted, from 1 to the "max_per_hold" setting.
    pub quantity: u32,
    /// The product wanted.
    pub product_id: u64,
    /// How long to hold them, in microseconds; only with has_ttl.
    pub ttl_us: u64,
    /// Whether ttl_us counts (1) or the "hold_ttl" setting (0).
    pub has_ttl: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The idempotency key, or NULL.
    pub key: *const c_char,
    /// Whom they are held for, by any word that names one buyer in 1 to 255
    /// bytes, or NULL; under the "max_per_customer" setting their holds count
    /// together.
    pub customer: *const c_char,
}
plain!(stockade_hold_request, first 40, now 48);
incoming!(stockade_hold_request, reserved);

/// One line of a cart. It cannot grow: carts are arrays of it.
#[repr(C)]
pub struct stockade_cart_line {
    /// The product wanted.
    pub product_id: u64,
    /// Units wanted; lines of the same product are summed.
    pub quantity: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// Asks to hold several products, all or none.
#[repr(C)]
pub struct stockade_cart_request {
    /// sizeof(stockade_cart_request), set by the caller.
    pub struct_size: u32,
    /// Whether ttl_us counts (1) or the "hold_ttl" setting (0).
    pub has_ttl: u32,
    /// How long to hold them, in microseconds; only with has_ttl.
    pub ttl_us: u64,
    /// The lines.
    pub lines: *const stockade_cart_line,
    /// How many lines there are, at most STOCKADE_CART_LINES_MAX.
    pub line_count: u64,
    /// The idempotency key, or NULL.
    pub key: *const c_char,
    /// As stockade_hold_request has it.
    pub customer: *const c_char,
}
plain!(stockade_cart_request, first 40, now 48);
incoming!(stockade_cart_request);

/// Asks to give a hold back.
#[repr(C)]
pub struct stockade_release_request {
    /// sizeof(stockade_release_request), set by the caller.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The hold.
    pub hold_id: u64,
    /// The hold's token, to show whose it is, or NULL, which is refused under
    /// the "require_hold_token" setting.
    pub token: *const c_char,
}
plain!(stockade_release_request, first 24, now 24);
incoming!(stockade_release_request, reserved);

/// Asks that a hold live longer.
#[repr(C)]
pub struct stockade_extend_request {
    /// sizeof(stockade_extend_request), set by the caller.
    pub struct_size: u32,
    /// Whether ttl_us counts (1) or the "hold_ttl" setting (0).
    pub has_ttl: u32,
    /// The hold.
    pub hold_id: u64,
    /// Its life from now on, in microseconds; only with has_ttl. A hold never
    /// gets shorter, and never older than the "hold_ttl_max" setting in all.
    pub ttl_us: u64,
    /// The hold's token, to show whose it is, or NULL, which is refused under
    /// the "require_hold_token" setting.
    pub token: *const c_char,
}
plain!(stockade_extend_request, first 24, now 32);
incoming!(stockade_extend_request);

/// The holds of a cart. Owned by the caller, who frees it with
/// stockade_holds_free.
pub struct stockade_holds {
    holds: Vec<Hold>,
}

/// The life asked for. One that is given and does not count was meant to.
fn ttl(has_ttl: u32, ttl_us: u64) -> Result<Option<Duration>, Failure> {
    match has_ttl {
        1 => Ok(Some(Duration::from_micros(ttl_us))),
        0 if ttl_us == 0 => Ok(None),
        0 => Err(Failure::invalid_argument("ttl_us counts only when has_ttl is 1")),
        other => Err(Failure::invalid_argument(format!("has_ttl must be 0 or 1, got {other}"))),
    }
}

/// Reads the lines of a cart. How many there may be is the engine's to say; a
/// number beyond all reason is refused before anything is read.
///
/// # Safety
/// `request.lines` is null or points to `request.line_count` lines.
unsafe fn lines(request: &stockade_cart_request) -> Result<Vec<(ProductId, u32)>, Failure> {
    let count = request.line_count;
    if count > STOCKADE_CART_LINES_MAX {
        let why = format!("a cart may have {STOCKADE_CART_LINES_MAX} lines, got {count}");
        return Err(Failure::invalid_argument(why));
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    if request.lines.is_null() {
        return Err(null("lines"));
    }
    if !request.lines.is_aligned() {
        return Err(Failure::invalid_argument("lines must be aligned"));
    }
    // SAFETY: it is not null, aligned, and has as many lines as the caller says.
    let lines = unsafe { std::slice::from_raw_parts(request.lines, count as usize) };
    let line = |line: &stockade_cart_line| {
        plain::check_reserved("stockade_cart_line", line.reserved)?;
        Ok((ProductId(line.product_id), line.quantity))
    };
    lines.iter().map(line).collect()
}

/// Holds units of one product for a short time. `replayed` may be NULL; it
/// tells whether the answer was remembered under the idempotency key.
///
/// Errors: invalid_argument, quantity_limit, not_found, insufficient_stock,
/// idempotency_mismatch, contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_hold(
    engine: *const stockade_engine,
    request: *const stockade_hold_request,
    hold: *mut stockade_hold,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        answer(engine, hold, error, |engine| {
            let given = plain::read(request)?;
            let mut request = HoldRequest::new(given.product_id, given.quantity);
            request.ttl = ttl(given.has_ttl, given.ttl_us)?;
            request.key = text::given(given.key, "key")?.map(str::to_owned);
            request.customer = text::given(given.customer, "customer")?.map(str::to_owned);
            let Replayable { value, replayed: again } = engine.hold(&request)?;
            handle::tell(replayed, again);
            Ok((&value).into())
        })
    }
}

/// Holds several products, all or none. There is one hold for each product, by
/// ascending product id. `replayed` may be NULL.
///
/// Errors: as stockade_engine_hold; insufficient_stock names every short line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_hold_many(
    engine: *const stockade_engine,
    request: *const stockade_cart_request,
    holds: *mut *mut stockade_holds,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        border::call(error, || {
            handle::give(holds, "holds", || {
                let engine = self::engine(engine)?;
                let given = plain::read(request)?;
                let mut request = CartRequest::new(lines(&given)?);
                request.ttl = ttl(given.has_ttl, given.ttl_us)?;
                request.key = text::given(given.key, "key")?.map(str::to_owned);
                request.customer = text::given(given.customer, "customer")?.map(str::to_owned);
                let Replayable { value, replayed: again } = engine.hold_many(&request)?;
                handle::tell(replayed, again);
                Ok(stockade_holds { holds: value })
            })
        })
    }
}

/// How many holds there are; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_holds_count(holds: *const stockade_holds) -> usize {
    // SAFETY: as the header asks of the caller.
    unsafe { holds.as_ref() }.map_or(0, |holds| holds.holds.len())
}

/// Reads one of the holds, counted from 0.
///
/// Errors: invalid_argument when there is none so far.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_holds_get(
    holds: *const stockade_holds,
    index: usize,
    hold: *mut stockade_hold,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe { entry(holds, |list| list.holds.as_slice(), index, hold, error) }
}

/// Frees the list; the holds themselves stay as they are. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_holds_free(holds: *mut stockade_holds) {
    // SAFETY: as the header asks of the caller.
    unsafe { handle::free(holds) }
}

/// Gives a hold back, and answers it. One that is over already stays as it is.
/// Shows no token: see stockade_engine_release_with.
///
/// Errors: not_found, unauthorized under the "require_hold_token" setting,
/// hold_already_used when it became an order, contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_release(
    engine: *const stockade_engine,
    id: u64,
    hold: *mut stockade_hold,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe { answer(engine, hold, error, |engine| Ok((&engine.release(HoldId(id))?).into())) }
}

/// Gives a hold back, as stockade_engine_release does, and can show its token.
///
/// Errors: invalid_argument for a text that is no token, not_found,
/// unauthorized for a token that is wrong or missing, hold_already_used when it
/// became an order, contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_release_with(
    engine: *const stockade_engine,
    request: *const stockade_release_request,
    hold: *mut stockade_hold,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        answer(engine, hold, error, |engine| {
            let given = plain::read(request)?;
            let mut request = ReleaseRequest::new(given.hold_id);
            request.token = text::token(given.token)?;
            Ok((&engine.release(request)?).into())
        })
    }
}

/// Makes an active hold live longer, and answers it.
///
/// Errors: invalid_argument, not_found, unauthorized for a token that is wrong
/// or missing, hold_expired (also when it was released), hold_already_used,
/// contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_extend(
    engine: *const stockade_engine,
    request: *const stockade_extend_request,
    hold: *mut stockade_hold,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        answer(engine, hold, error, |engine| {
            let given = plain::read(request)?;
            let mut request = ExtendRequest::new(given.hold_id);
            request.ttl = ttl(given.has_ttl, given.ttl_us)?;
            request.token = text::token(given.token)?;
            Ok((&engine.extend(&request)?).into())
        })
    }
}

/// Reads a hold as it stands now.
///
/// Errors: not_found, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_get_hold(
    engine: *const stockade_engine,
    id: u64,
    hold: *mut stockade_hold,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe { answer(engine, hold, error, |engine| Ok((&engine.get_hold(HoldId(id))?).into())) }
}

/// The word for a status of a hold, such as "active". Lives as long as the
/// program; NULL for a number that is none.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_hold_status_name(status: u32) -> *const c_char {
    stockade_hold_status::word(status)
}
