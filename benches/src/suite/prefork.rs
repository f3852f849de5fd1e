//! Holds on one product by 1 and 8 worker processes with one caller each, as
//! under gunicorn or PHP-FPM: each connected to MariaDB and Redis by itself, or
//! all through the Unix socket of one `stockade serve --unix`.
//!
//! Expected: workers with their own connections run batches of one, each with a
//! handover of the Redis lock and its own fsync, one after the other. Through
//! the socket they share batches. A single worker cannot share and pays for the
//! extra hop.

use std::time::Duration;

use crate::bench::{self, Bench, GroupPlan};
use crate::child;
use crate::contenders;
use crate::erased::ErasedContender;
use crate::processes::{self, Processes};
use crate::results::Target;
use crate::rounds::Comparison;
use crate::server::Server;
use crate::setup::{PLENTY, Servers, Shop};
use stockade_testkit::Flavour;

const ONE_DIRECT: &str = "1 worker, direct";
const ONE_THROUGH: &str = "1 worker, socket";
const EIGHT_DIRECT: &str = "8 workers, direct";
const EIGHT_THROUGH: &str = "8 workers, socket";

/// Runs the bench.
pub fn main() {
    if let Some(task) = child::task() {
        return processes::serve(&bench::runtime(), task);
    }
    bench::main("prefork", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let servers = Servers::start(Flavour::MariaDb);
    bench.heading(Some(&servers));
    // Each has its own product: those waiting for their turn are idle and touch
    // nothing.
    let all = [(ONE_DIRECT, ONE_THROUGH, 1), (EIGHT_DIRECT, EIGHT_THROUGH, 8)].map(
        |(direct, through, count)| {
            let shop = || bench.block_on(servers.shop(1, PLENTY));
            let direct = Processes::open(direct, shop(), count);
            let shop = shop();
            let running = Running::start(&shop);
            let through = Processes::open(through, Shop::at(running.url.clone(), None), count);
            (direct, through, running)
        },
    );
    let workers = || all.iter().flat_map(|(direct, through, _)| [direct, through]);
    let invited: Vec<&dyn ErasedContender> =
        workers().map(|one| one as &dyn ErasedContender).collect();
    bench.versus(&plan(bench), &invited);
    for contender in workers() {
        bench.block_on(contender.close());
    }
}

fn plan(bench: &Bench) -> GroupPlan {
    let eight = Comparison::rate(EIGHT_THROUGH, EIGHT_DIRECT).wanted(Target::AtLeast(2.0));
    GroupPlan {
        place: "mariadb",
        unit: "holds",
        callers: 1,
        comparisons: vec![
            eight,
            Comparison::rate(ONE_THROUGH, ONE_DIRECT).wanted(Target::AtLeast(0.8)),
        ],
        figures: Vec::new(),
        // Criterion would run them one after the other, which says nothing
        // here.
        by_criterion: Vec::new(),
        lengths: processes::lengths(bench),
    }
}

/// A server that listens on a Unix socket.
struct Running {
    url: String,
    _server: Server,
    _folder: tempfile::TempDir,
}

impl Running {
    fn start(shop: &Shop) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("stockade.sock").display().to_string();
        let mut settings = vec![("store", &*shop.url), ("hold_ttl", "12h"), ("log_level", "warn")];
        settings.push(("unix", &socket));
        if let Some((redis, prefix)) = &shop.redis {
            settings.extend([("redis", &**redis), ("redis_prefix", &**prefix)]);
        }
        let server = Server::start(&settings);
        Self { url: format!("unix://{socket}"), _server: server, _folder: folder }
    }
}

/// Holds by two workers, and the error when no server listens.
async fn smoke() {
    let shop = Shop::in_file(1, PLENTY).await;
    let workers = Processes::open("2 workers", shop, 2);
    assert!(workers.each(1, 2).await > Duration::ZERO);
    workers.close().await;
    let folder = tempfile::tempdir().expect("a folder");
    let nobody = format!("unix://{}/stockade.sock", folder.path().display());
    let refused = contenders::engine(&Shop::at(nobody, None)).open_async().await;
    assert_eq!(refused.expect_err("nobody listens").code(), "unavailable");
}
