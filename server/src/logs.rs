//! Logging: structured lines on stderr.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::command_error::CommandError;
use crate::settings::{LogFormat, Settings};

/// Initializes the process's logger.
pub fn start(settings: &Settings) -> Result<(), CommandError> {
    let levels = read_levels(&settings.log_level)
        .map_err(|why| CommandError::Setup(format!("setting log_level: {why}")))?;
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match settings.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    registry()
        .with(levels)
        .with(lines)
        .try_init()
        .map_err(|error| CommandError::Runtime(format!("cannot start the log: {error}")))
}

fn read_levels(text: &str) -> Result<Targets, String> {
    // The parser accepts an unknown word as the name of a module; it is far
    // more often a misspelt level.
    let misspelt = |word: &&str| {
        !word.contains('=') && (word.is_empty() || word.parse::<LevelFilter>().is_err())
    };
    match text.split(',').find(misspelt) {
        Some(word) => Err(format!("`{word}` is not a level")),
        None => text.parse().map_err(|error| format!("{error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::read_levels;

    #[test]
    fn log_levels_are_parsed_and_misspelt_ones_rejected() {
        for good in ["info", "off", "warn,stockade::request=off", "INFO"] {
            assert!(read_levels(good).is_ok(), "{good}");
        }
        for bad in ["", "verbose", "info,stockade=loud", "inf0,stockade=info"] {
            assert!(read_levels(bad).is_err(), "{bad}");
        }
    }
}
