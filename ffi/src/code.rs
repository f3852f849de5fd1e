//! The codes, and their words.

use std::ffi::{CStr, c_char};

use stockade::ErrorKind;

/// What became of a call. The numbers are for ever and the same in every
/// language.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_code {
    /// It was done.
    Ok = 0,
    /// The request makes no sense; it will never succeed as it is.
    InvalidArgument = 1,
    /// More units than one hold may have, or one customer.
    QuantityLimit = 2,
    /// No such product, hold or order.
    NotFound = 3,
    /// The hold is of another product; it was left as it is.
    ProductMismatch = 4,
    /// Not enough stock; the error's short lines say how much there is.
    InsufficientStock = 5,
    /// The hold's time is over, or it was released; its stock is back.
    HoldExpired = 6,
    /// The hold became an order before; the error names it.
    HoldAlreadyUsed = 7,
    /// The idempotency key was used for another request.
    IdempotencyMismatch = 8,
    /// Too many ask at once; nothing changed. Try again later.
    Contention = 9,
    /// The store or the network is gone. Nothing is half done; with an
    /// idempotency key the request can be repeated safely.
    Unavailable = 10,
    /// A secret is missing or wrong.
    Unauthorized = 11,
    /// The engine cannot be used so: it is closed, or was opened before a fork.
    Misuse = 12,
    /// A fault of Stockade or of its store's content; nothing changed.
    Internal = 13,
    /// The product was changed since the caller read it; nothing changed now.
    VersionMismatch = 14,
}

macro_rules! codes {
    ($($name:ident: $word:literal,)*) => {
        const CODES: &[(stockade_code, &CStr)] = &[$((stockade_code::$name, $word),)*];
        $(const _: () = assert!(stockade_code::$name as u32 == ErrorKind::$name as u32);)*
    };
}

codes! {
    InvalidArgument: c"invalid_argument",
    QuantityLimit: c"quantity_limit",
    NotFound: c"not_found",
    ProductMismatch: c"product_mismatch",
    InsufficientStock: c"insufficient_stock",
    HoldExpired: c"hold_expired",
    HoldAlreadyUsed: c"hold_already_used",
    IdempotencyMismatch: c"idempotency_mismatch",
    Contention: c"contention",
    Unavailable: c"unavailable",
    Unauthorized: c"unauthorized",
    Misuse: c"misuse",
    Internal: c"internal",
    VersionMismatch: c"version_mismatch",
}

impl stockade_code {
    /// The code of a kind of the engine's errors.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        let known = CODES.iter().find(|(code, _)| *code as u32 == kind as u32);
        known.map_or(Self::Internal, |(code, _)| *code)
    }
}

/// The stable word of a code, such as "not_found", and "ok" for 0. Lives as
/// long as the program; NULL for a number that is no code.
#[unsafe(no_mangle)]
pub extern "C" fn stockade_code_name(code: u32) -> *const c_char {
    if code == stockade_code::Ok as u32 {
        return c"ok".as_ptr();
    }
    let known = CODES.iter().find(|(known, _)| *known as u32 == code);
    known.map_or(std::ptr::null(), |(_, word)| word.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_engines() {
        assert_eq!(CODES.len(), ErrorKind::ALL.len());
        for kind in ErrorKind::ALL {
            // SAFETY: it is null or a literal.
            let word = unsafe { stockade_code_name(*kind as u32).as_ref() };
            // SAFETY: as above.
            let word = word.map(|word| unsafe { CStr::from_ptr(word) });
            assert_eq!(word.and_then(|word| word.to_str().ok()), Some(kind.code()));
        }
        assert!(stockade_code_name(9_999).is_null());
    }
}
