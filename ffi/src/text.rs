//! Texts: checked as they come in, owned as they go out.

use std::ffi::{CStr, CString, c_char};

use stockade::Token;

use crate::failure::{Failure, null};

/// A text that must be there.
///
/// # Safety
/// `text` is null or ends with a NUL, and lives as long as `'a`.
pub(crate) unsafe fn needed<'a>(text: *const c_char, what: &str) -> Result<&'a str, Failure> {
    // SAFETY: as the caller promised.
    unsafe { given(text, what) }?.ok_or_else(|| null(what))
}

/// A text that may be left out.
///
/// # Safety
/// As [`needed`].
pub(crate) unsafe fn given<'a>(
    text: *const c_char,
    what: &str,
) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: it is not null and ends with a NUL, as the caller promised.
    let text = unsafe { CStr::from_ptr(text) }.to_str();
    text.map(Some).map_err(|_| Failure::invalid_argument(format!("{what} must be UTF-8")))
}

/// A hold's token, which may be left out.
///
/// # Safety
/// As [`needed`].
pub(crate) unsafe fn token(text: *const c_char) -> Result<Option<Token>, Failure> {
    // SAFETY: as the caller promised.
    let given = unsafe { given(text, "token") }?;
    Ok(given.map(str::parse).transpose().map_err(stockade::Error::from)?)
}

/// A text for the caller, who frees it with `stockade_string_free`.
pub(crate) fn owned(text: String) -> *mut c_char {
    ended(text).into_raw()
}

/// A text with its NUL. One inside ends it: no text of Stockade has any.
pub(crate) fn ended(text: String) -> CString {
    CString::new(text).unwrap_or_else(|error| {
        let mut bytes = error.into_vec();
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(0));
        CString::new(bytes).unwrap_or_default()
    })
}

/// A text inside a struct, with its NUL and zeros to the end. What is too long
/// is cut between two characters.
pub(crate) fn inline<const N: usize>(text: &str) -> [c_char; N] {
    let mut kept = text.len().min(N - 1);
    while !text.is_char_boundary(kept) {
        kept -= 1;
    }
    let mut field = [0; N];
    for (place, byte) in field.iter_mut().zip(&text.as_bytes()[..kept]) {
        *place = byte.cast_signed() as c_char;
    }
    field
}

/// Frees a text that this library gave. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: it came from `CString::into_raw` and is freed once, as the
        // header asks of the caller.
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
        assert_eq!(ended("ab\0cd".to_owned()).as_c_str(), c"ab");
    }
}
