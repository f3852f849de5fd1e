//! Words for the numbers of enums.

/// Turns an enum of the engine into one of C, and its numbers into its words.
/// The match has no arm for the unknown, so a new word cannot be forgotten.
macro_rules! names {
    ($engine:ty => $c:ident { $($name:ident: $word:literal,)* }) => {
        impl From<$engine> for $c {
            fn from(value: $engine) -> Self {
                match value { $(<$engine>::$name => Self::$name,)* }
            }
        }

        impl $c {
            fn word(number: u32) -> *const std::ffi::c_char {
                match number {
                    $(number if number == Self::$name as u32 => $word.as_ptr(),)*
                    _ => std::ptr::null(),
                }
            }
        }

        #[cfg(test)]
        mod names_test {
            use super::*;

            #[test]
            fn each_word_is_the_one_that_answers_have() {
                $(
                    let number = $c::from(<$engine>::$name) as u32;
                    // SAFETY: it is a literal.
                    let word = unsafe { std::ffi::CStr::from_ptr($c::word(number)) };
                    let written = serde_json::to_string(&<$engine>::$name).expect("a word");
                    assert_eq!(Ok(written.trim_matches('"')), word.to_str());
                )*
                assert!($c::word(0).is_null());
            }
        }
    };
}
pub(crate) use names;
