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
            }
        }
    };
}
pub(crate) use enum_names;
