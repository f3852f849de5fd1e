//! Engines behind a socket: each is served as `stockade serve --unix` serves
//! its own, on this test's store and clock, and the test opens its URL.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, mpsc};
use std::time::Duration;

use stockade::{AsyncEngine, Engine, EngineBuilder, Result};
use stockade_server::{Listeners, Settings, serve};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The engines that are served in this process, by their URL.
static SERVED: LazyLock<Mutex<HashMap<String, AsyncEngine>>> = LazyLock::new(Mutex::default);

/// Serves engines until it is dropped.
pub struct Sockets {
    folder: TempDir,
    count: AtomicUsize,
    stop: CancellationToken,
    serving: Mutex<Vec<(String, JoinHandle<()>)>>,
    runtime: Option<Runtime>,
}

impl Sockets {
    pub fn new() -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build();
        Self {
            folder: TempDir::new().expect("a folder"),
            count: AtomicUsize::new(0),
            stop: CancellationToken::new(),
            serving: Mutex::default(),
            runtime: Some(runtime.expect("a runtime")),
        }
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("not dropped")
    }

    /// Opens an engine, serves it on a socket file, and answers its URL.
    pub fn serve(&self, builder: EngineBuilder) -> Result<String> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(format!("{number}.sock"));
        let unix = path.to_str().expect("UTF-8").to_owned();
        let settings = Settings { listen: String::new(), unix, ..Settings::default() };
        self.serve_by(builder, settings)
    }

    /// Opens an engine, serves it on an address with this API key, and answers
    /// its URL.
    pub fn serve_at_address(&self, builder: EngineBuilder, key: &str) -> String {
        let mut settings = Settings { listen: "127.0.0.1:0".to_owned(), ..Settings::default() };
        settings.set("api_key", key).expect("a setting");
        self.serve_by(builder, settings).expect("opens")
    }

    fn serve_by(&self, builder: EngineBuilder, mut settings: Settings) -> Result<String> {
        let (stop, (opened, served)) = (self.stop.clone(), mpsc::channel());
        let serving = self.runtime().spawn(async move {
            let engine = match builder.open_async().await {
                Ok(engine) => engine,
                Err(error) => return opened.send(Err(error)).expect("the test waits"),
            };
            // Longer than anything a test lets an engine wait for.
            settings.request_timeout = Duration::from_secs(120);
            let listeners = Listeners::bind(&settings).await.expect("listens");
            let url = listeners.urls().expect("one")[0].clone();
            SERVED.lock().expect("no panic").insert(url.clone(), engine.clone());
            opened.send(Ok(url)).expect("the test waits");
            serve(engine, listeners, &settings, stop.cancelled()).await.expect("serves");
        });
        let url = served.recv().expect("an answer")?;
        self.serving.lock().expect("no panic").push((url.clone(), serving));
        Ok(url)
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.stop.cancel();
        let Some(runtime) = self.runtime.take() else { return };
        for (url, _) in self.serving.get_mut().expect("no panic").drain(..) {
            SERVED.lock().expect("no panic").remove(&url);
        }
        runtime.shutdown_timeout(Duration::from_secs(10));
    }
}

/// The settings of an engine that goes through a socket, on its own side: it
/// waits as long as any engine of a test would.
pub fn through(url: &str) -> EngineBuilder {
    let builder = Engine::builder().store(url);
    builder.set("remote_timeout", "120s").expect("a setting")
}

/// The counters of the engine that does the calls.
pub fn counters(engine: &impl Debug, own: String) -> String {
    let shown = format!("{engine:?}");
    let url = shown.split('"').find(|part| part.starts_with("unix://"));
    let served = SERVED.lock().expect("no panic");
    url.and_then(|url| served.get(url)).map_or(own, AsyncEngine::metrics_text)
}
