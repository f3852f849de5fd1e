//! What is good and what is not, of the facts about store and Redis.

use std::time::Duration;

use stockade::{Config, MySqlFacts, RedisFacts, SqliteFacts, StoreFacts};

use super::Check;
use super::facts::{ahead, bytes};

/// Beyond this, times in answers look wrong to who reads them beside this machine's.
const CLOCK_TOLERANCE_US: u64 = 2_000_000;

/// A write-ahead log of this size is not reset: a reader is open for long.
const WAL_BYTES: u64 = 1 << 30;

/// A server that accepts less rejects carts of many lines.
const PACKET_BYTES: u64 = 1 << 20;

/// A lock in Redis that is farther away costs more than it spares.
const REDIS_ROUND_TRIP: Duration = Duration::from_millis(5);

/// Each transaction takes two round trips.
const STORE_ROUND_TRIP: Duration = Duration::from_millis(10);

pub(super) fn store(facts: &StoreFacts, config: &Config) -> Vec<Check> {
    match facts {
        StoreFacts::Sqlite(facts) => sqlite(facts),
        StoreFacts::MySql(facts) => mysql(facts, config),
        _ => Vec::new(),
    }
}

fn sqlite(facts: &SqliteFacts) -> Vec<Check> {
    let Some(file) = &facts.file else {
        return vec![Check::warning(
            "store",
            format!("SQLite {} in memory: all of it ends with the process", facts.version),
            "name a file: --store sqlite:shop.db",
        )];
    };
    let mut checks =
        vec![Check::ok("store", format!("SQLite {}, file {}", facts.version, file.display()))];
    checks.push(match (facts.journal_mode.as_str(), facts.synchronous) {
        ("wal", 2..) => Check::ok("store.durability", "journal_mode=wal, synchronous=FULL"),
        (mode, synchronous) => Check::problem(
            "store.durability",
            format!("journal_mode={mode}, synchronous={synchronous}"),
            "put the file on a local disk, where SQLite can keep a write-ahead log",
        ),
    });
    let sizes = format!("{}, log {}", bytes(facts.file_bytes), bytes(facts.wal_bytes));
    checks.push(match facts.wal_bytes {
        ..WAL_BYTES => Check::ok("store.size", sizes),
        _ => Check::warning(
            "store.size",
            sizes,
            "find the program that reads the file for long, and end it: the log cannot be reset",
        ),
    });
    checks
}

fn mysql(facts: &MySqlFacts, config: &Config) -> Vec<Check> {
    let product = if facts.is_mariadb { "MariaDB" } else { "MySQL" };
    let found =
        format!("{product} {} at {}, database {}", facts.version, facts.server, facts.database);
    let oldest = if facts.is_mariadb { (10, 6) } else { (8, 0) };
    let mut checks = vec![match version(&facts.version) {
        Some(version) if version < oldest => Check::problem(
            "store",
            found,
            format!("update it to {product} {}.{} or later", oldest.0, oldest.1),
        ),
        _ => Check::ok("store", found),
    }];
    checks.push(isolation(facts));
    checks.push(flush(facts));
    checks.push(binary_log(facts));
    checks.push(doublewrite(facts));
    checks.push(writable(facts));
    checks.push(clock("store.clock", facts.clock_ahead_us));
    checks.push(privileges(facts));
    checks.push(encryption(facts));
    checks.push(connections(facts, config));
    checks.push(packet(facts));
    checks.push(sizes(facts));
    checks.push(round_trip("store.distance", facts.round_trip, STORE_ROUND_TRIP));
    if is_on(facts, "wsrep_on") {
        checks.push(Check::warning(
            "store.cluster",
            "a node of a Galera cluster",
            "let all engines write to one node at a time: docs/databases.md#clusters",
        ));
    }
    checks
}

/// The first two numbers of a version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn variable<'a>(facts: &'a MySqlFacts, name: &str) -> Option<&'a str> {
    facts.variables.get(name).map(String::as_str)
}

fn is_on(facts: &MySqlFacts, name: &str) -> bool {
    matches!(variable(facts, name), Some("ON" | "1"))
}

fn number(facts: &MySqlFacts, name: &str) -> Option<u64> {
    variable(facts, name)?.parse().ok()
}

fn isolation(facts: &MySqlFacts) -> Check {
    let found = format!("sessions run at {}", facts.session_isolation);
    match facts.session_isolation.as_str() {
        "READ-COMMITTED" => Check::ok("store.isolation", found),
        _ => Check::problem(
            "store.isolation",
            found,
            "let the sessions set READ COMMITTED: is a proxy between that drops SET?",
        ),
    }
}

fn flush(facts: &MySqlFacts) -> Check {
    let (name, setting) = ("store.durability", "innodb_flush_log_at_trx_commit");
    match variable(facts, setting) {
        Some("1") => Check::ok(name, format!("{setting}=1")),
        value => Check::problem(
            name,
            format!("{setting}={}", value.unwrap_or("?")),
            format!(
                "set {setting}=1: else a power cut, or with 0 a crash, takes holds and payments \
                 that were answered"
            ),
        ),
    }
}

fn binary_log(facts: &MySqlFacts) -> Check {
    let name = "store.binary_log";
    if !is_on(facts, "log_bin") {
        return Check::ok(name, "off: no replica and no point-in-time recovery");
    }
    let format = variable(facts, "binlog_format").unwrap_or("ROW");
    let sync = variable(facts, "sync_binlog").unwrap_or("?");
    let found = format!("sync_binlog={sync}, binlog_format={format}");
    if sync != "1" {
        return Check::problem(
            name,
            found,
            "set sync_binlog=1: after a power cut the server rolls back what its binary log lacks, \
             and replicas differ",
        );
    }
    match format {
        "STATEMENT" => Check::problem(
            name,
            found,
            "set binlog_format to ROW or MIXED: InnoDB rejects statements at READ COMMITTED",
        ),
        _ => Check::ok(name, found),
    }
}

fn doublewrite(facts: &MySqlFacts) -> Check {
    let name = "store.torn_pages";
    match variable(facts, "innodb_doublewrite") {
        Some(value @ ("OFF" | "0" | "DETECT_ONLY" | "FALSE")) => Check::warning(
            name,
            format!("innodb_doublewrite={value}"),
            "set innodb_doublewrite=ON, unless the file system writes pages whole (as ZFS does)",
        ),
        value => Check::ok(name, format!("innodb_doublewrite={}", value.unwrap_or("?"))),
    }
}

fn writable(facts: &MySqlFacts) -> Check {
    let name = "store.writable";
    let is_read_only = ["read_only", "super_read_only"].into_iter().find(|name| is_on(facts, name));
    match is_read_only {
        None => Check::ok(name, "the server takes writes"),
        Some(setting) => Check::problem(
            name,
            format!("{setting}=ON"),
            "give the URL of the server that takes writes, or set it OFF",
        ),
    }
}

fn clock(name: &'static str, ahead_us: i64) -> Check {
    let found = format!("its clock is {}", ahead(ahead_us));
    if ahead_us.unsigned_abs() <= CLOCK_TOLERANCE_US {
        return Check::ok(name, found);
    }
    Check::warning(
        name,
        found,
        "synchronize both clocks (NTP): holds end by the store's clock, and webhook signatures \
         are dated by this machine's",
    )
}

fn privileges(facts: &MySqlFacts) -> Check {
    let name = "store.rights";
    let Some(privileges) = &facts.privileges else {
        return Check::ok(name, "by roles, which are not listed; the tables' check tries them");
    };
    let has = |wanted: &str| privileges.iter().any(|one| one == wanted || one == "ALL PRIVILEGES");
    let missing = |wanted: &[&str]| {
        let missing: Vec<_> = wanted.iter().copied().filter(|one| !has(one)).collect();
        missing.join(", ")
    };
    let to_sell = missing(&["SELECT", "INSERT", "UPDATE", "DELETE"]);
    if !to_sell.is_empty() {
        return Check::warning(
            name,
            format!("no {to_sell} on the whole database"),
            format!("grant {to_sell} on {}.*, unless each table has them", facts.database),
        );
    }
    match missing(&["CREATE", "ALTER", "INDEX"]).as_str() {
        "" => Check::ok(name, "may sell and migrate"),
        missing => Check::ok(name, format!("may sell; to migrate it lacks {missing}")),
    }
}

fn encryption(facts: &MySqlFacts) -> Check {
    let name = "store.encryption";
    match (facts.is_encrypted, facts.is_local) {
        (true, _) => Check::ok(name, "the connection is encrypted"),
        (false, true) => Check::ok(name, "not encrypted, on this machine"),
        (false, false) => Check::warning(
            name,
            "the connection over the network is not encrypted",
            "add ?ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE to the store's URL",
        ),
    }
}

fn connections(facts: &MySqlFacts, config: &Config) -> Check {
    let name = "store.connections";
    let Some(most) = number(facts, "max_connections") else {
        return Check::ok(name, format!("{} open", facts.connections));
    };
    // The writers' pool and the readers' have so many each.
    let wanted = u64::from(config.connections) * 2;
    let found = format!("{} open of {most}; an engine opens up to {wanted}", facts.connections);
    if facts.connections.saturating_add(wanted) <= most {
        return Check::ok(name, found);
    }
    Check::warning(
        name,
        found,
        "raise the server's max_connections, or lower the setting `connections`",
    )
}

fn packet(facts: &MySqlFacts) -> Check {
    let (name, setting) = ("store.packet", "max_allowed_packet");
    match number(facts, setting) {
        Some(size) if size < PACKET_BYTES => Check::warning(
            name,
            format!("{setting}={}", bytes(size)),
            format!("set {setting} to 16 MiB or more, so that batches are not split"),
        ),
        size => Check::ok(name, format!("{setting}={}", bytes(size.unwrap_or_default()))),
    }
}

fn sizes(facts: &MySqlFacts) -> Check {
    let name = "store.size";
    let all: u64 = facts.tables.iter().map(|table| table.bytes).sum();
    let rows: u64 = facts.tables.iter().map(|table| table.rows).sum();
    let largest = facts.tables.iter().max_by_key(|table| table.bytes);
    let largest = largest
        .map(|table| format!(", most of it {} ({})", table.name, bytes(table.bytes)))
        .unwrap_or_default();
    let pool = number(facts, "innodb_buffer_pool_size").unwrap_or(u64::MAX);
    let found = format!("{} in about {rows} rows{largest}", bytes(all));
    if all <= pool {
        return Check::ok(name, found);
    }
    Check::warning(
        name,
        format!("{found}; innodb_buffer_pool_size={}", bytes(pool)),
        "raise innodb_buffer_pool_size, or let retention delete old history (retention settings)",
    )
}

fn round_trip(name: &'static str, took: Duration, most: Duration) -> Check {
    let found = format!("a round trip takes {:.1} ms", took.as_secs_f64() * 1e3);
    match took <= most {
        true => Check::ok(name, found),
        false => Check::warning(name, found, "run the engine nearer to it: each hold waits for it"),
    }
}

pub(super) fn redis(facts: &RedisFacts) -> Vec<Check> {
    let found = format!("{} {} at {}", facts.product, facts.version, facts.server);
    let is_old = facts.product == "Redis" && version(&facts.version).is_some_and(|one| one.0 < 6);
    let mut checks = vec![match is_old {
        true => Check::problem("redis", found, "update it to Redis 6 or later: it must have RESP3"),
        false => Check::ok("redis", found),
    }];
    checks.push(eviction(facts));
    checks.push(memory(facts));
    checks.push(match facts.role.as_str() {
        "slave" | "replica" => Check::problem(
            "redis.role",
            "a replica, which takes no writes",
            "give the URL of the master, or redis+sentinel://",
        ),
        role => Check::ok("redis.role", role),
    });
    checks.push(clock("redis.clock", facts.clock_ahead_us));
    checks.push(round_trip("redis.distance", facts.round_trip, REDIS_ROUND_TRIP));
    checks
}

fn eviction(facts: &RedisFacts) -> Check {
    let name = "redis.eviction";
    let found = format!("maxmemory-policy={}", facts.maxmemory_policy);
    match facts.maxmemory_policy.as_str() {
        "noeviction" => Check::ok(name, found),
        "" => Check::ok(name, "the server does not tell its maxmemory-policy"),
        _ => Check::warning(
            name,
            format!("{found}, {} keys evicted so far", facts.evicted_keys),
            "set maxmemory-policy to noeviction: an evicted lock costs waiting, never a unit",
        ),
    }
}

fn memory(facts: &RedisFacts) -> Check {
    let name = "redis.memory";
    let used = bytes(facts.used_memory);
    if facts.maxmemory == 0 {
        return Check::ok(name, format!("{used} used, no limit"));
    }
    let found = format!("{used} used of {}", bytes(facts.maxmemory));
    match facts.used_memory < facts.maxmemory / 10 * 9 {
        true => Check::ok(name, found),
        false => Check::warning(name, found, "raise maxmemory: a full Redis takes no locks"),
    }
}

#[cfg(test)]
mod tests;
