//! Enums of which each value has a name, as it is serialized, and a code, as it
//! is stored.

/// A value that the database stores as a small number.
pub(crate) trait Coded: Copy + 'static {
    /// All values; the position of one is its code.
    const ALL: &'static [Self];

    /// The stored code.
    fn code(self) -> i64;

    /// The value with this code.
    fn from_code(code: i64) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }
}

/// Defines an enum by its values and their names. A code is the position in the
/// list and never changes, so new values go last.
macro_rules! named_enum {
    ($(#[$doc:meta])* $Enum:ident { $($(#[$of:meta])* $Value:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord,
            serde::Serialize, serde::Deserialize,
        )]
        #[non_exhaustive]
        pub enum $Enum {
            $($(#[$of])* #[serde(rename = $name)] $Value,)*
        }

        impl $Enum {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$Value,)*];

            /// The name, as it is serialized.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$Value => $name,)*
                }
            }
        }

        impl std::fmt::Display for $Enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::model::Coded for $Enum {
            const ALL: &'static [Self] = $Enum::ALL;

            fn code(self) -> i64 {
                self as i64
            }
        }
    };
}
pub(crate) use named_enum;

#[cfg(test)]
mod tests {
    use super::Coded;
    use crate::model::{EventKind, HoldStatus, OrderStatus};

    #[test]
    fn codes_are_those_in_the_sql_texts() {
        assert_eq!(HoldStatus::Active.code(), 0);
        assert_eq!(HoldStatus::Converted.code(), 1);
        assert_eq!(OrderStatus::PendingPayment.code(), 0);
        assert_eq!(OrderStatus::Paid.code(), 1);
        assert_eq!(EventKind::StockAdjusted.code(), 9);
        assert_eq!(HoldStatus::from_code(3), Some(HoldStatus::Expired));
        assert_eq!(HoldStatus::from_code(4), None);
        assert_eq!(HoldStatus::from_code(-1), None);
    }
}
