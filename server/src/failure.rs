//! Why a command of the command line did not do its work.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// A failure and with it the exit code.
#[derive(Debug)]
pub enum Failure {
    /// The settings or arguments are wrong: code 2, as for a wrong flag.
    Setup(String),
    /// The engine or the system refused: code 3.
    Work(String),
}

impl Failure {
    /// A failure of the system's, named by what was tried.
    pub fn system(tried: &str, cause: &std::io::Error) -> Self {
        Self::Work(format!("{tried}: {cause}"))
    }

    /// The exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Setup(_) => 2,
            Self::Work(_) => 3,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(message) | Self::Work(message) => f.write_str(message),
        }
    }
}

impl From<stockade::Error> for Failure {
    fn from(error: stockade::Error) -> Self {
        let mut message = format!("{}: {}", error.code(), error.message());
        // Whoever sits at the command line is the one who can mend it.
        let mut cause = error.source();
        while let Some(deeper) = cause {
            // Many a cause repeats its own cause.
            let deeper_message = deeper.to_string();
            if !message.contains(&deeper_message) {
                message = format!("{message}: {deeper_message}");
            }
            cause = deeper.source();
        }
        match error.kind() {
            stockade::ErrorKind::InvalidArgument => Self::Setup(message),
            _ => Self::Work(message),
        }
    }
}
