//! `stockade serve`: the listener, its limits, and the way down.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use stockade::{AsyncEngine, Config};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::app::App;
use crate::connection::{self, Serving};
use crate::demo;
use crate::failure::Failure;
use crate::limits::Limit;
use crate::settings::Settings;
use crate::signals::Signals;

/// The most clients being told at a time that there is no room.
const TURNED_AWAY_MAX: usize = 64;

/// How long to wait after the system could not accept, as when it is out of
/// file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until a signal says to stop.
pub async fn run(config: Config, settings: Settings) -> Result<ExitCode, Failure> {
    let mut signals =
        Signals::new().map_err(|error| Failure::system("cannot wait for signals", &error))?;
    let listener = listen(&settings).await?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::system("the listener has no address", &error))?;
    let app = tokio::select! {
        app = open(config, &settings) => Arc::new(app?),
        signal = signals.next() => {
            tracing::info!("{signal}: stopped before the start");
            return Ok(ExitCode::SUCCESS);
        }
    };
    announce(address);
    let connections = Limit::new(settings.client_connections_max);
    let graceful = GracefulShutdown::new();
    tokio::select! {
        never = accept(&listener, &app, &settings, &connections, &graceful) => match never {},
        () = stop(&mut signals, &app, settings.drain_delay) => {}
    }
    drop(listener);
    drain(&app, graceful, signals, &connections, settings.drain_timeout).await
}

async fn listen(settings: &Settings) -> Result<TcpListener, Failure> {
    let wrong = |error: &io::Error| {
        Failure::Setup(format!("cannot listen on {}: {error}", settings.listen))
    };
    let addresses: Vec<SocketAddr> =
        lookup_host(&settings.listen).await.map_err(|error| wrong(&error))?.collect();
    let open = settings.webhook_secret.is_empty() || settings.api_key.is_empty();
    if open && !settings.insecure && !addresses.iter().all(|address| address.ip().is_loopback()) {
        return Err(Failure::Setup(format!(
            "will not listen on {}, beyond this machine, without a webhook secret and an API key: \
             anyone could mark orders as paid and change the stock. Set STOCKADE_WEBHOOK_SECRET \
             and STOCKADE_API_KEY, or say --insecure",
            settings.listen
        )));
    }
    TcpListener::bind(addresses.as_slice()).await.map_err(|error| wrong(&error))
}

async fn open(config: Config, settings: &Settings) -> Result<App, Failure> {
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
fn announce(address: SocketAddr) {
    tracing::info!("listening on http://{address}");
    // Nobody need read it.
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "listening on http://{address}").and_then(|()| stdout.flush());
}

enum Never {}

async fn accept(
    listener: &TcpListener,
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
        let Some(stream) = next(listener, app).await else {
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
        let connection = serving.serve(stream, &app, graceful.watcher());
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

async fn next(listener: &TcpListener, app: &App) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are small and should leave at once.
            let _ = stream.set_nodelay(true);
            Some(stream)
        }
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

/// Waits for the first signal, turns readiness red, and lets load balancers
/// see it for a while.
async fn stop(signals: &mut Signals, app: &App, delay: Duration) {
    let signal = signals.next().await;
    tracing::info!("{signal}: stopping");
    app.shared.drain();
    if !delay.is_zero() {
        tokio::select! {
            () = sleep(delay) => {}
            signal = signals.next() => exit_at_once(signal),
        }
    }
}

/// Lets requests under way finish within the bound.
async fn drain(
    app: &App,
    graceful: GracefulShutdown,
    mut signals: Signals,
    connections: &Limit,
    bound: Duration,
) -> Result<ExitCode, Failure> {
    let finish = async {
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
    };
    let clean = tokio::select! {
        clean = finish => clean,
        signal = signals.next() => exit_at_once(signal),
    };
    if clean {
        tracing::info!("stopped");
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ends the process without waiting for anything.
fn exit_at_once(signal: &str) -> ! {
    tracing::warn!("{signal} again: exiting at once");
    std::process::exit(1)
}
