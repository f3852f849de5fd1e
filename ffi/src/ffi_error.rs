//! Errors inside the library, before they become the caller's error object.

use crate::code::stockade_code;

/// Why a call failed.
#[derive(Clone)]
pub(crate) enum FfiError {
    /// The engine's error.
    Engine(stockade::Error),
    /// An error of the C ABI itself.
    Boundary(stockade_code, String),
}

impl From<stockade::Error> for FfiError {
    fn from(error: stockade::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<stockade::InvalidArgument> for FfiError {
    fn from(error: stockade::InvalidArgument) -> Self {
        Self::Engine(error.into())
    }
}

impl FfiError {
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::Engine(stockade::Error::invalid_argument(message))
    }

    pub fn misuse(message: impl Into<String>) -> Self {
        Self::Boundary(stockade_code::Misuse, message.into())
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::Boundary(stockade_code::Internal, message.into())
    }

    pub fn panicked() -> Self {
        Self::internal("Stockade panicked; this is a bug in Stockade, please report it")
    }

    pub fn code(&self) -> stockade_code {
        match self {
            Self::Engine(error) => stockade_code::of(error.kind()),
            Self::Boundary(code, _) => *code,
        }
    }

    pub fn message(&self) -> &str {
        match self {
            Self::Engine(error) => error.message(),
            Self::Boundary(_, message) => message,
        }
    }

    /// Returns the engine's error, if it is one.
    pub fn engine(&self) -> Option<&stockade::Error> {
        match self {
            Self::Engine(error) => Some(error),
            Self::Boundary(..) => None,
        }
    }
}

pub(crate) fn null(what: &str) -> FfiError {
    FfiError::invalid_argument(format!("{what} must not be NULL"))
}

/// The error of an index beyond the end of a list.
pub(crate) fn out_of_range(index: usize, count: usize) -> FfiError {
    FfiError::invalid_argument(format!(
        "index {index} is out of range: the list has {count} entries"
    ))
}
