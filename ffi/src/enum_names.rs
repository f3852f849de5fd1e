//! Conversion of engine enums to C enums, and the names of their values.

/// Converts an enum of the engine to one of C, and its numbers to names. A
/// variant that the list lacks becomes `Unknown`.
macro_rules! enum_names {
    ($engine:ty => $c:ident { $($name:ident: $word:literal,)* }) => {
        impl From<$engine> for $c {
            fn from(value: $engine) -> Self {
                match value {
                    $(<$engine>::$name => Self::$name,)*
                    _ => Self::Unknown,
                }
            }
        }

        impl $crate::enum_names::EngineEnum for $c {
            type Engine = $engine;

            fn engine(number: u32) -> Option<$engine> {
                match number {
                    $(number if number == Self::$name as u32 => Some(<$engine>::$name),)*
                    _ => None,
                }
            }
        }

        impl $c {
            fn name(number: u32) -> *const std::ffi::c_char {
                match number {
                    $(number if number == Self::$name as u32 => $word.as_ptr(),)*
                    _ => std::ptr::null(),
                }
            }
        }

        #[cfg(test)]
        mod enum_names_test {
            use super::*;

            #[test]
            fn names_equal_the_serialized_variants() {
                $(
                    let number = $c::from(<$engine>::$name) as u32;
                    // SAFETY: a literal.
                    let word = unsafe { std::ffi::CStr::from_ptr($c::name(number)) };
                    let written = serde_json::to_string(&<$engine>::$name).expect("a word");
                    assert_eq!(Ok(written.trim_matches('"')), word.to_str());
                )*
                assert!($c::name(0).is_null());
                let listed = [$($word,)*].len();
                assert_eq!(<$engine>::ALL.len(), listed, "the engine has others");
            }
        }
    };
}
pub(crate) use enum_names;

use crate::ffi_error::FfiError;

/// An enum of C that has one of the engine.
pub(crate) trait EngineEnum {
    /// The engine's.
    type Engine;

    /// Returns the engine's value of a number.
    fn engine(number: u32) -> Option<Self::Engine>;
}

/// Reads the value that a query asks for; None for 0, which asks for any.
pub(crate) fn asked<T: EngineEnum>(what: &str, number: u32) -> Result<Option<T::Engine>, FfiError> {
    match (number, T::engine(number)) {
        (0, _) => Ok(None),
        (_, Some(value)) => Ok(Some(value)),
        (_, None) => Err(FfiError::invalid_argument(format!("{what} has no value {number}"))),
    }
}
