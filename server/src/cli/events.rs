//! `events`: prints the events of the store.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use stockade::AsyncEngine;
use tokio::time::sleep;

use super::output::{json, try_print_line};
use crate::command_error::CommandError;
use crate::event_view::EventView;

/// The most events of one read.
const PAGE: u32 = 1_000;
/// The pause between two reads at the tail.
const POLL: Duration = Duration::from_millis(200);

pub(super) fn command() -> Command {
    Command::new("events").about("Print events one by one, as JSON Lines by ascending cursor").args(
        [
            Arg::new("after")
                .long("after")
                .value_name("CURSOR")
                .value_parser(value_parser!(u64))
                .default_value("0")
                .help("Only events after this cursor: that of the last event seen"),
            Arg::new("follow").long("follow").short('f').action(ArgAction::SetTrue).help(
                "Wait for further events and print them, until the reader or the user ends it",
            ),
            Arg::new("count")
                .long("count")
                .value_name("N")
                .value_parser(value_parser!(u64))
                .help("The most to print; default: all"),
        ],
    )
}

/// `events`
pub(super) async fn run(engine: &AsyncEngine, matches: &ArgMatches) -> Result<(), CommandError> {
    let mut after = matches.get_one("after").copied().unwrap_or(0);
    let mut left = matches.get_one("count").copied().unwrap_or(u64::MAX);
    let follows = matches.get_flag("follow");
    while left > 0 {
        let limit = u32::try_from(left).map_or(PAGE, |left| left.min(PAGE));
        let events = match engine.events_after(after, limit).await {
            // Followers outlive a restart of the database.
            Err(error) if follows && error.retry_after().is_some() => {
                tracing::warn!(%error, "cannot read events; will be retried");
                sleep(Duration::from_secs(1)).await;
                continue;
            }
            events => events?,
        };
        for event in &events {
            if !try_print_line(&json(&EventView::of(event))?)? {
                return Ok(());
            }
            after = event.cursor;
            left -= 1;
        }
        if events.is_empty() {
            if !follows {
                break;
            }
            sleep(POLL).await;
        }
    }
    Ok(())
}
