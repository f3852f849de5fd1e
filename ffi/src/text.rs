//! Texts: validated when they come in, owned when they go out.

use std::ffi::{CStr, CString, c_char};
use std::str::FromStr;

use stockade::{InvalidArgument, Token};

use crate::ffi_error::{FfiError, null};

/// Reads a required text.
///
/// # Safety
/// `text` is null or NUL-terminated, and lives as long as `'a`.
pub(crate) unsafe fn required<'a>(text: *const c_char, what: &str) -> Result<&'a str, FfiError> {
    // SAFETY: guaranteed by the caller.
    unsafe { optional(text, what) }?.ok_or_else(|| null(what))
}

/// Reads an optional text.
///
/// # Safety
/// As [`required`].
pub(crate) unsafe fn optional<'a>(
    text: *const c_char,
    what: &str,
) -> Result<Option<&'a str>, FfiError> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not null and NUL-terminated, as the caller guaranteed.
    let text = unsafe { CStr::from_ptr(text) }.to_str();
    text.map(Some).map_err(|_| FfiError::invalid_argument(format!("{what} must be UTF-8")))
}

/// Copies an optional text.
///
/// # Safety
/// As [`optional`].
pub(crate) unsafe fn copied(text: *const c_char, what: &str) -> Result<Option<String>, FfiError> {
    // SAFETY: guaranteed by the caller.
    Ok(unsafe { optional(text, what) }?.map(str::to_owned))
}

/// Reads an optional text of one of the engine's types, such as an amount.
///
/// # Safety
/// As [`required`].
pub(crate) unsafe fn parsed<T: FromStr<Err = InvalidArgument>>(
    text: *const c_char,
    what: &str,
) -> Result<Option<T>, FfiError> {
    // SAFETY: guaranteed by the caller.
    let Some(given) = (unsafe { optional(text, what) })? else { return Ok(None) };
    let wrong = |error| FfiError::invalid_argument(format!("{what}: {error}"));
    given.parse().map(Some).map_err(wrong)
}

/// Returns a token NUL-terminated in place; empty where an answer shows none.
pub(crate) fn secret<const N: usize>(token: Option<impl ToString>) -> [c_char; N] {
    inline(&token.map(|token| token.to_string()).unwrap_or_default())
}

/// Reads an optional hold token.
///
/// # Safety
/// As [`required`].
pub(crate) unsafe fn token(text: *const c_char) -> Result<Option<Token>, FfiError> {
    // SAFETY: guaranteed by the caller.
    let given = unsafe { optional(text, "token") }?;
    Ok(given.map(str::parse).transpose().map_err(stockade::Error::from)?)
}

/// Allocates a text for the caller, who frees it with `stockade_string_free`.
pub(crate) fn owned(text: String) -> *mut c_char {
    to_c_string(text).into_raw()
}

/// Terminates a text with NUL. An inner NUL truncates it; no text of Stockade
/// contains any.
pub(crate) fn to_c_string(text: String) -> CString {
    CString::new(text).unwrap_or_else(|error| {
        let mut bytes = error.into_vec();
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(0));
        CString::new(bytes).unwrap_or_default()
    })
}

/// Copies a text into a struct, NUL-terminated and zero-padded. Truncates at a
/// character boundary.
pub(crate) fn inline<const N: usize>(text: &str) -> [c_char; N] {
    let mut kept = text.len().min(N - 1);
    while !text.is_char_boundary(kept) {
        kept -= 1;
    }
    let mut field = [0; N];
    for (out, byte) in field.iter_mut().zip(&text.as_bytes()[..kept]) {
        *out = byte.cast_signed() as c_char;
    }
    field
}

/// Frees a text of this library. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: from `CString::into_raw` and freed once, as the header
        // requires of the caller.
        drop(unsafe { CString::from_raw(text) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inline_text_ends_with_a_nul_and_is_cut_between_characters() {
        assert_eq!(inline::<4>("abcdef").map(|c| c as u8), *b"abc\0");
        assert_eq!(inline::<4>("ab\u{e9}").map(|c| c as u8), *b"ab\0\0");
        assert_eq!(inline::<4>("").map(|c| c as u8), [0; 4]);
    }

    #[test]
    fn a_nul_ends_an_owned_text() {
        assert_eq!(to_c_string("ab\0cd".to_owned()).as_c_str(), c"ab");
    }
}
