//! `stockade backup` and `stockade restore`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use stockade_testkit::{MariaDb, wait_until};
use tempfile::TempDir;

use crate::cli::run;
use crate::server::{SOON, Server, program};

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(name).map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_store_is_backed_up_in_the_middle_of_a_sale_and_restored() {
    let mut server = Server::sqlite(&[]);
    let mut sale = program()
        .args(["load", "--json", "--buyers=200", "--rate=100", "--stock=500"])
        .arg(format!("--url=http://{}", server.address))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("units are held", SOON, || {
        let products = server.get("/api/products?after=1").body;
        products.contains(r#""held":"#) && !products.contains(r#""held":0,"#)
    });
    let folder = TempDir::new().unwrap();
    let store = format!("--store=sqlite:{}", server.folder().join("shop.db").display());
    let (code, said, errors) = run(folder.path(), &[], &["backup", "shop.backup", &store]);
    assert_eq!(code, 0, "{errors}");
    assert!(said.contains("backed up to shop.backup") && said.contains("4 products"), "{said}");
    // One file, of its owner alone.
    assert_eq!(names(folder.path()), ["shop.backup"]);
    let backup = folder.path().join("shop.backup");
    assert_eq!(backup.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let (code, _, errors) = run(folder.path(), &[], &["backup", "shop.backup", &store]);
    assert!(code == 2 && errors.contains("--force"), "{code}: {errors}");

    // The default store of the folder, which is not there yet.
    let (code, said, errors) = run(folder.path(), &[], &["restore", "shop.backup"]);
    assert_eq!(code, 0, "{errors}");
    assert!(said.contains("restored to shop.db"), "{said}");
    assert_eq!(names(folder.path()), ["shop.backup", "shop.db"]);
    assert_eq!(run(folder.path(), &[], &["audit"]).0, 0);
    let (_, listed, _) = run(folder.path(), &[], &["hold", "list"]);
    assert!(listed.lines().count() > 0);

    // The sale goes on undisturbed, and its store is in use.
    assert_eq!(sale.wait().unwrap().code(), Some(0));
    let sold = server.get("/api/products").body;
    let restore = [&["restore", "shop.backup", &store][..], &["--force"]].concat();
    let (code, _, errors) = run(folder.path(), &[], &restore[..3]);
    assert!(code == 2 && errors.contains("--force"), "{code}: {errors}");
    let (code, _, errors) = run(folder.path(), &[], &restore);
    assert!(code == 3 && errors.contains("is in use"), "{code}: {errors}");
    assert_eq!(server.get("/api/products").body, sold);
    server.signal("TERM");
    server.ended();
    let (code, _, errors) = run(folder.path(), &[], &restore);
    assert_eq!(code, 0, "{errors}");
    let (_, restored, _) = run(folder.path(), &[], &["product", "list", &store]);
    let (_, backed_up, _) = run(folder.path(), &[], &["product", "list"]);
    assert_eq!(restored, backed_up);
    assert_eq!(names(server.folder()), ["shop.db"]);
}

fn sql(file: &Path, statement: &str) -> String {
    let done = Command::new("sqlite3").arg(file).arg(statement).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn a_backup_that_fails_the_audit_replaces_nothing() {
    let folder = TempDir::new().unwrap();
    let run = |arguments: &[&str]| run(folder.path(), &[], arguments);
    assert_eq!(run(&["seed"]).0, 0);
    assert_eq!(run(&["backup", "good"]).0, 0);
    let (good, bad) = (folder.path().join("good"), folder.path().join("bad"));
    fs::copy(&good, &bad).unwrap();
    sql(&bad, "UPDATE stockade_products SET stock = stock - 1, held = held + 1 WHERE id = 1");
    let before = run(&["product", "list"]).1;
    let (code, said, _) = run(&["restore", "bad", "--force"]);
    assert!(code == 1 && said.contains("NOT CLEAN") && said.contains("held"), "{code}: {said}");
    let (code, said, _) = run(&["restore", "bad", "--force", "--json"]);
    assert!(code == 1 && said.starts_with(r#"{"done":false"#), "{code}: {said}");
    fs::write(&bad, &fs::read(&good).unwrap()[..9_000]).unwrap();
    let (code, _, errors) = run(&["restore", "bad", "--force"]);
    assert_eq!(code, 3, "{errors}");
    fs::write(&bad, "no database").unwrap();
    assert_eq!(run(&["restore", "bad", "--force"]).0, 3);
    assert_eq!(run(&["restore", "nothing", "--force"]).0, 3);
    assert_eq!(run(&["product", "list"]).1, before);
    assert_eq!(names(folder.path()), ["bad", "good", "shop.db"]);
}

#[test]
fn a_damaged_store_is_replaced_with_its_log_and_keeps_its_mode() {
    let folder = TempDir::new().unwrap();
    let run = |arguments: &[&str]| run(folder.path(), &[], arguments);
    assert_eq!(run(&["seed"]).0, 0);
    assert_eq!(run(&["backup", "good"]).0, 0);
    let file = folder.path().join("shop.db");
    fs::write(&file, "no database any more").unwrap();
    fs::write(folder.path().join("shop.db-wal"), "a log of it").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(run(&["audit"]).0, 3);
    let (code, _, said) = run(&["restore", "good", "--force"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(names(folder.path()), ["good", "shop.db"]);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(run(&["audit"]).0, 0);
}

#[test]
fn a_restored_store_shares_no_memory_in_redis_with_the_one_before() {
    let folder = TempDir::new().unwrap();
    let run = |arguments: &[&str]| run(folder.path(), &[], arguments);
    assert_eq!(run(&["seed"]).0, 0);
    let file = folder.path().join("shop.db");
    sql(&file, "INSERT INTO stockade_sequences (name, next) VALUES ('store_id', 7)");
    assert_eq!(run(&["backup", "copy"]).0, 0);
    assert_eq!(run(&["restore", "copy", "--force"]).0, 0);
    assert_eq!(
        sql(&file, "SELECT count(*) FROM stockade_sequences WHERE name = 'store_id'"),
        "0\n"
    );
}

#[test]
fn a_store_of_mariadb_is_backed_up_by_the_command_that_is_printed() {
    stockade_testkit::skip_without!(MariaDb);
    let database = MariaDb::shared();
    let store = format!("--store={}", database.fresh_database());
    let flags = [store.clone(), "--demo".to_owned()];
    let server = Server::with_flags(TempDir::new().unwrap(), &flags);
    server.order(2);
    server.hold(1);
    let (code, _, said) = run(server.folder(), &[], &["backup", "shop.sql", &store]);
    assert_eq!(code, 2, "{said}");
    let command = said.split("on MariaDB): ").nth(1).unwrap().lines().next().unwrap();
    let command = command.replace("mysqldump", "mariadb-dump --no-defaults");
    let command = command.replace(" --password", "");
    let shell = |command: &str| {
        let done = Command::new("sh").args(["-c", command]).current_dir(server.folder()).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    };
    shell(&command);
    let copy = database.fresh_database();
    let store = format!("--store={copy}");
    let (code, _, said) = run(server.folder(), &[], &["restore", "shop.sql", &store]);
    assert_eq!(code, 2, "{said}");
    let command = said.split("on MariaDB): ").nth(1).unwrap().lines().next().unwrap();
    let command = command.replace("mysql ", "mariadb --no-defaults ").replace(" --password", "");
    shell(&command);
    let (code, report, said) = run(server.folder(), &[], &["audit", "--json", &store]);
    assert!(code == 0 && report.contains(r#""products":5"#), "{code}: {said} {report}");
}

#[test]
fn only_a_sqlite_file_is_backed_up() {
    let folder = TempDir::new().unwrap();
    for (store, says) in [
        ("--store=sqlite::memory:", "in memory"),
        ("--store=unix:///run/shop.sock", "the store that it has opened"),
        ("--store=mysql://shop:s3cret@db/shop", "mysqldump"),
    ] {
        for command in ["backup", "restore"] {
            let (code, _, said) = run(folder.path(), &[], &[command, "file", store]);
            // The tool that restores has another name.
            let says =
                says.replace("mysqldump", if command == "backup" { "mysqldump" } else { "mysql" });
            assert!(code == 2 && said.contains(&says), "{command} {store}: {code}: {said}");
            assert!(!said.contains("s3cret"), "{said}");
        }
    }
    let (code, _, said) = run(folder.path(), &[], &["backup", "file"]);
    assert!(code == 3 && said.contains("shop.db"), "{code}: {said}");
    assert_eq!(names(folder.path()), Vec::<String>::new());
}
