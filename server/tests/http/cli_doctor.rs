//! `stockade doctor` on stores and Redis servers as they should and should not be.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use stockade_testkit::{Flavour, Redis};
use tempfile::TempDir;

use crate::cli::run;

/// Runs the doctor and returns its exit code and report.
fn doctor(folder: &Path, flags: &[&str]) -> (i32, Value) {
    let (code, printed, said) = run(folder, &[], &[&["doctor", "--json"], flags].concat());
    let report = serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{code}: {said}"));
    (code, report)
}

/// The verdict of a check, and what to change.
#[track_caller]
fn check(report: &Value, name: &str) -> (String, String) {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no check {name}: {report}"));
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("verdict"), text("change"))
}

#[test]
fn a_sqlite_store_is_checked() {
    let folder = TempDir::new().unwrap();
    let (code, report) = doctor(folder.path(), &[]);
    assert_eq!((code, &report["healthy"]), (1, &false.into()), "{report}");
    assert_eq!(check(&report, "store").0, "problem");
    assert!(report.to_string().contains("stockade migrate"), "{report}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(run(folder.path(), &[], &["migrate"]).0, 0);
    let (code, report) = doctor(folder.path(), &[]);
    assert_eq!((code, &report["healthy"]), (0, &true.into()), "{report}");
    for name in ["store", "store.durability", "store.size", "store.tables", "store.rights", "redis"]
    {
        assert_eq!(check(&report, name).0, "ok", "{name}");
    }
    check(&report, "host.disk");
    let file = folder.path().join("shop.db");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let (code, report) = doctor(folder.path(), &[]);
    let (verdict, change) = check(&report, "store.rights");
    assert_eq!((code, verdict.as_str()), (0, "warning"), "{report}");
    assert!(change.contains("chmod 600"), "{change}");
    let (code, text, _) = run(folder.path(), &[], &["doctor"]);
    assert_eq!(code, 0);
    assert!(text.contains("WARNING  store.rights") && text.contains("-> chmod 600"), "{text}");
    assert!(text.contains("1 warnings, 0 problems"), "{text}");
}

/// Whether a server loses what it has committed, and whether the doctor sees it.
fn durability_is_checked(flavour: Flavour) {
    let folder = TempDir::new().unwrap();
    let server = flavour.start_with(&["--log-bin=binlog", "--server-id=1", "--sync-binlog=0"]);
    let url = server.fresh_database();
    server.query("SET GLOBAL innodb_flush_log_at_trx_commit = 2");
    let store = format!("--store={url}");
    assert_eq!(run(folder.path(), &[], &["migrate", &store]).0, 0);
    let (code, report) = doctor(folder.path(), &[&store]);
    assert_eq!(code, 1, "{report}");
    let (verdict, change) = check(&report, "store.binary_log");
    assert!(verdict == "problem" && change.contains("sync_binlog=1"), "{report}");
    let (verdict, change) = check(&report, "store.durability");
    assert!(
        verdict == "problem" && change.contains("innodb_flush_log_at_trx_commit=1"),
        "{report}"
    );
    server.query("SET GLOBAL innodb_flush_log_at_trx_commit = 1; SET GLOBAL sync_binlog = 1");
    let (code, report) = doctor(folder.path(), &[&store]);
    assert_eq!((code, &report["healthy"]), (0, &true.into()), "{report}");
    for name in ["store", "store.isolation", "store.durability", "store.binary_log", "store.tables"]
    {
        assert_eq!(check(&report, name).0, "ok", "{name}: {report}");
    }
    assert_eq!(check(&report, "store.clock").0, "ok", "{report}");
    assert!(
        report.to_string().contains("stockade_products") || check(&report, "store.size").0 == "ok"
    );
    // A user that may only read, with a password that nobody else learns.
    let database = url.rsplit('/').next().unwrap();
    server.query(&format!(
        "CREATE USER reader@'%' IDENTIFIED BY 'open-s3same'; \
         GRANT SELECT ON {database}.* TO reader@'%'"
    ));
    let store =
        format!("--store=mysql://reader:open-s3same@127.0.0.1:{}/{database}", server.port());
    let (code, printed, said) = run(folder.path(), &[], &["doctor", "--json", &store]);
    assert!(
        code == 1 && !printed.contains("s3same") && !said.contains("s3same"),
        "{printed} {said}"
    );
    let report: Value = serde_json::from_str(&printed).unwrap();
    let (verdict, change) = check(&report, "store.rights");
    assert!(verdict == "warning" && change.contains("INSERT, UPDATE, DELETE"), "{report}");
    assert_eq!(check(&report, "store.tables").0, "problem", "{report}");
}

#[test]
fn mariadb_is_checked() {
    stockade_testkit::skip_without!(MariaDb);
    durability_is_checked(Flavour::MariaDb);
}

#[test]
fn mysql_is_checked() {
    stockade_testkit::skip_without!(MySql);
    durability_is_checked(Flavour::MySql);
}

#[test]
fn a_redis_that_evicts_or_is_away_is_found() {
    stockade_testkit::skip_without!(Redis);
    let folder = TempDir::new().unwrap();
    assert_eq!(run(folder.path(), &[], &["migrate"]).0, 0);
    let redis = Redis::start_with(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]);
    let flag = format!("--redis={}", redis.url());
    let (code, report) = doctor(folder.path(), &[&flag]);
    assert_eq!(code, 0, "{report}");
    let (verdict, change) = check(&report, "redis.eviction");
    assert!(verdict == "warning" && change.contains("noeviction"), "{report}");
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let (_, report) = doctor(folder.path(), &[&flag]);
    for name in ["redis", "redis.eviction", "redis.memory", "redis.role", "redis.clock"] {
        assert_eq!(check(&report, name).0, "ok", "{name}: {report}");
    }
    redis.command(&["CONFIG", "SET", "requirepass", "open-s3same"]);
    let (code, report) = doctor(folder.path(), &[&flag]);
    let why = report.to_string();
    assert!(code == 1 && why.contains("requires a password"), "{report}");
    let url = format!("--redis=redis://:open-s3same@127.0.0.1:{}/", redis.port());
    let (code, report) = doctor(folder.path(), &[&url]);
    assert!(code == 0 && !report.to_string().contains("s3same"), "{report}");
    redis.kill();
    let (code, report) = doctor(folder.path(), &[&url]);
    assert_eq!((code, check(&report, "redis").0.as_str()), (1, "problem"), "{report}");
    assert!(!report.to_string().contains("s3same"), "{report}");
}

#[test]
fn a_running_engine_is_checked_where_it_runs() {
    let folder = TempDir::new().unwrap();
    let (code, _, said) = run(folder.path(), &[], &["doctor", "--store=unix:///run/shop.sock"]);
    assert!(code == 2 && said.contains("the store that it has opened"), "{code}: {said}");
}
