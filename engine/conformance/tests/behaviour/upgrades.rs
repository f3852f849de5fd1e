//! Stores that another version migrated, that lack something, or that hold rows
//! which this engine did not write.

use std::sync::atomic::{AtomicU32, Ordering};

use stockade::{Config, Engine, HoldRequest, ProductId, Result, migrate};

use crate::steps::{Later, hold, order, sql};
use crate::world::{Backend, World, assert_clean, numbers, product};
use crate::{Scenario, scenarios};

/// On stores that several engines can open.
pub const SHARED: &[Scenario] = scenarios!("upgrades";
    a_store_one_migration_ahead_is_gone_on_with_and_opened,
    check_refuses_what_auto_would_make_and_makes_nothing,
    a_migration_of_another_text_is_refused,
    a_lost_table_or_column_is_not_ready_and_refused_at_the_start,
    another_program_s_table_is_refused_and_left_alone,
    an_id_that_is_taken_is_not_given_to_another_product,
    ids_that_two_processes_were_given_are_used_once,
);

/// On stores with users.
pub const SERVERS: &[Scenario] = scenarios!("upgrades";
    a_user_who_may_not_change_tables_starts,
);

const WAYS: [&str; 3] = ["auto", "check", "off"];

fn open_by(world: &World, way: &str) -> Result<Engine> {
    world.builder().set("migrate", way)?.open()
}

/// Why the store is refused.
fn refused(world: &World, way: &str) -> String {
    let error = open_by(world, way).map(drop).expect_err(way);
    assert_eq!(error.code(), "unavailable", "{way}: {error}");
    error.to_string()
}

fn is_sqlite(world: &World) -> bool {
    world.backend == Backend::SqliteFile
}

fn a_store_one_migration_ahead_is_gone_on_with_and_opened(world: &World) {
    let before = world.engine();
    let id = product(&before, 50);
    hold(&before, id, 1);
    sql(
        world,
        "ALTER TABLE stockade_products ADD COLUMN colour TEXT NULL; \
         ALTER TABLE stockade_hold_batches ADD COLUMN note TEXT NULL; \
         ALTER TABLE stockade_outbox ADD COLUMN extra TEXT NULL; \
         CREATE TABLE stockade_future (id BIGINT NOT NULL PRIMARY KEY); \
         INSERT INTO _stockade_migrations \
         (version, description, success, checksum, execution_time) \
         VALUES (9999, 'future', 1, x'00', 1)",
    );
    before.ping().expect("is ready");
    for way in WAYS {
        let after = open_by(world, way).expect(way);
        for engine in [&before, &after] {
            hold(engine, id, 1);
            order(engine, id, 2);
            product(engine, 1);
            engine.ping().expect("is ready");
        }
        assert_clean(&after);
    }
    assert_eq!(numbers(&before, id), [31, 7, 12, 0]);
}

/// Leaves no table of a test before in a server's database.
fn drop_tables(world: &World) {
    if !is_sqlite(world) {
        world.spoil();
        let (server, database) = (world.backend.server(), world.database());
        server.query(&format!("DROP DATABASE `{database}`"));
        server.create_database(database);
    }
}

fn check_refuses_what_auto_would_make_and_makes_nothing(world: &World) {
    drop_tables(world);
    let why = refused(world, "check");
    let wanted =
        if is_sqlite(world) { "there is no store at" } else { "none of Stockade's tables" };
    assert!(why.contains(wanted) && why.contains("stockade migrate"), "{why}");
    refused(world, "off");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let config = Config::from_pairs([("store", world.url.as_str()), ("migrate", "check")]);
    let migrated = runtime.expect("a runtime").block_on(migrate(&config.expect("settings")));
    migrated.expect("who asks for it gets it");
    let engine = open_by(world, "check").expect("nothing is missing");
    hold(&engine, product(&engine, 5), 1);
    sql(world, "DELETE FROM _stockade_migrations WHERE version = 10");
    let why = refused(world, "check");
    assert!(why.contains("10 customer_holds"), "{why}");
    open_by(world, "off").expect("that is not looked at");
    open_by(world, "auto").expect("it is applied");
    open_by(world, "check").expect("it was noted");
}

fn a_migration_of_another_text_is_refused(world: &World) {
    world.engine().close().expect("closes");
    // Such as that of a store before holds were packed.
    sql(world, "UPDATE _stockade_migrations SET checksum = x'00' WHERE version = 2");
    for way in ["auto", "check"] {
        let why = refused(world, way);
        let wanted = "migration 2 (hold_batches) differs from this version's, which does not \
                      convert it: open the store with the version that applied it";
        assert!(why.contains(wanted), "{why}");
    }
}

fn a_lost_table_or_column_is_not_ready_and_refused_at_the_start(world: &World) {
    let engine = world.engine();
    engine.ping().expect("is ready");
    sql(world, "ALTER TABLE stockade_orders RENAME COLUMN due_at TO due");
    let unready = || engine.ping().expect_err("not ready").code().to_owned();
    assert_eq!(unready(), "internal");
    for way in WAYS {
        let why = refused(world, way);
        assert!(why.contains("stockade_orders") && why.contains("due_at"), "{why}");
    }
    sql(world, "ALTER TABLE stockade_orders RENAME COLUMN due TO due_at");
    engine.ping().expect("is ready again");
    sql(world, "DROP TABLE stockade_idempotency_keys");
    assert_eq!(unready(), "internal");
    for way in WAYS {
        let why = refused(world, way);
        assert!(why.contains("the table stockade_idempotency_keys"), "{why}");
    }
}

fn another_program_s_table_is_refused_and_left_alone(world: &World) {
    drop_tables(world);
    if is_sqlite(world) {
        world.engine().close().expect("closes");
        let drop_all = sql(
            world,
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%stockade%'",
        );
        for table in drop_all {
            sql(world, &format!("DROP TABLE {}", table[0]));
        }
    }
    sql(world, "CREATE TABLE stockade_products (id BIGINT NOT NULL PRIMARY KEY)");
    for _ in 0..2 {
        let why = refused(world, "auto");
        assert!(why.contains("stockade_products") && why.contains("not Stockade's"), "{why}");
    }
    sql(world, "DROP TABLE stockade_products");
    let engine = world.engine();
    hold(&engine, product(&engine, 1), 1);
}

fn insert_product(world: &World, id: u64) {
    sql(
        world,
        &format!(
            "INSERT INTO stockade_products (id, name, price, currency, stock, held, pending, sold, \
             received, version, fence, next_due, created_at) \
             VALUES ({id}, 'Imported', 1, 'EUR', 9, 0, 0, 0, 9, 1, 0, NULL, 1)"
        ),
    );
}

fn an_id_that_is_taken_is_not_given_to_another_product(world: &World) {
    let engine = world.engine();
    for id in [1, 2, 3, 4, 6] {
        insert_product(world, id);
    }
    let made: Vec<u64> = (0..3).map(|_| product(&engine, 7).0).collect();
    assert_eq!(made, [7, 8, 9]);
    for id in [1, 2, 3, 4, 6] {
        let imported = engine.product(ProductId(id)).expect("is there");
        assert_eq!((imported.name.as_str(), imported.stock), ("Imported", 9));
    }
    for id in made {
        assert_eq!(numbers(&engine, ProductId(id)), [7, 0, 0, 0]);
    }
    let events = engine.events_after(0, 100).expect("reads");
    assert_eq!(events.len(), 6, "two for each that was made");
}

fn ids_that_two_processes_were_given_are_used_once(world: &World) {
    let engines = [world.engine(), world.engine()];
    let id = product(&engines[0], 100);
    hold(&engines[0], id, 1);
    order(&engines[0], id, 1);
    // The database has lost its last second: which blocks it gave away.
    sql(world, "UPDATE stockade_sequences SET next = 1 WHERE name <> 'product'");
    let mut holds = std::collections::BTreeSet::new();
    for at in 0..60 {
        let engine = &engines[at % 2];
        let made = engine.create_hold(HoldRequest::new(id, 1)).expect("held").value;
        assert_eq!(engine.hold(made.id).expect("is there"), made.later());
        assert!(holds.insert(made.id), "{made:?}");
    }
    let orders: Vec<_> = (0..20).map(|at| order(&engines[at % 2], id, 1).id).collect();
    let distinct: std::collections::BTreeSet<_> = orders.iter().collect();
    assert_eq!(distinct.len(), orders.len());
    assert_eq!(numbers(&engines[0], id), [18, 61, 21, 0]);
    assert_clean(&engines[1]);
}

fn a_user_who_may_not_change_tables_starts(world: &World) {
    drop_tables(world);
    static USERS: AtomicU32 = AtomicU32::new(0);
    let number = USERS.fetch_add(1, Ordering::Relaxed);
    let user = format!("clerk_{}_{number}", std::process::id());
    let (server, database) = (world.backend.server(), world.database());
    server.query(&format!(
        "CREATE USER {user}@'%'; GRANT SELECT, INSERT, UPDATE, DELETE ON {database}.* TO {user}@'%'"
    ));
    let url = world.url.replacen("root", &user, 1);
    assert_ne!(url, world.url);
    let open =
        |way: &str| world.builder().store(&url).set("migrate", way).expect("a setting").open();
    open("check").map(drop).expect_err("there are no tables");
    open("auto").map(drop).expect_err("they cannot be made");
    world.engine().close().expect("closes");
    for way in WAYS {
        let engine = open(way).expect(way);
        let id = product(&engine, 5);
        hold(&engine, id, 2);
        order(&engine, id, 1);
        engine.ping().expect("is ready");
        assert_clean(&engine);
    }
    server.query(&format!("DROP USER {user}@'%'"));
}
