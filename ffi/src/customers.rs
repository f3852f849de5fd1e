//! Customers.

use std::ffi::c_char;

use stockade::Erased;

use crate::code::stockade_code;
use crate::engine::stockade_engine;
use crate::error::stockade_error;
use crate::responses::respond;
use crate::text;
use crate::versioned_struct::versioned_struct;

/// What the erasure of a customer found.
#[repr(C)]
pub struct stockade_erased {
    /// sizeof(stockade_erased), set by the caller.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// The customer's holds that are stored, ended ones included.
    pub holds: u64,
    /// The customer's orders that are stored.
    pub orders: u64,
}
versioned_struct!(stockade_erased, first 24, now 24);

/// Replaces a customer's name wherever the store keeps it: in holds, orders, events
/// and the answers kept under idempotency keys. A later request by this name is of a
/// new customer. One that is not known is no error.
///
/// Errors: invalid_argument, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_erase_customer(
    engine: *const stockade_engine,
    customer: *const c_char,
    erased: *mut stockade_erased,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        respond(engine, erased, error, |engine| {
            let customer = text::required(customer, "customer")?;
            let Erased { holds, orders, .. } = engine.erase_customer(customer.to_owned())?;
            Ok(stockade_erased { struct_size: 0, reserved: 0, holds, orders })
        })
    }
}
