//! A shop for one session: a fresh store, a server, and a manual clock.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use stockade::{AsyncEngine, Clock, Engine, ManualClock, NewProduct, Timestamp};
use stockade_server::Settings;
use stockade_server::fuzzing::{NOW, Server, Transport};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::answers;

/// The timeout of a session, which takes no real time; the server's own
/// timeouts are an hour.
const HANGS: Duration = Duration::from_secs(60);

/// The stock of each product; their ids are 1, 2 and so on.
const STOCK: &[u64] = &[4, 1_000];

/// A shop.
pub struct Shop {
    pub engine: AsyncEngine,
    server: Server,
    clock: Arc<ManualClock>,
}

/// Runs a session on a fresh shop with these settings, and checks the
/// invariants afterwards.
pub fn visit(settings: &[(&str, &str)], session: impl AsyncFnOnce(&Shop)) {
    thread_local! {
        static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
    }
    let whole = async {
        let shop = Shop::open(settings).await;
        session(&shop).await;
        shop.expect_order().await;
        shop.engine.close().await;
    };
    RUNTIME.with(|runtime| {
        let new = || Builder::new_current_thread().enable_all().build().expect("a runtime");
        let ended = runtime.get_or_init(new).block_on(async { timeout(HANGS, whole).await });
        ended.expect("a visit that comes to its end");
    });
}

impl Shop {
    async fn open(settings: &[(&str, &str)]) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(NOW * 1_000_000)));
        let builder = Engine::builder().store("sqlite::memory:").sweeper(false);
        // Small: sessions are short, and startup dominates.
        let builder = builder.set("cache_products", "16").expect("a setting");
        let engine = builder.clock(Arc::clone(&clock) as Arc<dyn Clock>).open_async();
        let engine = engine.await.expect("a store in memory");
        for units in STOCK {
            let price = "19.99".parse().expect("a price");
            let product = NewProduct::new("Lamp", price, *units);
            engine.create_product(&product).await.expect("a product");
        }
        let mut all = Settings::default();
        // No timeouts and no host check: a slow client would be seen as a hang,
        // and every endpoint must be reachable.
        let reachable = [("header_timeout", "1h"), ("request_timeout", "1h"), ("insecure", "true")];
        for (name, value) in reachable.iter().chain(settings) {
            all.set(name, value).expect("a setting");
        }
        let server = Server::new(engine.clone(), &all).expect("a server");
        Self { engine, server, clock }
    }

    /// Sends these bytes over TCP and returns everything received.
    pub async fn exchange(&self, sent: &[u8]) -> Vec<u8> {
        self.exchange_by(Transport::Tcp, sent).await
    }

    /// The same over this transport.
    pub async fn exchange_by(&self, transport: Transport, sent: &[u8]) -> Vec<u8> {
        self.server.exchange(transport, sent).await
    }

    /// Advances the clock.
    pub fn wait(&self, seconds: u32) {
        self.clock.advance(Duration::from_secs(seconds.into()));
    }

    /// Expects consistent stock, no forbidden response, and no request in
    /// flight.
    async fn expect_order(&self) {
        let audit = self.engine.audit().await.expect("an audit");
        assert!(audit.consistent, "{audit:?}");
        loop {
            let received = self.exchange(b"GET /metrics HTTP/1.1\r\nhost: shop\r\n\r\n").await;
            let answers = answers::read(&received);
            let metrics = str::from_utf8(answers[0].body).expect("a text");
            let failed = metrics.lines().find(|line| line.contains("status=\"5"));
            assert_eq!(failed, None);
            // This request itself is always in flight; others end soon.
            if metrics.contains("\nstockade_http_in_flight 1\n") {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}
