//! Holds on one product, by the number of callers.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "a bench; criterion's macros make undocumented items"
)]

use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stockade::{Engine, HoldRequest, NewProduct};
use stockade_testkit::TempDb;

/// Callers that hold one unit each of the same product, on SQLite in a file
/// with full durability.
fn contention(criterion: &mut Criterion) {
    let file = TempDb::new();
    let engine = Engine::open(&file.url()).expect("opens");
    let price = "19.99".parse().expect("a price");
    let stock = 1 << 40;
    let id = engine.create_product(&NewProduct::new("Lamp", price, stock)).expect("created").id;
    let mut group = criterion.benchmark_group("contention/sqlite");
    for callers in [1_u64, 8, 64] {
        group.throughput(Throughput::Elements(callers));
        group.bench_function(callers.to_string(), |bencher| {
            bencher.iter_custom(|rounds| {
                let since = Instant::now();
                std::thread::scope(|scope| {
                    for _ in 0..callers {
                        scope.spawn(|| {
                            for _ in 0..rounds {
                                engine.hold(&HoldRequest::new(id, 1)).expect("held");
                            }
                        });
                    }
                });
                since.elapsed()
            });
        });
    }
    group.finish();
    engine.close().expect("closes");
}

criterion_group!(benches, contention);
criterion_main!(benches);
