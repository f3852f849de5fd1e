//! The tables: created once by the first engine, alike in both dialects.

use std::collections::{BTreeMap, BTreeSet};

use stockade::{Config, Engine, ExtendRequest, migrate};

use crate::steps::{Later, assert_numbers, deliver, hold, order, secs, sql};
use crate::world::{Backend, World, assert_clean, numbers, product};
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("schema";
    migrating_again_changes_nothing,
);

/// On stores that several engines can open.
pub const SHARED: &[Scenario] = scenarios!("schema";
    engines_that_open_at_once_make_the_tables_once,
    a_reopened_store_goes_on_where_it_was,
    both_dialects_have_the_same_columns,
    both_dialects_have_the_same_indexes,
    the_documented_query_shows_holds_one_by_one,
);

/// The query of `docs/internals/hold-batches.md`.
fn the_documented_query_shows_holds_one_by_one(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 5_000);
    let (active, wide) = (hold(&engine, id, 3), hold(&engine, id, 300));
    let (ordered, extended) = (order(&engine, id, 2), hold(&engine, id, 1));
    world.clock.advance(secs(1));
    let end = engine.extend_hold(ExtendRequest::new(extended.id)).expect("extended").expires_at;
    let document = include_str!("../../../../docs/internals/hold-batches.md");
    let (_, query) = document.split_once("```sql\nWITH").expect("a query");
    let (query, _) = query.split_once("```").expect("its end");
    let shown = sql(
        world,
        &format!(
            "SELECT CAST(id AS CHAR), units, status, CAST(expires_at AS CHAR), \
             COALESCE(CAST(detached_until AS CHAR), ''), \
             COALESCE(CAST(detached_units AS CHAR), '') FROM (WITH{query}) q ORDER BY q.id"
        ),
    );
    let row = |hold: u64, units: &str, status: &str, detached_until: String| {
        let end = active.expires_at.micros().to_string();
        let detached_units = if detached_until.is_empty() { "" } else { "1" };
        let (units, status) = (units.to_owned(), status.to_owned());
        vec![hold.to_string(), units, status, end, detached_until, detached_units.to_owned()]
    };
    let expected = [
        row(active.id.0, "03", "00", String::new()),
        row(wide.id.0, "012C", "00", String::new()),
        row(ordered.lines.first().hold_id.0, "02", "01", String::new()),
        row(extended.id.0, "01", "04", end.micros().to_string()),
    ];
    assert_eq!(shown, expected);
}

fn migrate_now(world: &World) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let config = Config::from_pairs([("store", world.url.as_str())]).expect("settings");
    runtime.expect("a runtime").block_on(migrate(&config)).expect("migrates");
}

fn migrating_again_changes_nothing(world: &World) {
    migrate_now(world);
    migrate_now(world);
    let engine = world.engine();
    let id = product(&engine, 5);
    hold(&engine, id, 2);
    migrate_now(world);
    assert_numbers(&engine, id, [3, 2, 0, 0]);
    hold(&engine, id, 3);
    assert_numbers(&engine, id, [0, 5, 0, 0]);
    assert_clean(&engine);
}

fn engines_that_open_at_once_make_the_tables_once(world: &World) {
    let engines: Vec<Engine> = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..8).map(|_| scope.spawn(|| world.builder().open())).collect();
        opening.into_iter().map(|one| one.join().expect("no panic").expect("opens")).collect()
    });
    let id = product(&engines[0], 80);
    std::thread::scope(|scope| {
        for engine in &engines {
            scope.spawn(move || {
                for _ in 0..5 {
                    hold(engine, id, 2);
                }
            });
        }
    });
    for engine in &engines {
        assert_eq!(numbers(engine, id), [0, 80, 0, 0]);
    }
    assert_clean(&engines[7]);
}

fn a_reopened_store_goes_on_where_it_was(world: &World) {
    let engine = world.engine();
    let id = product(&engine, 20);
    let (held, made) = (hold(&engine, id, 1), order(&engine, id, 2));
    let paid = order(&engine, id, 3);
    deliver(&engine, paid.id, stockade::Outcome::Success, "evt");
    let events = engine.events_after(0, 100).expect("reads");
    for is_closed in [true, false] {
        let engine = world.engine();
        assert_numbers(&engine, id, [14, 1, 2, 3]);
        assert_eq!(engine.hold(held.id).expect("is there"), held.later());
        assert_eq!(engine.order(made.id).expect("is there"), made.later());
        assert_eq!(engine.events_after(0, 100).expect("reads"), events);
        if is_closed {
            engine.close().expect("closes");
        }
    }
    engine.close().expect("closes");
    let later = world.engine();
    let new = order(&later, id, 1);
    assert!(
        new.id > paid.id && new.lines.first().hold_id > paid.lines.first().hold_id,
        "ids are not used again"
    );
    assert!(product(&later, 1) > id);
    world.clock.advance(secs(120));
    assert_numbers(&later, id, [14, 0, 3, 3]);
    assert_clean(&later);
}

/// A table's columns with whether each may be NULL.
type Columns = BTreeMap<(String, String), bool>;

fn columns(world: &World) -> Columns {
    let select = match world.backend {
        Backend::SqliteFile | Backend::SqliteMemory => {
            "SELECT t.name, c.name, CAST(c.\"notnull\" AS CHAR) FROM sqlite_master t \
             JOIN pragma_table_info(t.name) c WHERE t.type = 'table'"
        }
        _ => {
            "SELECT table_name, column_name, IF(is_nullable = 'NO', '1', '0') \
             FROM information_schema.columns WHERE table_schema = DATABASE()"
        }
    };
    let rows = sql(world, select);
    let ours = rows.into_iter().filter(|row| is_ours(&row[0]));
    ours.map(|row| ((row[0].clone(), row[1].clone()), row[2] == "0")).collect()
}

/// Indexes as table, whether unique, and columns in order; primary keys count.
type Indexes = BTreeSet<(String, bool, Vec<String>)>;

fn indexes(world: &World) -> Indexes {
    let select = match world.backend {
        Backend::SqliteFile | Backend::SqliteMemory => {
            "SELECT t.name, i.name, CAST(i.\"unique\" AS CHAR), c.name FROM sqlite_master t \
             JOIN pragma_index_list(t.name) i JOIN pragma_index_info(i.name) c \
             WHERE t.type = 'table' AND i.origin <> 'pk' UNION ALL \
             SELECT t.name, 'PRIMARY', '1', c.name FROM sqlite_master t \
             JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND c.pk > 0"
        }
        _ => {
            "SELECT table_name, index_name, IF(non_unique = 0, '1', '0'), column_name \
             FROM information_schema.statistics WHERE table_schema = DATABASE() \
             ORDER BY table_name, index_name, seq_in_index"
        }
    };
    let mut found: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
    for row in sql(world, select) {
        if let [table, index, unique, column] = <[String; 4]>::try_from(row).expect("four")
            && is_ours(&table)
        {
            found.entry((table, index, unique)).or_default().push(column);
        }
    }
    found.into_iter().map(|((table, _, unique), columns)| (table, unique == "1", columns)).collect()
}

/// Not the table in which migrations are noted: that is the library's.
fn is_ours(table: &str) -> bool {
    table.starts_with("stockade_") && !table.contains("migrations")
}

/// This world's tables and those of a new SQLite file.
fn both<T>(world: &World, read: impl Fn(&World) -> T) -> (T, T) {
    let other = World::new(Backend::SqliteFile);
    let clock: std::sync::Arc<stockade::ManualClock> = std::sync::Arc::clone(&other.clock);
    other.builder().clock(clock).open().expect("opens").close().expect("closes");
    world.engine().close().expect("closes");
    (read(world), read(&other))
}

fn both_dialects_have_the_same_columns(world: &World) {
    let (here, there) = both(world, columns);
    assert!(here.len() > 40, "{here:?}");
    assert_eq!(here, there);
}

fn both_dialects_have_the_same_indexes(world: &World) {
    let (here, there) = both(world, indexes);
    let primary = (
        "stockade_payments_waiting".to_owned(),
        true,
        vec!["order_id".to_owned(), "idempotency_key".to_owned()],
    );
    assert!(here.contains(&primary), "{here:?}");
    assert_eq!(here, there);
}
