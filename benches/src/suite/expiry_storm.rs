//! A million due holds over a thousand products expire while buying continues
//! at a fixed rate on the same products, drawn from a Zipf distribution.
//!
//! Expected: the sweeper expires a thousand holds of a product per transaction,
//! between the batches of its buyers, who wait for at most one such
//! transaction. A storm happens once, so there are no rounds; buyers are
//! measured before, during and after it.

use std::sync::Arc;
use std::time::Duration;

use crate::bench::{self, Bench};
use crate::contender::{Answer, Contender};
use crate::contenders::{Products, Stockade};
use crate::erased::ErasedContender;
use crate::open::{OpenPlan, run_until};
use crate::results::{Figure, Group, Load, Row, Target};
use crate::rounds::Series;
use crate::run::Run;
use crate::setup::{PLENTY, Servers, Shop};
use crate::storm::Storm;
use stockade_testkit::Flavour;

/// A million in 5 seconds.
const HOLDS_PER_SECOND: f64 = 200_000.0;
/// Holds per second, during the storm and without it.
const BUYING: OpenPlan = OpenPlan {
    rate: 1_000.0,
    in_flight: 4096,
    warm_up: Duration::from_millis(200),
    measured: Duration::from_secs(300),
};

/// Runs the bench.
pub fn main() {
    bench::main("expiry_storm", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let storm = if bench.is_quick() {
        Storm { holds: 50_000, products: 200 }
    } else {
        Storm { holds: 1_000_000, products: 1_000 }
    };
    let callers = BUYING.in_flight;
    if !bench.measures("mariadb", callers) {
        return;
    }
    let servers = Servers::start(Flavour::MariaDb);
    bench.heading(Some(&servers));
    let weather = bench.block_on(pass(&servers, storm));
    bench.add(Group {
        name: format!("expiry_storm/mariadb/{callers}"),
        unit: "holds".to_owned(),
        place: "mariadb".to_owned(),
        callers,
        load: Load::Open,
        rows: weather.rows,
        ratios: Vec::new(),
        figures: weather.figures,
    });
}

struct StormReport {
    rows: Vec<Row>,
    figures: Vec<Figure>,
}

async fn pass(servers: &Servers, storm: Storm) -> StormReport {
    let shop = servers.shop(storm.products, PLENTY).await;
    storm.gather(&shop).await;
    let again = Shop::at(shop.url.clone(), shop.redis.clone());
    let products = Products::Zipf(u32::try_from(storm.products).expect("not so many"));
    let stockade = Arc::new(Stockade::open(again, products).await);

    let due = storm.announce(&shop).await;
    let before = run_until(&stockade, BUYING, tokio::time::sleep_until(due.into())).await;
    let mut back = due;
    let passes = async { back = storm.passes(stockade.engine()).await };
    // Counted without warm-up: the first moments are the worst.
    let at_once = OpenPlan { warm_up: Duration::ZERO, ..BUYING };
    let during = run_until(&stockade, at_once, passes).await;
    let seconds = (back - due).as_secs_f64();
    let after = run_until(&stockade, BUYING, tokio::time::sleep(Duration::from_secs(2))).await;

    let audit = stockade.engine().audit().await.expect("an audit");
    let left = servers_left(servers, &shop);
    Contender::close(&*stockade).await;
    let p99 = |run: &Run| run.latency.value_at_quantile(0.99) as f64;
    let calm = p99(&before).max(p99(&after));
    let figure = |name: String, value, wanted| Figure::alone(name, value, Some(wanted));
    let holds = storm.holds;
    let figures = vec![
        figure(
            format!("seconds until {holds} holds are back"),
            seconds,
            Target::AtMost(holds as f64 / HOLDS_PER_SECOND),
        ),
        figure(
            "p99 in the storm over p99 without".to_owned(),
            p99(&during) / calm.max(1.0),
            Target::AtMost(3.0),
        ),
        figure("due holds left".to_owned(), left as f64, Target::AtMost(0.0)),
        figure(
            "findings of the audit".to_owned(),
            audit.findings.len() as f64,
            Target::AtMost(0.0),
        ),
    ];
    let row = |name: &str, run| {
        let mut row = Series::of(&stockade as &dyn ErasedContender, vec![run]).row();
        row.contender = name.to_owned();
        row.intended = Some(BUYING.rate);
        row
    };
    let rows = vec![row("before", before), row("in the storm", during), row("after", after)];
    StormReport { rows, figures }
}

/// Returns how many holds of the storm are still active.
fn servers_left(servers: &Servers, shop: &Shop) -> u64 {
    let database = shop.url.rsplit('/').next().unwrap_or_default();
    let sql = format!(
        "SELECT COALESCE(SUM(active), 0) FROM `{database}`.stockade_hold_batches \
         WHERE expires_at < 2000000"
    );
    servers.sql.query(&sql).trim().parse().expect("a count")
}

/// A hold that expires by itself.
async fn smoke() {
    let stockade = Stockade::open(Shop::in_file(1, PLENTY).await, Products::One).await;
    assert_eq!(stockade.request(0).await, Answer::Done);
    let request = stockade::HoldRequest::new(1, 1).ttl(Duration::from_secs(1));
    stockade.engine().create_hold(&request).await.expect("a hold");
    Storm { holds: 1, products: 1 }.passes(stockade.engine()).await;
    assert!(stockade.engine().audit().await.expect("an audit").consistent);
    Contender::close(&stockade).await;
}
