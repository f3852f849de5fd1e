//! Carts as a whole, and the quantity of a hold.

use std::ffi::c_char;

use stockade::{Cart, CartId, ChangeQuantityRequest, ExtendCartRequest, ReleaseCartRequest};

use crate::boundary;
use crate::code::stockade_code;
use crate::engine::stockade_engine;
use crate::error::stockade_error;
use crate::handle;
use crate::holds::{respond_cart, stockade_hold, stockade_holds, ttl};
use crate::responses::{answered, respond};
use crate::text;
use crate::versioned_struct::{self, request_struct, versioned_struct};

/// What names a cart.
#[repr(C)]
pub struct stockade_cart {
    /// sizeof(stockade_cart), set by the caller.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// The cart's id: the smallest id of its holds.
    pub id: u64,
    /// An unguessable token that authorizes using the cart and each of its
    /// holds, NUL-terminated. Only the call that makes the cart shows it:
    /// elsewhere it is empty.
    pub token: [c_char; 40],
}
versioned_struct!(stockade_cart, first 56, now 56);

/// A request to release a cart.
#[repr(C)]
pub struct stockade_release_cart_request {
    /// sizeof(stockade_release_cart_request), set by the caller.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The cart.
    pub cart_id: u64,
    /// The cart's token, or NULL, which is rejected under the
    /// "require_hold_token" setting.
    pub token: *const c_char,
}
versioned_struct!(stockade_release_cart_request, first 24, now 24);
request_struct!(stockade_release_cart_request, reserved);

/// A request to extend a cart.
#[repr(C)]
pub struct stockade_extend_cart_request {
    /// sizeof(stockade_extend_cart_request), set by the caller.
    pub struct_size: u32,
    /// 1 to use ttl_us, 0 to use the "hold_ttl" setting.
    pub has_ttl: u32,
    /// The cart.
    pub cart_id: u64,
    /// As in stockade_extend_request.
    pub ttl_us: u64,
    /// The cart's token, or NULL, which is rejected under the
    /// "require_hold_token" setting.
    pub token: *const c_char,
}
versioned_struct!(stockade_extend_cart_request, first 32, now 32);
request_struct!(stockade_extend_cart_request);

/// A request to change the quantity of a hold.
#[repr(C)]
pub struct stockade_quantity_request {
    /// sizeof(stockade_quantity_request), set by the caller.
    pub struct_size: u32,
    /// The units that it shall have, from 1 to the "max_per_hold" setting.
    pub quantity: u32,
    /// The hold.
    pub hold_id: u64,
    /// The hold's token or its cart's, or NULL, which is rejected under the
    /// "require_hold_token" setting.
    pub token: *const c_char,
    /// The idempotency key, or NULL.
    pub key: *const c_char,
}
versioned_struct!(stockade_quantity_request, first 32, now 32);
request_struct!(stockade_quantity_request);

/// Reads the id and the token of a cart.
///
/// Errors: invalid_argument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_holds_cart(
    holds: *const stockade_holds,
    cart: *mut stockade_cart,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            let Cart { id, token, .. } = &handle::borrow(holds, "the list")?.cart;
            let (id, token) = (id.0, text::secret(*token));
            versioned_struct::write(cart, stockade_cart { struct_size: 0, reserved: 0, id, token })
        })
    }
}

/// Reads the current state of a cart's holds, by ascending product id.
///
/// Errors: not_found, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_cart(
    engine: *const stockade_engine,
    id: u64,
    holds: *mut *mut stockade_holds,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { respond_cart(engine, holds, error, |engine| Ok(engine.cart(CartId(id))?)) }
}

/// Releases the active holds of a cart and returns all. The status of each says
/// whether it was released, expired or became an order.
///
/// Errors: invalid_argument for a malformed token, not_found, unauthorized for
/// an invalid or missing token, contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_release_cart(
    engine: *const stockade_engine,
    request: *const stockade_release_cart_request,
    holds: *mut *mut stockade_holds,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond_cart(engine, holds, error, |engine| {
            let given = versioned_struct::read(request)?;
            let mut request = ReleaseCartRequest::new(given.cart_id);
            request.token = text::token(given.token)?;
            Ok(engine.release_cart(request)?)
        })
    }
}

/// Extends all holds of a cart, or none, to one common end, and returns them.
///
/// Errors: invalid_argument, not_found, unauthorized for an invalid or missing
/// token, hold_expired (also if one was released), hold_already_used,
/// contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_extend_cart(
    engine: *const stockade_engine,
    request: *const stockade_extend_cart_request,
    holds: *mut *mut stockade_holds,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond_cart(engine, holds, error, |engine| {
            let given = versioned_struct::read(request)?;
            let mut request = ExtendCartRequest::new(given.cart_id);
            request.ttl = ttl("ttl", given.has_ttl, given.ttl_us)?;
            request.token = text::token(given.token)?;
            Ok(engine.extend_cart(request)?)
        })
    }
}

/// Gives an active hold another quantity and returns it. More units are taken
/// from stock, or nothing changes; fewer return the others at once. Its end and
/// token stay. `replayed` may be NULL.
///
/// Errors: invalid_argument, quantity_limit, not_found, unauthorized for an
/// invalid or missing token, not_on_sale (for more units), insufficient_stock with
/// the units beyond those held, hold_expired (also if it was released), hold_already_used,
/// idempotency_mismatch, contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_change_quantity(
    engine: *const stockade_engine,
    request: *const stockade_quantity_request,
    hold: *mut stockade_hold,
    replayed: *mut bool,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, hold, error, |engine| {
            let given = versioned_struct::read(request)?;
            let mut request = ChangeQuantityRequest::new(given.hold_id, given.quantity);
            request.token = text::token(given.token)?;
            request.key = text::copied(given.key, "key")?;
            Ok((&answered(engine.change_quantity(request)?, replayed)).into())
        })
    }
}
