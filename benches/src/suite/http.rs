//! The server against bare hyper, which returns the same bytes without doing
//! any work: holds of one hot product in a SQLite file, and cached reads of it.
//! And the batch call over HTTP against the same call in the process.
//!
//! The load generator shares the cores with the server and costs the same for
//! both. The server does not log requests: that would measure the log's reader.
//!
//! Expected: a cached read costs routing, JSON and counters on top of hyper; a
//! hold costs its share of a transaction.

use crate::bench::{self, Bench, GroupPlan, close};
use crate::child::{self, Child};
use crate::contender::{Answer, Contender};
use crate::contenders::{HttpBatch, StockadeBatch, names};
use crate::erased::{ErasedContender, erase};
use crate::http::{self, Http, Reply};
use crate::responder::{self, Task};
use crate::results::Target;
use crate::rounds::Comparison;
use crate::server::Server;
use crate::setup::{PLENTY, Shop};

const CROWDS: [usize; 2] = [64, 512];
/// The group of the batch call.
const BATCH: &str = "batch";

/// Runs the bench.
pub fn main() {
    if let Some(task) = child::task() {
        return responder::serve(&bench::runtime(), task);
    }
    bench::main("http", measure, smoke);
}

fn measure(bench: &mut Bench) {
    bench.heading(None);
    let shop = bench.block_on(Shop::in_file(1, PLENTY));
    let settings = [("store", &*shop.url), ("hold_ttl", "12h"), ("log_level", "warn")];
    let server = Server::start(&settings);
    let kinds = [
        ("holds", http::request("POST", "/api/holds/1/1"), [0.5, 0.7]),
        ("reads", http::request("GET", "/api/products/1"), [0.7, 0.7]),
    ];
    let asked = |request: &[u8]| {
        let reply = bench.block_on(http::ask(server.address(), request)).expect("an answer");
        assert!((200..300).contains(&reply.status), "{reply:?}");
        reply
    };
    let mut bare = Child::start(&Task { post: asked(&kinds[0].1), get: asked(&kinds[1].1) });
    let address = bare.answer();
    for (place, request, wanted) in kinds {
        let contender =
            |name, address| erase(Http::new(name, address, vec![request.clone()], CROWDS[1]));
        let contenders =
            vec![contender(names::STOCKADE, server.address()), contender(names::HYPER, address)];
        let invited: Vec<&dyn ErasedContender> = contenders.iter().map(|one| &**one).collect();
        for (callers, wanted) in CROWDS.into_iter().zip(wanted) {
            let ratio = Comparison::rate(names::STOCKADE, names::HYPER);
            let plan = GroupPlan {
                place,
                unit: "requests",
                callers,
                comparisons: vec![ratio.wanted(Target::AtLeast(wanted))],
                figures: Vec::new(),
                by_criterion: vec![names::STOCKADE, names::HYPER],
                lengths: bench.lengths(),
            };
            let all = bench.versus(&plan, &invited);
            if let Some(all) = all.filter(|_| callers == CROWDS[1]) {
                bench.at_fixed_rates(&plan, &invited[..1], &all);
            }
        }
        bench.block_on(close(contenders));
    }
    measure_batch(bench, &server);
}

/// The batch call over HTTP against the same in this process, one caller each.
fn measure_batch(bench: &mut Bench, server: &Server) {
    if !bench.wants(BATCH, 1) {
        return;
    }
    let contenders = bench.block_on(async {
        let shop = Shop::in_file(1, PLENTY).await;
        vec![
            erase(HttpBatch::connect(server.address()).await),
            erase(StockadeBatch::open(shop).await),
        ]
    });
    let invited: Vec<&dyn ErasedContender> = contenders.iter().map(|one| &**one).collect();
    let plan = GroupPlan {
        place: BATCH,
        unit: "holds",
        callers: 1,
        comparisons: vec![Comparison::rate(names::HTTP_BATCH, names::STOCKADE)],
        figures: Vec::new(),
        by_criterion: vec![names::HTTP_BATCH],
        lengths: bench.lengths(),
    };
    bench.versus(&plan, &invited);
    bench.block_on(close(contenders));
}

/// One request of each kind against bare hyper in this process.
async fn smoke() {
    let (listener, address) = responder::listener().await;
    let reply = |status| Reply {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: format!("{{\"status\":{status}}}"),
    };
    let responding =
        tokio::spawn(responder::respond(listener, Task { get: reply(200), post: reply(409) }));
    let requests = vec![http::request("GET", "/"), http::request("POST", "/")];
    assert_eq!(http::ask(address, &requests[0]).await.expect("an answer"), reply(200));
    let load = Http::new(names::HYPER, address, requests, 2);
    load.prepare(2).await;
    assert_eq!(load.request(0).await, Answer::Done);
    assert_eq!(load.request(0).await, Answer::Refused);
    assert_eq!(load.request(1).await, Answer::Done);
    load.close().await;
    responding.abort();
}
