//! One behaviour suite, run on every combination of store, lock and cache.
//!
//! `cargo nextest run -p stockade-conformance mariadb_redis::` runs it on
//! one of them. `STOCKADE_TEST_LONG=1` adds the one whose Redis is emptied
//! every 100 ms. The tests of a combination whose programs are not installed are
//! listed as ignored; under `STOCKADE_TEST_REQUIRE=all`, as the Makefile and
//! `stockade-testkit run` set it, they fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

mod child;
mod crowd;
mod history;
mod outsider;
mod repeater;
mod sales;
mod socket;
mod steps;
mod traffic;
mod world;

mod amounts;
mod arguments;
mod attribution;
mod audit;
mod carts;
mod catalogue;
mod changing;
mod clock;
mod connection;
mod consumers;
mod crowding;
mod customers;
mod dropped;
mod erasure;
mod events;
mod expiry;
mod extending;
mod faults;
mod faults_commit;
mod faults_load;
mod faults_redis;
mod hold_batches;
mod holds;
mod keys;
mod late;
mod limits;
mod lists;
mod named_payments;
mod order_lines;
mod orders;
mod payments;
mod processes;
mod products;
mod races;
mod races_hold;
mod races_keys;
mod races_payment;
mod races_read;
mod refunds;
mod repeated;
mod resends;
mod retention;
mod schema;
mod secure;
mod sweeping;
mod tokens;
mod upgrades;
mod usage;
mod waiting;

use libtest_mimic::{Arguments, Trial};
use stockade_testkit::missing_program;
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
    amounts::SCENARIOS,
    arguments::SCENARIOS,
    attribution::SCENARIOS,
    audit::SCENARIOS,
    carts::SCENARIOS,
    catalogue::SCENARIOS,
    sales::SCENARIOS,
    changing::SCENARIOS,
    clock::SCENARIOS,
    consumers::SCENARIOS,
    crowding::SCENARIOS,
    customers::SCENARIOS,
    dropped::SCENARIOS,
    erasure::SCENARIOS,
    events::SCENARIOS,
    expiry::SCENARIOS,
    extending::SCENARIOS,
    faults::SCENARIOS,
    hold_batches::SCENARIOS,
    holds::SCENARIOS,
    keys::SCENARIOS,
    late::SCENARIOS,
    limits::SCENARIOS,
    lists::SCENARIOS,
    order_lines::SCENARIOS,
    orders::SCENARIOS,
    payments::SCENARIOS,
    products::SCENARIOS,
    races::SCENARIOS,
    races_hold::SCENARIOS,
    races_keys::SCENARIOS,
    races_payment::SCENARIOS,
    races_read::SCENARIOS,
    refunds::SCENARIOS,
    retention::SCENARIOS,
    schema::SCENARIOS,
    sweeping::SCENARIOS,
    tokens::SCENARIOS,
    usage::SCENARIOS,
    named_payments::SCENARIOS,
    waiting::SCENARIOS,
];

/// What concerns some combinations only.
const SCENARIOS_FOR: &[(&[Backend], &[Scenario])] = &[
    (Backend::SHARED, audit::SHARED),
    (Backend::SHARED, catalogue::SHARED),
    (Backend::SHARED, sales::SHARED),
    (Backend::SHARED, crowding::SHARED),
    (Backend::SHARED, customers::SHARED),
    (Backend::SHARED, erasure::SHARED),
    (Backend::SHARED, keys::SHARED),
    (Backend::SHARED, limits::SHARED),
    (Backend::SHARED, order_lines::SHARED),
    (Backend::SHARED, products::SHARED),
    (Backend::SHARED, refunds::SHARED),
    (Backend::SHARED, schema::SHARED),
    (Backend::SHARED, upgrades::SHARED),
    (Backend::SHARED, sweeping::SHARED),
    (Backend::SHARED, named_payments::SHARED),
    (Backend::SHARED, waiting::SHARED),
    (Backend::SHARED, processes::SCENARIOS),
    (Backend::SHARED, races::SHARED),
    (Backend::SHARED, races_keys::SHARED),
    (Backend::SHARED, races_payment::SHARED),
    (Backend::SHARED, races_read::SHARED),
    (Backend::SERVERS, crowding::SERVERS),
    (Backend::SERVERS, faults::SERVERS),
    (Backend::SERVERS, faults_commit::SERVERS),
    (Backend::SERVERS, faults_load::SERVERS),
    (Backend::SERVERS, races_hold::SERVERS),
    (Backend::SERVERS, repeated::SERVERS),
    (Backend::SERVERS, upgrades::SERVERS),
    (&[Backend::SqliteFile], faults::SQLITE_FILE),
    (&[Backend::SqliteFile], waiting::SQLITE_FILE),
    (&[Backend::SqliteMemory], clock::IN_MEMORY),
    (&[Backend::SqliteMemory], secure::SCENARIOS),
    (&[Backend::MariaDbRedis, Backend::MySqlRedis], faults_redis::SCENARIOS),
    (&[Backend::MariaDb, Backend::MySql], usage::SERVER),
    (&Backend::ALL, resends::SCENARIOS),
];

/// The combination that is also run through a socket: that of many processes
/// on one engine.
const BEHIND_A_SOCKET: Backend = Backend::MariaDbRedis;
/// The name of that run.
const SOCKET: &str = "socket";

/// What takes long and is run only where this variable is set.
const BY_REQUEST: &[Backend] = &[Backend::Flushed];
const ENV_LONG: &str = "STOCKADE_TEST_LONG";

/// Of what every combination runs, these do only where the variable is set: MySQL runs it
/// with Redis, and a lock that grants to everyone who asks matters to several engines.
const GENERAL_BY_REQUEST: &[Backend] = &[Backend::MySql, Backend::Granting];

/// What an engine behind a socket is not asked, by the beginning of its name.
const NOT_BY_SOCKET: &[&str] = &[
    // That one, with its sweeper, lives on when who uses it is gone.
    "sweeping::the_sweeper_ends_when_the_engine_is_closed_or_dropped",
    // They speak for the client themselves.
    "resends::",
];

fn main() {
    child::run_if_told();
    let is_long = std::env::var_os(ENV_LONG).is_some();
    let is_general = |backend: &Backend| is_long || !GENERAL_BY_REQUEST.contains(backend);
    let general: Vec<Backend> = Backend::ALL.into_iter().filter(is_general).collect();
    let everywhere = SCENARIOS.iter().map(|scenarios| (&general[..], *scenarios));
    let groups = everywhere.chain(SCENARIOS_FOR.iter().copied());
    let trials = groups.flat_map(|(backends, scenarios)| {
        let here = backends
            .iter()
            .filter(move |backend| is_long || !BY_REQUEST.contains(backend))
            .flat_map(|backend| scenarios.iter().map(|scenario| trial(*backend, *scenario)));
        let is_served = backends.contains(&BEHIND_A_SOCKET);
        let served = scenarios.iter().filter(move |(name, _)| {
            is_served && !NOT_BY_SOCKET.iter().any(|not| name.starts_with(not))
        });
        here.chain(served.map(|scenario| trial_by_socket(*scenario)))
    });
    let connections = connection::SCENARIOS.iter().map(|scenario| trial_by_socket(*scenario));
    let trials = trials.chain(connections).collect();
    let arguments = Arguments::from_args();
    if !arguments.list {
        print_ignored(is_long);
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Prints which combinations are ignored, and for want of which program.
fn print_ignored(is_long: bool) {
    let run = Backend::ALL.into_iter().filter(|backend| is_long || !BY_REQUEST.contains(backend));
    let named = run.map(|backend| (backend.name(), backend));
    for (name, backend) in named.chain([(SOCKET, BEHIND_A_SOCKET)]) {
        if let Some(program) = missing_program(backend.programs()) {
            eprintln!("ignored {name}: {} is not installed", program.name());
        }
    }
}

fn trial(backend: Backend, (name, run): Scenario) -> Trial {
    let test = Trial::test(format!("{}::{name}", backend.name()), move || {
        run(&World::new(backend));
        Ok(())
    });
    test.with_ignored_flag(missing_program(backend.programs()).is_some())
}

fn trial_by_socket((name, run): Scenario) -> Trial {
    let test = Trial::test(format!("{SOCKET}::{name}"), move || {
        run(&World::by_socket(BEHIND_A_SOCKET));
        Ok(())
    });
    test.with_ignored_flag(missing_program(BEHIND_A_SOCKET.programs()).is_some())
}
