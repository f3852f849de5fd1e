//! Why a call fails, on its way to the caller's error.

use crate::code::stockade_code;

/// A failure on its way out.
#[derive(Clone)]
pub(crate) enum Failure {
    /// The engine's word.
    Engine(stockade::Error),
    /// What only this border refuses.
    Border(stockade_code, String),
}

impl From<stockade::Error> for Failure {
    fn from(error: stockade::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<stockade::InvalidArgument> for Failure {
    fn from(error: stockade::InvalidArgument) -> Self {
        Self::Engine(error.into())
    }
}

impl Failure {
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::Engine(stockade::Error::invalid_argument(message))
    }

    pub fn misuse(message: impl Into<String>) -> Self {
        Self::Border(stockade_code::Misuse, message.into())
    }

    pub fn panicked() -> Self {
        let why = "Stockade panicked; this is a fault of its own".to_owned();
        Self::Border(stockade_code::Internal, why)
    }

    pub fn code(&self) -> stockade_code {
        match self {
            Self::Engine(error) => stockade_code::of(error.kind()),
            Self::Border(code, _) => *code,
        }
    }

    pub fn message(&self) -> &str {
        match self {
            Self::Engine(error) => error.message(),
            Self::Border(_, message) => message,
        }
    }

    /// The engine's word, if it is one.
    pub fn engine(&self) -> Option<&stockade::Error> {
        match self {
            Self::Engine(error) => Some(error),
            Self::Border(..) => None,
        }
    }
}

pub(crate) fn null(what: &str) -> Failure {
    Failure::invalid_argument(format!("{what} must not be NULL"))
}

/// There is nothing at this place of a list.
pub(crate) fn beyond(index: usize, count: usize) -> Failure {
    Failure::invalid_argument(format!("there are {count} entries, none at {index}"))
}
