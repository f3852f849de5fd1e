//! An engine that is served, as `stockade serve` serves its own, for programs
//! that open its URL.

use stockade::AsyncEngine;
use stockade_server::{Listeners, Settings, serve};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What the address asks for; the socket file asks for nothing.
pub const KEY: &str = "sesame";

/// An engine on a store in memory, served on a socket file and on an address.
/// Dropped, it is gone.
pub struct Served {
    /// `unix:///SOCKET`
    pub socket: String,
    /// `HOST:PORT`
    pub host: String,
    _runtime: Runtime,
    _folder: TempDir,
}

impl Served {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let unix = folder.path().join("stockade.sock").to_str().expect("UTF-8").to_owned();
        let listen = "127.0.0.1:0".to_owned();
        let mut settings = Settings { listen, unix, ..Settings::default() };
        settings.set("api_key", KEY).expect("a setting");
        let runtime = Runtime::new().expect("a runtime");
        let urls = runtime.block_on(async {
            let engine = AsyncEngine::open("sqlite::memory:").await.expect("opens");
            let listeners = Listeners::bind(&settings).await.expect("listens");
            let urls = listeners.urls().expect("two");
            tokio::spawn(async move {
                serve(engine, listeners, &settings, std::future::pending()).await
            });
            urls
        });
        let [address, socket] = urls.try_into().expect("two");
        let host = address.strip_prefix("http://").expect("an address").to_owned();
        Self { socket, host, _runtime: runtime, _folder: folder }
    }
}
