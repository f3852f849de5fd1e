//! `stockade serve`: taking connections within limits, and the way down.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use stockade::{AsyncEngine, Config};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::connection::{self, Serving};
use crate::demo;
use crate::failure::Failure;
use crate::limits::Limit;
use crate::listeners::{Door, Listeners};
use crate::settings::Settings;
use crate::signals::Signals;
use crate::stream::Stream;

/// The most clients being told at a time that there is no room.
const TURNED_AWAY_MAX: usize = 64;

/// How long to wait after the system could not accept, as when it is out of
/// file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until a signal says to stop.
pub async fn run(config: Config, settings: Settings) -> Result<ExitCode, Failure> {
    let mut signals =
        Signals::new().map_err(|error| Failure::system("cannot wait for signals", &error))?;
    let listeners = Listeners::bind(&settings).await?;
    let urls = listeners.urls()?;
    let app = tokio::select! {
        app = open(config, &settings) => Arc::new(app?),
        signal = signals.next() => {
            tracing::info!("{signal}: stopped before the start");
            return Ok(ExitCode::SUCCESS);
        }
    };
    announce(&urls);
    let stop = CancellationToken::new();
    let clean = tokio::select! {
        clean = serve_app(&app, listeners, &settings, stop.cancelled()) => clean,
        never = obey(&mut signals, &app, settings.drain_delay, &stop) => match never {},
    };
    if clean {
        tracing::info!("stopped");
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Serves an engine that is open already, until `stop`; then closes it. Says
/// whether all requests were finished within the settings' bounds.
///
/// # Errors
/// Says why the server cannot begin.
pub async fn serve(
    engine: AsyncEngine,
    listeners: Listeners,
    settings: &Settings,
    stop: impl Future<Output = ()>,
) -> Result<bool, Failure> {
    let app = Arc::new(App::new(engine, settings)?);
    Ok(serve_app(&app, listeners, settings, stop).await)
}

async fn serve_app(
    app: &Arc<App>,
    listeners: Listeners,
    settings: &Settings,
    stop: impl Future<Output = ()>,
) -> bool {
    let connections = Limit::new(settings.client_connections_max);
    let graceful = GracefulShutdown::new();
    tokio::select! {
        never = accept(&listeners, app, settings, &connections, &graceful) => match never {},
        () = stop => app.shared.drain(),
    }
    drop(listeners);
    drain(app, graceful, &connections, settings.drain_timeout).await
}

async fn open(config: Config, settings: &Settings) -> Result<App, Failure> {
    if config.names_a_running_engine() {
        let why = "a server needs a store of its own, and --store names a running engine";
        return Err(Failure::Setup(why.to_owned()));
    }
    tracing::info!(?config, "opening the store");
    let embedded = config.store.starts_with("sqlite:");
    let engine = AsyncEngine::with_config(config).await?;
    if embedded && !settings.no_seed {
        let added = demo::seed(&engine).await?;
        if added > 0 {
            tracing::info!("the store was empty: {added} demo products were added");
        }
    }
    App::new(engine, settings)
}

/// Says where the server listens, on stdout for programs that start it.
fn announce(urls: &[String]) {
    let mut stdout = io::stdout();
    for url in urls {
        tracing::info!("listening on {url}");
        // Nobody need read it.
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
    let serving = Serving::new(settings);
    let farewells = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    loop {
        // Before accepting: whoever comes can at least be told to come back.
        let Ok(farewell) = Arc::clone(&farewells).acquire_owned().await else {
            continue;
        };
        let Some((stream, door)) = next(listeners, app).await else {
            continue;
        };
        let app = Arc::clone(app);
        let Some(place) = connections.enter() else {
            app.shared.metrics.turned_away();
            tokio::spawn(async move {
                connection::turn_away(stream, &app).await;
                drop(farewell);
            });
            continue;
        };
        let connection = serving.serve(stream, door, &app, graceful.watcher());
        let connections = connections.clone();
        app.shared.metrics.connections(connections.count());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // A client's doing, mostly: silence, a broken request, a cut.
                tracing::debug!(cause = %error, "a connection ended early");
            }
            drop(place);
            app.shared.metrics.connections(connections.count());
        });
    }
}

async fn next(listeners: &Listeners, app: &App) -> Option<(Stream, Door)> {
    match listeners.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            app.shared.metrics.accept_failed();
            tracing::warn!(cause = %error, "a connection could not be accepted");
            // That one client has gone; anything else may last.
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

/// At the first signal turns readiness red, lets load balancers see it for a
/// while, and says to stop; at the second ends the process.
async fn obey(
    signals: &mut Signals,
    app: &App,
    delay: Duration,
    stop: &CancellationToken,
) -> Never {
    let signal = signals.next().await;
    tracing::info!("{signal}: stopping");
    app.shared.drain();
    tokio::select! {
        () = sleep(delay) => stop.cancel(),
        signal = signals.next() => exit_at_once(signal),
    }
    exit_at_once(signals.next().await)
}

/// Lets requests under way finish within the bound; says whether they did.
async fn drain(
    app: &App,
    graceful: GracefulShutdown,
    connections: &Limit,
    bound: Duration,
) -> bool {
    let clean = timeout(bound, graceful.shutdown()).await.is_ok();
    if !clean {
        let cut = connections.count();
        tracing::warn!("{cut} connections did not finish within {bound:?} and are cut");
    }
    // Closing also returns what the engine has begun, so it has its own bound.
    let closed = timeout(bound.max(Duration::from_secs(1)), app.shared.engine.close()).await;
    if closed.is_err() {
        tracing::warn!("the engine did not close in time");
    }
    clean && closed.is_ok()
}

/// Ends the process without waiting for anything.
fn exit_at_once(signal: &str) -> ! {
    tracing::warn!("{signal} again: exiting at once");
    std::process::exit(1)
}
