//! Help, completions, man pages, tables, and what a first start says.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::cli::run;
use crate::cli_load::on_a_terminal;
use crate::server::program;

/// Lists the commands that the help of another lists.
fn commands(folder: &Path, path: &[&str]) -> Vec<String> {
    let (code, help, _) = run(folder, &[], &[path, &["-h"]].concat());
    assert_eq!(code, 0, "{path:?}");
    let list = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let list = list.split("\n\n").next().unwrap_or_default();
    let name = |line: &str| line.split_whitespace().next().map(ToOwned::to_owned);
    // A long description goes on in lines that are indented further.
    let lines = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    lines.filter_map(name).filter(|name| name != "help").collect()
}

#[test]
fn the_document_has_every_command_and_no_other() {
    let folder = TempDir::new().unwrap();
    let document = include_str!("../../../docs/command-line.md");
    let mut all = Vec::new();
    for name in commands(folder.path(), &[]) {
        let below = commands(folder.path(), &[&name]);
        all.extend(below.iter().map(|action| format!("{name} {action}")));
        // A command with actions may do something without one as well.
        let (_, help, _) = run(folder.path(), &[], &[&name, "-h"]);
        if below.is_empty() || help.contains("[COMMAND]") {
            all.push(name);
        }
    }
    assert!(all.len() > 20, "{all:?}");
    for command in &all {
        assert!(
            document.contains(&format!("| `stockade {command}")),
            "{command} is not documented"
        );
    }
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `stockade "));
    for row in rows {
        let is_known = |command: &&String| {
            row.strip_prefix(command.as_str()).is_some_and(|rest| rest.starts_with([' ', '`']))
        };
        assert!(all.iter().any(|command| is_known(&command)), "there is no command {row}");
    }
    for flag in ["--buyers", "--svg", "--force", "--seed", "--in-flight", "--skip-bad"] {
        assert!(document.contains(flag), "{flag}");
    }
}

#[test]
fn the_help_of_a_command_is_about_it() {
    let folder = TempDir::new().unwrap();
    let help = |arguments: &[&str]| run(folder.path(), &[], arguments).1;
    let load = help(&["load", "--help"]);
    let at = |part: &str| load.find(part).unwrap_or_else(|| panic!("{part}: {load}"));
    assert!(at("--buyers") < at("--webhook-secret"));
    assert!(!load.contains("--redis") && !load.contains("--drain-delay"), "{load}");
    let list = help(&["hold", "list", "-h"]);
    assert!(list.contains("--customer") && list.contains("--store"), "{list}");
    assert!(!list.contains("--listen") && list.contains("Exit codes"), "{list}");
    // A hidden setting is still read, so that one file and environment serve all commands.
    let (code, _, said) = run(folder.path(), &[("STOCKADE_DRAIN_DELAY", "1s")], &["migrate"]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn completions_and_man_pages_have_every_command() {
    let folder = TempDir::new().unwrap();
    let names = commands(folder.path(), &[]);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, script, said) = run(folder.path(), &[], &["completions", shell]);
        assert_eq!(code, 0, "{said}");
        for name in &names {
            assert!(script.contains(name.as_str()), "{shell}: {name}");
        }
    }
    let (code, _, said) = run(folder.path(), &[], &["completions", "tcsh"]);
    assert!(code == 2 && said.contains("bash"), "{said}");
    let (code, _, said) = run(folder.path(), &[], &["man", "pages"]);
    assert_eq!(code, 0, "{said}");
    for name in &names {
        let page = folder.path().join(format!("pages/stockade-{name}.1"));
        let page = std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("{name}"));
        assert!(page.contains(".TH") && page.contains("Exit codes"), "{name}");
    }
    let root = std::fs::read_to_string(folder.path().join("pages/stockade.1")).unwrap();
    assert!(root.contains("hold") && root.contains("ttl"), "{root}");
    // They need no settings.
    let wrong = [("STOCKADE_HOLD_TTL", "soon")];
    assert_eq!(run(folder.path(), &wrong, &["completions", "bash"]).0, 0);
}

#[test]
fn a_list_is_a_table_on_a_terminal_and_json_lines_elsewhere() {
    let folder = TempDir::new().unwrap();
    let store = format!("--store=sqlite:{}", folder.path().join("shop.db").display());
    assert_eq!(run(folder.path(), &[], &["seed", &store]).0, 0);
    let program = env!("CARGO_BIN_EXE_stockade");
    let shown = on_a_terminal(&format!("{program} product list {store}"));
    assert!(shown.contains("Coffee mug") && !shown.contains('{'), "{shown}");
    assert!(shown.contains("price") && shown.contains("sold"), "{shown}");
    let shown = on_a_terminal(&format!("{program} product list --json {store}"));
    assert!(shown.starts_with(r#"{"id":1,"#), "{shown}");
    let (_, elsewhere, _) = run(folder.path(), &[], &["product", "list", &store]);
    assert!(elsewhere.starts_with(r#"{"id":1,"#), "{elsewhere}");
    let (code, _, said) = run(folder.path(), &[], &["export", "all.csv", &store]);
    assert_eq!(code, 0, "{said}");
    let (code, said, _) = run(folder.path(), &[], &["import", "all.csv", &store]);
    assert!(code == 0 && said.contains("5 replaced"), "{said}");
}

/// Serves on a terminal until it is ready, and returns what that shows.
fn serve_on_a_terminal(folder: &Path, flags: &str) -> String {
    let program = env!("CARGO_BIN_EXE_stockade");
    let line =
        format!("cd {} && exec {program} serve --listen=127.0.0.1:0 {flags}", folder.display());
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env_clear()
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = String::new();
    let mut lines = BufReader::new(terminal.stdout.take().unwrap());
    // The log says it first, then stdout, then the greeting; it serves after that.
    let address = loop {
        assert!(lines.read_line(&mut shown).unwrap() > 0, "{shown}");
        let last = shown.lines().last().unwrap_or_default();
        if let Some(address) = last.strip_prefix("listening on http://") {
            break address.trim().to_owned();
        }
    };
    let ready = ureq::get(format!("http://{address}/readyz")).call();
    assert!(ready.is_ok(), "{ready:?}");
    let children = format!("/proc/{0}/task/{0}/children", terminal.id());
    let server = std::fs::read_to_string(children).unwrap();
    assert!(Command::new("kill").arg(server.trim()).status().unwrap().success());
    lines.read_to_string(&mut shown).unwrap();
    terminal.wait().unwrap();
    shown
}

#[test]
fn a_first_start_says_on_a_terminal_what_it_did_and_what_is_next() {
    let folder = TempDir::new().unwrap();
    let serve = |flags: &str| serve_on_a_terminal(folder.path(), flags);
    let first = serve("");
    assert!(first.contains("sqlite:shop.db was empty: it has 5 demo products now"), "{first}");
    assert!(first.contains("stockade load --url http://127.0.0.1:"), "{first}");
    let second = serve("");
    assert!(second.contains("listening on") && !second.contains("demo products"), "{second}");
    let named = serve("--store=sqlite:other.db");
    assert!(named.contains("no product") && named.contains("stockade product put"), "{named}");
    let asked = serve("--store=sqlite:third.db --demo");
    assert!(asked.contains("5 demo products"), "{asked}");
    let bare = TempDir::new().unwrap();
    let bare = serve_on_a_terminal(bare.path(), "--no-seed");
    assert!(bare.contains("no product"), "{bare}");
}

#[test]
fn a_service_gets_no_greeting() {
    let folder = TempDir::new().unwrap();
    let mut server = program()
        .args(["serve", "--listen=127.0.0.1:0"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(server.stdout.take().unwrap());
    let mut shown = String::new();
    stdout.read_line(&mut shown).unwrap();
    let stopped = Command::new("kill").args(["-s", "TERM", &server.id().to_string()]).status();
    assert!(stopped.unwrap().success());
    stdout.read_to_string(&mut shown).unwrap();
    let done = server.wait_with_output().unwrap();
    assert!(shown.starts_with("listening on http://") && shown.lines().count() == 1, "{shown}");
    let log = String::from_utf8_lossy(&done.stderr);
    assert!(!log.contains("stockade load") && log.contains("5 demo products"), "{log}");
}
