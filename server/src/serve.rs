//! `stockade serve`: accepting connections within limits, and graceful
//! shutdown.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Command;
use hyper_util::server::graceful::GracefulShutdown;
use stockade::{AsyncEngine, ClockSource, Config};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::api_keys::ApiKeys;
use crate::app::App;
use crate::command_error::CommandError;
use crate::connection::{self, ConnectionServer};
use crate::demo;
use crate::limits::Limit;
use crate::listeners::{Listeners, Peer};
use crate::relay::Relay;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::stream::Stream;

/// The most connections being rejected at a time.
const REJECTING_MAX: usize = 64;

/// The pause after a failed accept, such as when out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const EXIT_CODES: &str = "\
Exit codes: 0 stopped; 1 requests were cut off at shutdown; 2 wrong settings; 3 the store or
the operating system failed.";

/// The command `serve`.
pub fn command() -> Command {
    Command::new("serve").about("Serve HTTP (the default command)").after_help(EXIT_CODES)
}

/// Serves until a signal asks the server to stop.
pub async fn run(config: Config, settings: Settings) -> Result<ExitCode, CommandError> {
    let mut signals = Signals::new()
        .map_err(|error| CommandError::system("cannot install signal handlers", &error))?;
    // First of all: a refused start opens nothing.
    let keys = ApiKeys::load(&settings)?;
    let listeners = Listeners::bind(&settings).await?;
    let urls = listeners.urls()?;
    let store = config.store.clone();
    let (app, opened) = tokio::select! {
        opened = open(config, &settings, keys) => {
            let (app, opened) = opened?;
            (Arc::new(app), opened)
        }
        signal = signals.next() => {
            tracing::info!("{signal}: stopped before startup finished");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let relay = Relay::of_settings(&settings, &app.state.engine, app.state.metrics.relay.clone());
    let relay = match relay.await {
        Ok(relay) => relay,
        Err(error) => {
            app.state.engine.close().await;
            return Err(error);
        }
    };
    announce(&urls);
    if opened.is_empty && io::stdout().is_terminal() {
        greet(&store, opened.demo_products, urls.first().map(String::as_str));
    }
    let stop = CancellationToken::new();
    let clean = tokio::select! {
        clean = serve_app(&app, listeners, &settings, relay, stop.cancelled()) => clean,
        never = handle_signals(&mut signals, &app, settings.drain_delay, &stop) => match never {},
    };
    if clean {
        tracing::info!("stopped");
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Serves an open engine until `stop` resolves, then closes it. Returns whether
/// all requests finished within the drain timeout.
///
/// # Errors
/// Why the server cannot start.
pub async fn serve(
    engine: AsyncEngine,
    listeners: Listeners,
    settings: &Settings,
    stop: impl Future<Output = ()>,
) -> Result<bool, CommandError> {
    let app = Arc::new(App::new(engine, settings, ApiKeys::load(settings)?)?);
    let relay = Relay::of_settings(settings, &app.state.engine, app.state.metrics.relay.clone());
    let relay = relay.await?;
    Ok(serve_app(&app, listeners, settings, relay, stop).await)
}

async fn serve_app(
    app: &Arc<App>,
    listeners: Listeners,
    settings: &Settings,
    relay: Option<Relay>,
    stop: impl Future<Output = ()>,
) -> bool {
    let connections = Limit::new(settings.client_connections_max);
    let graceful = GracefulShutdown::new();
    tokio::select! {
        never = accept(&listeners, app, settings, &connections, &graceful) => match never {},
        () = stop => app.state.drain(),
    }
    drop(listeners);
    if let Some(relay) = relay {
        relay.stop(settings.drain_timeout).await;
    }
    drain(app, graceful, &connections, settings.drain_timeout).await
}

/// What was there when the store was opened.
struct Opened {
    /// Whether it had no product.
    is_empty: bool,
    demo_products: usize,
}

async fn open(
    config: Config,
    settings: &Settings,
    keys: ApiKeys,
) -> Result<(App, Opened), CommandError> {
    if config.names_a_running_engine() {
        let why = "--store names a running engine; a server needs a database: sqlite:… or mysql:…";
        return Err(CommandError::Setup(why.to_owned()));
    }
    if config.clock == ClockSource::Manual {
        let why = "--clock manual is for tests in one process; nothing can move a server's clock";
        return Err(CommandError::Setup(why.to_owned()));
    }
    tracing::info!(?config, "opening the store");
    let has_demo = settings.demo || (config.store == Config::default().store && !settings.no_seed);
    let engine = AsyncEngine::with_config(config).await?;
    let is_empty = demo::is_empty(&engine).await?;
    let demo_products = if is_empty && has_demo { demo::seed(&engine).await? } else { 0 };
    if demo_products > 0 {
        tracing::info!("the store was empty: added {demo_products} demo products");
    }
    Ok((App::new(engine, settings, keys)?, Opened { is_empty, demo_products }))
}

/// Says on a terminal what the first start on an empty store did, and what to try next.
fn greet(store: &str, demo_products: usize, url: Option<&str>) {
    let url = url.filter(|url| url.starts_with("http")).unwrap_or("http://HOST:PORT");
    // A URL of a database may have a password.
    let store = if store.starts_with("sqlite:") { store } else { "the database" };
    let (did, next) = match demo_products {
        0 => (
            format!("{store} is empty: it has the tables and no product"),
            "stockade product put sku:MUG --name Mug --price 19.99 --stock 100".to_owned(),
        ),
        added => (
            format!("{store} was empty: it has {added} demo products now"),
            format!("curl -s {url}/api/products/1; curl -s -X POST {url}/api/holds/1/2"),
        ),
    };
    let sale = match url.ends_with(":8080") {
        true => "stockade load".to_owned(),
        false => format!("stockade load --url {url}"),
    };
    let text = format!(
        "{did}\ntry:  {next}\nthen: {sale} plays a flash sale, and checks the stock afterwards\n\
         see:  {url}/admin shows both live, in a browser"
    );
    // A closed stdout is not an error.
    let _ = writeln!(io::stdout(), "{text}");
}

/// Announces the listeners' URLs, on stdout for programs that start the server.
fn announce(urls: &[String]) {
    let mut stdout = io::stdout();
    for url in urls {
        tracing::info!("listening on {url}");
        // A closed stdout is not an error.
        let _ = writeln!(stdout, "listening on {url}").and_then(|()| stdout.flush());
    }
}

enum Never {}

async fn accept(
    listeners: &Listeners,
    app: &Arc<App>,
    settings: &Settings,
    connections: &Limit,
    graceful: &GracefulShutdown,
) -> Never {
    let serving = ConnectionServer::new(settings);
    let reject_slots = Arc::new(Semaphore::new(REJECTING_MAX));
    loop {
        // Acquire before accepting: every accepted client can at least be
        // rejected with a response.
        let Ok(reject_slot) = Arc::clone(&reject_slots).acquire_owned().await else {
            continue;
        };
        let Some((stream, peer)) = next(listeners, app).await else {
            continue;
        };
        let app = Arc::clone(app);
        let Some(permit) = connections.enter() else {
            app.state.metrics.connection_rejected();
            tokio::spawn(async move {
                connection::reject(stream, &app).await;
                drop(reject_slot);
            });
            continue;
        };
        let connection = serving.serve(stream, peer, &app, graceful.watcher());
        let connections = connections.clone();
        app.state.metrics.connections(connections.count());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Mostly caused by clients: timeouts, invalid requests, resets.
                tracing::debug!(cause = %error, "connection closed with an error");
            }
            drop(permit);
            app.state.metrics.connections(connections.count());
        });
    }
}

async fn next(listeners: &Listeners, app: &App) -> Option<(Stream, Peer)> {
    match listeners.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            app.state.metrics.accept_failed();
            tracing::warn!(cause = %error, "failed to accept a connection");
            // An error of that one connection is over with it; any other may
            // persist.
            if !matches!(
                error.kind(),
                io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
            ) {
                sleep(ACCEPT_PAUSE).await;
            }
            None
        }
    }
}

/// Handles stop signals: the first fails the readiness check, waits
/// `drain_delay` for load balancers to notice, then stops the server; the
/// second ends the process.
async fn handle_signals(
    signals: &mut Signals,
    app: &App,
    delay: Duration,
    stop: &CancellationToken,
) -> Never {
    let signal = signals.next().await;
    tracing::info!("{signal}: stopping");
    app.state.drain();
    tokio::select! {
        () = sleep(delay) => stop.cancel(),
        signal = signals.next() => exit_at_once(signal),
    }
    exit_at_once(signals.next().await)
}

/// Waits for requests in flight within the drain timeout; returns whether all
/// finished.
async fn drain(
    app: &App,
    graceful: GracefulShutdown,
    connections: &Limit,
    bound: Duration,
) -> bool {
    let clean = timeout(bound, graceful.shutdown()).await.is_ok();
    if !clean {
        let cut = connections.count();
        tracing::warn!(
            "{cut} connections did not finish within {bound:?} (drain_timeout); closing them"
        );
    }
    // Closing the engine also waits for its in-flight transactions, so it has a
    // timeout of its own.
    let closed = timeout(bound.max(Duration::from_secs(1)), app.state.engine.close()).await;
    if closed.is_err() {
        tracing::warn!("the engine did not close within the timeout");
    }
    clean && closed.is_ok()
}

/// Exits the process immediately.
fn exit_at_once(signal: &str) -> ! {
    tracing::warn!("{signal} again: exiting immediately");
    std::process::exit(1)
}
