//! How requests name a product: by its id, or by the shop's own id (SKU).

use std::ffi::c_char;

use stockade::ProductRef;

use crate::ffi_error::FfiError;
use crate::text;

/// Reads the name of a product; None if neither is set.
///
/// # Safety
/// `sku` is null or NUL-terminated.
pub(crate) unsafe fn optional(id: u64, sku: *const c_char) -> Result<Option<ProductRef>, FfiError> {
    // SAFETY: guaranteed by the caller.
    match (id, unsafe { text::optional(sku, "sku") }?) {
        (0, None) => Ok(None),
        (id, None) => Ok(Some(id.into())),
        (0, Some(sku)) => Ok(Some(ProductRef::sku(sku))),
        _ => {
            Err(FfiError::invalid_argument("a product is named by its id or its SKU, not by both"))
        }
    }
}

/// Reads the name of a product. Without a SKU it is the id, also 0, which no
/// product has.
///
/// # Safety
/// As [`optional`].
pub(crate) unsafe fn required(id: u64, sku: *const c_char) -> Result<ProductRef, FfiError> {
    // SAFETY: guaranteed by the caller.
    Ok(unsafe { optional(id, sku) }?.unwrap_or_else(|| id.into()))
}
