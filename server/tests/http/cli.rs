//! The command line.

use std::path::Path;
use std::process::Output;

use stockade_testkit::MariaDb;
use tempfile::TempDir;

use crate::server::{Server, program, write};

pub fn run(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = program()
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn short_help_is_brief_and_long_help_lists_every_setting() {
    let folder = TempDir::new().unwrap();
    let (code, short, _) = run(folder.path(), &[], &["-h"]);
    assert!(code == 0 && short.lines().count() < 60, "{short}");
    let (code, long, _) = run(folder.path(), &[], &["--help"]);
    assert_eq!(code, 0);
    for setting in stockade::Config::SETTINGS {
        assert!(
            long.contains(&format!("--{}", setting.name.replace('_', "-"))),
            "{}",
            setting.name
        );
        assert!(
            long.contains(&format!("STOCKADE_{}", setting.name.to_uppercase())),
            "{}",
            setting.name
        );
    }
    assert!(long.contains("Exit codes"));
    let (code, version, _) = run(folder.path(), &[], &["--version"]);
    assert_eq!(
        (code, version.as_str()),
        (0, concat!("stockade ", env!("CARGO_PKG_VERSION"), "\n"))
    );
}

#[test]
fn a_flag_wins_over_the_environment_which_wins_over_the_file() {
    let most = |flags: &[&str], variables: &[(&str, &str)]| {
        let folder = TempDir::new().unwrap();
        let file = write(
            folder.path(),
            "stockade.toml",
            "max_per_hold = 1\nno_seed = false\nhold_ttl = \"90s\"\n",
        );
        let mut command = program();
        command
            .args(["--listen=127.0.0.1:0", "--config", &file])
            .args(flags)
            .envs(variables.iter().copied());
        let server = Server::from_command(command, folder);
        (1..=4)
            .take_while(|quantity| server.post(&format!("/api/holds/2/{quantity}")).status == 200)
            .count()
    };
    assert_eq!(most(&[], &[]), 1);
    assert_eq!(most(&[], &[("STOCKADE_MAX_PER_HOLD", "2")]), 2);
    assert_eq!(most(&["--max-per-hold", "3"], &[("STOCKADE_MAX_PER_HOLD", "2")]), 3);
}

#[test]
fn invalid_settings_are_rejected_by_name() {
    let folder = TempDir::new().unwrap();
    for (file, says) in [
        ("hold_tll = 1", "unknown setting hold_tll in the file; did you mean hold_ttl?"),
        ("hold_ttl = \"soon\"", "hold_ttl"),
        ("hold_ttl = 1.5", "hold_ttl"),
        ("[hold_ttl]", "hold_ttl"),
        ("listen = [\"a\"]", "listen"),
        ("api_key = open-sesame", "line 1"),
        ("open sesame", "line 1"),
        ("hold_ttl = \"1s\"\nhold_ttl = \"2s\"", "line 2"),
    ] {
        let path = write(folder.path(), "wrong.toml", file);
        let (code, _, said) = run(folder.path(), &[], &["--config", &path]);
        assert_eq!(code, 2, "{file}: {said}");
        assert!(said.contains(says) && !said.contains("sesame"), "{file}: {said}");
    }
    for (variables, arguments, says) in [
        (&[][..], &["--hold-ttl", "soon"][..], "hold_ttl"),
        (&[], &["--hold-ttl", "soon"], "a duration such as 90s, 2m or 1h"),
        (&[], &["--drain-delay=soon"], "a duration such as 90s, 2m or 1h"),
        (&[("STOCKADE_STRICT", "perhaps")], &[], "strict: expected true or false"),
        (&[("STOCKADE_NO_SEED", "perhaps")], &[], "no_seed: expected true or false"),
        (&[], &["--retries=-1"], "retries: expected a whole number"),
        (&[], &["--hold-ttl=0"], "hold_ttl"),
        (&[], &["--body-max=0"], "body_max"),
        (&[], &["--log-level=loud"], "log_level"),
        (&[], &["--config=/no/such/file"], "/no/such/file"),
        (&[], &["--listen=nowhere"], "nowhere"),
        (&[], &["--no-such-flag"], "--no-such-flag"),
        (&[], &["fly"], "fly"),
        (&[], &["--store=oracle:shop"], "oracle"),
    ] {
        let (code, _, said) = run(folder.path(), variables, arguments);
        assert!(
            code == 2 && said.contains(says),
            "{arguments:?} {variables:?} ended with {code}: {said}"
        );
    }
}

#[test]
fn unknown_variables_are_rejected_by_name() {
    let folder = TempDir::new().unwrap();
    for (name, meant) in [
        ("STOCKADE_REQUIRE_HOLD_TOKN", "STOCKADE_REQUIRE_HOLD_TOKEN"),
        ("STOCKADE_APY_KEY", "STOCKADE_API_KEY"),
        ("STOCKADE_WEBHOOK_SECRETS_FILE", "STOCKADE_WEBHOOK_SECRET_FILE"),
    ] {
        let (code, _, said) = run(folder.path(), &[(name, "open-sesame")], &["seed"]);
        assert!(code == 2 && said.contains(name) && said.contains(meant), "{code}: {said}");
        assert!(!said.contains("sesame"), "{said}");
    }
    let others = [
        ("STOCKADE_SERVICE_HOST", "10.0.0.1"),
        ("STOCKADE_PORT", "tcp://10.0.0.1:8080"),
        ("STOCKADE_TEST_MARIADB", "3306"),
        ("STOCKADE_STRICT", "no"),
    ];
    let (code, _, said) = run(folder.path(), &others, &["seed", "--store=sqlite::memory:"]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn every_setting_can_be_read_from_a_file_named_by_the_environment() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, content: &str| write(folder.path(), name, content);
    let key = file("key", "open sesame,second\n");
    let limit = file("limit", "2");
    let mut command = program();
    command
        .args(["--listen=127.0.0.1:0", "--store=sqlite::memory:", "--demo"])
        .env("STOCKADE_API_KEY_FILE", &key)
        .env("STOCKADE_MAX_PER_HOLD_FILE", &limit);
    let server = Server::from_command(command, TempDir::new().unwrap());
    let status = |key| server.send("GET", "/api/admin/audit", &[("authorization", key)], "").status;
    assert_eq!(
        (status("Bearer open sesame"), status("Bearer second"), status("Bearer sesame")),
        (200, 200, 401)
    );
    assert_eq!(server.post("/api/holds/1/2").status, 200);
    server.post("/api/holds/1/3").expect_problem(422, "quantity_limit");

    let secret = file("secret", "open-sesame\nhush\n");
    let binary = folder.path().join("binary");
    std::fs::write(&binary, b"\xff\xfe").unwrap();
    let long = file("long", &"x".repeat(100_000));
    for (variables, says) in [
        (&[("STOCKADE_API_KEY", "a"), ("STOCKADE_API_KEY_FILE", &*key)][..], "both set"),
        (&[("STOCKADE_STRICT_FILE", &*secret)], "setting strict"),
        (&[("STOCKADE_STORE_FILE", "/no/such/file")], "/no/such/file"),
        (&[("STOCKADE_STORE_FILE", folder.path().to_str().unwrap())], "STOCKADE_STORE_FILE"),
        (&[("STOCKADE_REDIS_FILE", binary.to_str().unwrap())], "STOCKADE_REDIS_FILE"),
        (&[("STOCKADE_REDIS_FILE", &*long)], "65536 bytes"),
    ] {
        let (code, _, said) = run(folder.path(), variables, &["seed"]);
        assert!(code == 2 && said.contains(says), "{variables:?} ended with {code}: {said}");
        assert!(!said.contains("sesame") && !said.contains("hush"), "{said}");
    }
    // A flag takes precedence over a file; an empty variable counts as unset.
    let variables = [("STOCKADE_STRICT", ""), ("STOCKADE_STRICT_FILE", &*secret)];
    let (code, _, said) =
        run(folder.path(), &variables, &["seed", "--strict=no", "--store=sqlite::memory:"]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn serve_refuses_a_clock_that_nothing_could_move() {
    let folder = TempDir::new().unwrap();
    for (store, says) in [
        ("sqlite::memory:", "nothing can move a server's clock"),
        ("sqlite:a.db", "--clock manual"),
    ] {
        let arguments = ["serve", "--listen=127.0.0.1:0", "--clock=manual", "--store", store];
        let (code, _, said) = run(folder.path(), &[], &arguments);
        assert!(code == 2 && said.contains(says), "{store} ended with {code}: {said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn only_serve_seed_and_migrate_create_a_store() {
    let folder = TempDir::new().unwrap();
    let store = "--store=sqlite:typo.db";
    for command in [
        &["audit"][..],
        &["sweep"],
        &["hold", "list"],
        &["order", "list"],
        &["product", "list"],
        &["payment", "waiting"],
        &["customer", "erase", "ada"],
        &["migrate", "--check"],
    ] {
        let arguments: Vec<_> = command.iter().copied().chain([store]).collect();
        let (code, _, said) = run(folder.path(), &[], &arguments);
        assert!(code == 3 && said.contains("typo.db"), "{command:?} ended with {code}: {said}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{command:?}");
    }
    // `migrate` migrates whatever the setting says.
    let (code, _, said) = run(folder.path(), &[("STOCKADE_MIGRATE", "check")], &["migrate", store]);
    assert_eq!(code, 0, "{said}");
    for command in [&["migrate", "--check"][..], &["audit"], &["sweep"]] {
        let arguments: Vec<_> = command.iter().copied().chain([store]).collect();
        assert_eq!(run(folder.path(), &[], &arguments).0, 0, "{command:?}");
    }
    for store in ["--store=sqlite:", "--store=sqlite://", "--store="] {
        let (code, _, said) = run(folder.path(), &[], &["audit", store]);
        assert!(code == 2 && said.contains("sqlite:FILE"), "{store} ended with {code}: {said}");
    }
}

#[test]
fn migrate_seed_sweep_and_audit() {
    let folder = TempDir::new().unwrap();
    let run = |arguments: &[&str]| run(folder.path(), &[], arguments);
    let (code, _, said) = run(&["migrate"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(run(&["migrate"]).0, 0);
    let (code, said, _) = run(&["seed"]);
    assert!(code == 0 && said.contains("5 demo products"), "{said}");
    let (code, said, _) = run(&["seed"]);
    assert!(code == 0 && said.contains("added nothing"), "{said}");
    let (code, swept, _) = run(&["sweep", "--json"]);
    assert_eq!((code, swept.as_str()), (0, "{\"holds_expired\":0,\"orders_cancelled\":0}\n"));
    let (code, report, _) = run(&["audit", "--json"]);
    assert!(code == 0 && report.starts_with(r#"{"consistent":true"#), "{report}");
    let (code, report, _) = run(&["audit"]);
    assert!(code == 0 && report.starts_with("the stock is consistent\n"), "{report}");
}

#[test]
fn hold_list_prints_holds_one_by_one_without_their_tokens() {
    let folder = TempDir::new().unwrap();
    let run =
        |arguments: &[&str]| run(folder.path(), &[], &[&["hold", "list"], arguments].concat());
    let url = format!("sqlite:{}", folder.path().join("shop.db").display());
    let engine = stockade::Engine::open(&url).unwrap();
    let lamp = stockade::NewProduct::new("Lamp", "1".parse().unwrap(), 5_000);
    let id = engine.create_product(lamp).unwrap().value.id;
    let requests = vec![stockade::HoldRequest::new(id, 2); 1_200];
    let first = engine.create_hold_batch(requests).unwrap().remove(0).unwrap().value;
    engine.release_hold(first.id).unwrap();
    engine.close().unwrap();
    let (code, all, said) = run(&[]);
    assert_eq!((code, all.lines().count()), (0, 1_200), "{said}");
    assert!(!all.contains("token"));
    let (_, released, _) = run(&["--status=released", &format!("--product={id}")]);
    let expected =
        format!(r#"{{"hold_id":{},"product_id":{id},"qty":2,"status":"released","#, first.id);
    assert!(released.lines().count() == 1 && released.starts_with(&expected), "{released}");
    assert_eq!(run(&[&format!("--after={}", first.id.0 + 1_198)]).1.lines().count(), 1);
    assert_eq!(run(&["--count=3"]).1.lines().count(), 3);
    assert_eq!(run(&["--product=99"]).1, "");
    assert_eq!(run(&["--status=gone"]).0, 2);
}

#[test]
fn audit_and_sweep_do_not_create_a_misspelt_store() {
    let folder = TempDir::new().unwrap();
    for command in ["audit", "sweep"] {
        let (code, _, said) = run(folder.path(), &[], &[command, "--store=sqlite:typo.db"]);
        assert!(code == 3 && said.contains("there is no store at typo.db"), "{code}: {said}");
        assert!(!folder.path().join("typo.db").exists());
    }
    for command in ["serve", "migrate", "audit"] {
        let (code, _, said) = run(folder.path(), &[], &[command, "--store=sqlite:"]);
        assert!(code == 2 && said.contains("sqlite:FILE"), "{command}: {code}: {said}");
    }
}

#[test]
fn audit_exits_with_1_when_stock_is_inconsistent() {
    stockade_testkit::skip_without!(MariaDb);
    let database = MariaDb::shared();
    let url = database.fresh_database();
    let name = url.rsplit('/').next().unwrap();
    let folder = TempDir::new().unwrap();
    let store = format!("--store={url}");
    assert_eq!(run(folder.path(), &[], &["seed", &store]).0, 0);
    database.query(&format!(
        "UPDATE {name}.stockade_products SET stock = stock - 1, held = held + 1 WHERE id = 1"
    ));
    let (code, report, _) = run(folder.path(), &[], &["audit", "--json", &store]);
    assert!(code == 1 && report.starts_with(r#"{"consistent":false"#), "{code}: {report}");
    let (code, report, _) = run(folder.path(), &[], &["audit", &store]);
    assert!(code == 1 && report.starts_with("the stock is INCONSISTENT\n"), "{code}: {report}");
}

#[test]
fn commands_exit_with_3_when_the_store_is_unreachable() {
    let folder = TempDir::new().unwrap();
    let port = stockade_testkit::free_port();
    let store = format!("--store=mysql://root:hush@127.0.0.1:{port}/shop");
    for command in ["serve", "migrate", "audit"] {
        let (code, _, said) = run(folder.path(), &[], &[command, &store, "--listen=127.0.0.1:0"]);
        assert_eq!(code, 3, "{command}: {said}");
        assert!(
            said.contains("unavailable")
                && said.contains("nothing listens")
                && !said.contains("hush"),
            "{command}: {said}"
        );
    }
}
