//! Errors of the program's commands, with their exit codes.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub enum CommandError {
    /// Invalid settings or arguments: exit code 2, as for an unknown flag.
    Setup(String),
    /// The engine or the operating system failed: exit code 3.
    Runtime(String),
}

impl CommandError {
    /// An I/O error with the operation that failed.
    pub fn system(tried: &str, cause: &std::io::Error) -> Self {
        Self::Runtime(format!("{tried}: {cause}"))
    }

    /// Returns the exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Setup(_) => 2,
            Self::Runtime(_) => 3,
        })
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(message) | Self::Runtime(message) => f.write_str(message),
        }
    }
}

impl From<stockade::Error> for CommandError {
    fn from(error: stockade::Error) -> Self {
        let mut message = format!("{}: {}", error.code(), error.message());
        // Show the causes too: the reader of the message is the operator.
        let mut cause = error.source();
        while let Some(deeper) = cause {
            // Many errors already include the text of their cause.
            let deeper_message = deeper.to_string();
            if !message.contains(&deeper_message) {
                message = format!("{message}: {deeper_message}");
            }
            cause = deeper.source();
        }
        match error.kind() {
            stockade::ErrorKind::InvalidArgument => Self::Setup(message),
            _ => Self::Runtime(message),
        }
    }
}
