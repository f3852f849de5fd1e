//! A line of a session: the name of a call and its fields.

use std::ffi::{CString, c_char};
use std::ptr;

/// The most bytes of a text.
const TEXT_MAX: usize = 2_048;

/// A parsed call: `create_hold product=1 quantity=2 key=a%20b`.
pub struct Line<'a> {
    pub call: &'a str,
    fields: Vec<(&'a [u8], Vec<u8>)>,
}

impl<'a> Line<'a> {
    /// Parses a line. `$hold` and `$payment` expand to these tokens.
    pub fn read(line: &'a [u8], hold: &[u8], payment: &[u8]) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ');
        let call = str::from_utf8(words.next()?).ok()?;
        let fields = words.map(|word| {
            let end = word.iter().position(|byte| *byte == b'=').unwrap_or(word.len());
            let value = match word.get(end + 1..).unwrap_or_default() {
                b"$hold" => hold.to_vec(),
                b"$payment" => payment.to_vec(),
                value => decoded(value),
            };
            (&word[..end], value)
        });
        Some(Self { call, fields: fields.collect() })
    }

    /// Returns the bytes of a field.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let field = self.fields.iter().find(|(field, _)| *field == name.as_bytes());
        field.map(|(_, value)| value.as_slice())
    }

    /// Returns a number, truncated to its lowest bits; 0 if invalid.
    pub fn number(&self, name: &str) -> u64 {
        self.given(name).unwrap_or(0)
    }

    /// Returns a number if the field was given.
    pub fn given(&self, name: &str) -> Option<u64> {
        let text = str::from_utf8(self.bytes(name)?).ok()?;
        text.parse().ok().or_else(|| text.parse().ok().map(i64::cast_unsigned))
    }

    /// Returns a C string, up to its first NUL.
    pub fn text(&self, name: &str) -> Option<CString> {
        let bytes = self.bytes(name)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        CString::new(&bytes[..end.min(TEXT_MAX)]).ok()
    }

    /// Whether a pointer is to be NULL: `null=engine,request`.
    pub fn is_null(&self, pointer: &str) -> bool {
        let mut names = self.bytes("null").unwrap_or_default().split(|byte| *byte == b',');
        names.any(|name| name == pointer.as_bytes())
    }
}

/// Returns a text's pointer, valid as long as the text.
pub fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

/// Returns an optional argument, unless the line says NULL.
pub fn unless_null<T>(line: &Line<'_>, name: &str, place: *mut T) -> *mut T {
    if line.is_null(name) { ptr::null_mut() } else { place }
}

/// Percent-decodes a value.
fn decoded(value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    bytes
}
