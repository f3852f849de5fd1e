//! `relay`: delivers events without serving HTTP, and looks after dead letters.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde::Serialize;
use stockade::{AsyncEngine, Undelivered, UndeliveredState};

use super::output::{json, print_line, required, try_print_line};
use crate::command_error::CommandError;
use crate::event_view::EventView;
use crate::relay::{Relay, RelayMetrics};
use crate::settings::Settings;
use crate::signals::Signals;

/// The most dead letters of one read.
const PAGE: u32 = 100;

pub(super) fn command() -> Command {
    let name = || {
        Arg::new("name")
            .value_name("NAME")
            .required(true)
            .help("The endpoint's name in the relay's file")
    };
    let list = Command::new("list")
        .about("Print an endpoint's dead letters with their events, as JSON Lines")
        .arg(name());
    let resend = Command::new("resend")
        .about("Send dead letters again, one or all; a running relay does it")
        .args([
            name(),
            Arg::new("event")
                .value_name("CURSOR")
                .value_parser(value_parser!(u64))
                .required_unless_present("all")
                .conflicts_with("all")
                .help("The cursor of the event"),
            Arg::new("all").long("all").action(ArgAction::SetTrue).help("All of the endpoint's"),
        ]);
    Command::new("relay")
        .about("Deliver events to the targets of the settings relay and event_rows, without HTTP")
        .subcommands([
            Command::new("status").about("Print how far each target is, as JSON Lines"),
            Command::new("dead-letters")
                .about("Look at events that were given up, and send them again")
                .subcommand_required(true)
                .subcommands([list, resend]),
        ])
}

/// The settings of the server that `relay` uses.
pub(super) const SETTINGS: &[&str] = &["relay", "event_rows", "drain_timeout"];

/// `relay`: delivers until a signal.
pub(super) async fn deliver(engine: &AsyncEngine, settings: &Settings) -> Result<(), CommandError> {
    let mut signals = Signals::new()
        .map_err(|error| CommandError::system("cannot install signal handlers", &error))?;
    let Some(relay) = Relay::of_settings(settings, engine, RelayMetrics::default()).await? else {
        let why = "there is nothing to deliver to: name a file with --relay, or set --event-rows";
        return Err(CommandError::Setup(why.to_owned()));
    };
    print_line("relaying")?;
    let signal = signals.next().await;
    tracing::info!("{signal}: stopping");
    relay.stop(settings.drain_timeout).await;
    Ok(())
}

/// `relay status`
pub(super) async fn status(engine: &AsyncEngine) -> Result<(), CommandError> {
    for consumer in engine.consumers()?.all().await? {
        if !try_print_line(&json(&consumer)?)? {
            break;
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct DeadLetter<'a> {
    #[serde(flatten)]
    letter: &'a Undelivered,
    /// Missing once retention has deleted it: then it cannot be sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<EventView<'a>>,
}

/// `relay dead-letters resend`
pub(super) async fn resend(
    engine: &AsyncEngine,
    matches: &ArgMatches,
) -> Result<ExitCode, CommandError> {
    let name: String = required(matches, "name")?;
    let event = matches.get_one("event").copied();
    let count = engine.consumers()?.resend(&name, event).await?;
    print_line(&format!("{count} dead letters are due again"))?;
    let is_found = count > 0 || event.is_none();
    Ok(if is_found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `relay dead-letters list`
pub(super) async fn dead_letters(
    engine: &AsyncEngine,
    matches: &ArgMatches,
) -> Result<(), CommandError> {
    let name: String = required(matches, "name")?;
    let consumers = engine.consumers()?;
    let mut after = 0;
    loop {
        let page = consumers.undelivered(&name, UndeliveredState::Dead, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.event;
        for letter in &page {
            let events = engine.events_after(letter.event.saturating_sub(1), 1).await?;
            let event = events.iter().find(|event| event.cursor == letter.event);
            let line = DeadLetter { letter, data: event.map(EventView::of) };
            if !try_print_line(&json(&line)?)? {
                return Ok(());
            }
        }
    }
}
