use super::*;
use crate::cli::doctor::Verdict;

/// The facts of a server that is set as it should be.
fn good() -> MySqlFacts {
    let mut facts = MySqlFacts::default();
    facts.version = "10.11.19-MariaDB-deb12".to_owned();
    facts.is_mariadb = true;
    facts.session_isolation = "READ-COMMITTED".to_owned();
    facts.privileges = Some(vec!["ALL PRIVILEGES".to_owned()]);
    facts.is_local = true;
    for (name, value) in [
        ("innodb_flush_log_at_trx_commit", "1"),
        ("log_bin", "ON"),
        ("sync_binlog", "1"),
        ("binlog_format", "ROW"),
        ("max_connections", "151"),
        ("max_allowed_packet", "16777216"),
        ("innodb_doublewrite", "ON"),
    ] {
        facts.variables.insert(name.to_owned(), value.to_owned());
    }
    facts
}

fn worst(facts: &MySqlFacts) -> (Verdict, &'static str) {
    let checks = mysql(facts, &Config::default());
    let worst = checks.iter().max_by_key(|check| check.verdict).unwrap();
    assert_eq!(worst.change.is_empty(), worst.verdict == Verdict::Ok, "{worst:?}");
    (worst.verdict, worst.name)
}

#[test]
fn a_server_that_is_set_well_has_no_warning() {
    assert_eq!(worst(&good()).0, Verdict::Ok);
}

#[test]
fn each_variable_that_is_set_badly_is_found() {
    for (name, value, verdict, check) in [
        ("innodb_flush_log_at_trx_commit", "2", Verdict::Problem, "store.durability"),
        ("innodb_flush_log_at_trx_commit", "0", Verdict::Problem, "store.durability"),
        ("sync_binlog", "0", Verdict::Problem, "store.binary_log"),
        ("sync_binlog", "1000", Verdict::Problem, "store.binary_log"),
        ("binlog_format", "STATEMENT", Verdict::Problem, "store.binary_log"),
        ("innodb_doublewrite", "OFF", Verdict::Warning, "store.torn_pages"),
        ("read_only", "ON", Verdict::Problem, "store.writable"),
        ("super_read_only", "ON", Verdict::Problem, "store.writable"),
        ("max_connections", "2", Verdict::Warning, "store.connections"),
        ("max_allowed_packet", "524288", Verdict::Warning, "store.packet"),
        ("wsrep_on", "ON", Verdict::Warning, "store.cluster"),
    ] {
        let mut facts = good();
        facts.variables.insert(name.to_owned(), value.to_owned());
        assert_eq!(worst(&facts), (verdict, check), "{name}={value}");
    }
    // Without a binary log there is none to sync.
    let mut facts = good();
    facts.variables.insert("log_bin".to_owned(), "OFF".to_owned());
    facts.variables.insert("sync_binlog".to_owned(), "0".to_owned());
    assert_eq!(worst(&facts).0, Verdict::Ok);
}

#[test]
fn what_is_no_variable_is_found_as_well() {
    let of = |change: fn(&mut MySqlFacts)| {
        let mut facts = good();
        change(&mut facts);
        worst(&facts)
    };
    let problem = |name| (Verdict::Problem, name);
    let warning = |name| (Verdict::Warning, name);
    assert_eq!(of(|facts| facts.version = "10.5.8-MariaDB".to_owned()), problem("store"));
    let repeatable =
        |facts: &mut MySqlFacts| facts.session_isolation = "REPEATABLE-READ".to_owned();
    assert_eq!(of(repeatable), problem("store.isolation"));
    assert_eq!(of(|facts| facts.clock_ahead_us = -3_000_000), warning("store.clock"));
    assert_eq!(of(|facts| facts.privileges = Some(Vec::new())), warning("store.rights"));
    assert_eq!(of(|facts| facts.privileges = None).0, Verdict::Ok);
    assert_eq!(of(|facts| facts.is_local = false), warning("store.encryption"));
    let far = |facts: &mut MySqlFacts| facts.round_trip = Duration::from_millis(40);
    assert_eq!(of(far), warning("store.distance"));
    let mysql = |facts: &mut MySqlFacts| {
        facts.is_mariadb = false;
        facts.version = "5.7.44".to_owned();
    };
    assert_eq!(of(mysql), problem("store"));
}

#[test]
fn a_redis_that_evicts_is_a_warning_and_one_that_cannot_write_a_problem() {
    let of = |change: fn(&mut RedisFacts)| {
        let mut facts = RedisFacts::default();
        facts.product = "Redis".to_owned();
        facts.version = "7.0.15".to_owned();
        facts.maxmemory_policy = "noeviction".to_owned();
        facts.role = "master".to_owned();
        change(&mut facts);
        let worst = redis(&facts).into_iter().max_by_key(|check| check.verdict).unwrap();
        (worst.verdict, worst.name)
    };
    assert_eq!(of(|_| {}).0, Verdict::Ok);
    for policy in ["allkeys-lru", "volatile-ttl"] {
        let mut facts = RedisFacts::default();
        facts.maxmemory_policy = policy.to_owned();
        assert_eq!(eviction(&facts).verdict, Verdict::Warning, "{policy}");
    }
    let full = |facts: &mut RedisFacts| (facts.maxmemory, facts.used_memory) = (100, 95);
    assert_eq!(of(full), (Verdict::Warning, "redis.memory"));
    assert_eq!(of(|facts| facts.role = "slave".to_owned()), (Verdict::Problem, "redis.role"));
    assert_eq!(of(|facts| facts.version = "5.0.1".to_owned()), (Verdict::Problem, "redis"));
    // Valkey counts anew.
    let valkey = |facts: &mut RedisFacts| {
        facts.product = "Valkey".to_owned();
        facts.version = "9.1.2".to_owned();
    };
    assert_eq!(of(valkey).0, Verdict::Ok);
}

#[test]
fn sqlite_needs_its_log_and_its_syncs() {
    let mut facts = SqliteFacts::default();
    facts.version = "3.50.0".to_owned();
    assert_eq!(sqlite(&facts)[0].verdict, Verdict::Warning);
    facts.file = Some("shop.db".into());
    facts.journal_mode = "wal".to_owned();
    facts.synchronous = 2;
    let worst = |facts: &SqliteFacts| sqlite(facts).iter().map(|check| check.verdict).max();
    assert_eq!(worst(&facts), Some(Verdict::Ok));
    facts.wal_bytes = 2 << 30;
    assert_eq!(worst(&facts), Some(Verdict::Warning));
    facts.journal_mode = "delete".to_owned();
    assert_eq!(worst(&facts), Some(Verdict::Problem));
}
