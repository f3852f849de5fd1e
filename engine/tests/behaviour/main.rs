//! One behaviour suite, run on every combination of store, lock and cache.
//!
//! `cargo nextest run -p stockade --test behaviour mariadb_redis::` runs it on
//! one of them. A combination whose servers cannot be started fails; nothing
//! is skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

mod clock;
mod steps;
mod world;

mod arguments;
mod audit;
mod carts;
mod dropped;
mod events;
mod expiry;
mod extending;
mod holds;
mod keys;
mod late;
mod orders;
mod payments;
mod products;
mod schema;
mod sweeping;
mod usage;
mod waiting;

use libtest_mimic::{Arguments, Trial};
use world::{Backend, World};

/// A test's name and what it does in a world of its own.
type Scenario = (&'static str, fn(&World));

/// Names each function of a list, after the group it belongs to.
macro_rules! scenarios {
    ($group:literal; $($name:ident),* $(,)?) => {
        &[$((concat!($group, "::", stringify!($name)), $name)),*]
    };
}
use scenarios;

/// What runs on every combination.
const SCENARIOS: &[&[Scenario]] = &[
    arguments::SCENARIOS,
    audit::SCENARIOS,
    carts::SCENARIOS,
    dropped::SCENARIOS,
    events::SCENARIOS,
    expiry::SCENARIOS,
    extending::SCENARIOS,
    holds::SCENARIOS,
    keys::SCENARIOS,
    late::SCENARIOS,
    orders::SCENARIOS,
    payments::SCENARIOS,
    products::SCENARIOS,
    schema::SCENARIOS,
    sweeping::SCENARIOS,
    usage::SCENARIOS,
    waiting::SCENARIOS,
];

/// What concerns some combinations only.
const SCENARIOS_FOR: &[(&[Backend], &[Scenario])] = &[
    (Backend::SHARED, audit::SHARED),
    (Backend::SHARED, keys::SHARED),
    (Backend::SHARED, products::SHARED),
    (Backend::SHARED, schema::SHARED),
    (Backend::SHARED, sweeping::SHARED),
    (Backend::SHARED, waiting::SHARED),
    (&[Backend::MariaDb], usage::MARIADB),
];

fn main() {
    let everywhere = SCENARIOS.iter().map(|scenarios| (&Backend::ALL[..], *scenarios));
    let groups = everywhere.chain(SCENARIOS_FOR.iter().copied());
    let trials = groups.flat_map(|(backends, scenarios)| {
        backends
            .iter()
            .flat_map(|backend| scenarios.iter().map(|scenario| trial(*backend, *scenario)))
    });
    let trials = trials.collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trial(backend: Backend, (name, run): Scenario) -> Trial {
    Trial::test(format!("{}::{name}", backend.name()), move || {
        run(&World::new(backend));
        Ok(())
    })
}
