//! Redis streams, the plain table of events, a relay within a server, and
//! `stockade events`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use stockade_testkit::{MariaDb, Redis, wait_until};

use crate::receiver::{Receiver, SOON};
use crate::shop::{Backend, Shop};

/// A child that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_redis_stream_gets_every_event_in_order() {
    stockade_testkit::skip_without!(Redis);
    let redis = Redis::shared();
    let stream = format!("{}events", redis.fresh_prefix());
    let shop = Shop::new(5);
    shop.hold(20);
    let plan = format!(
        "[[redis]]\nname = \"stream\"\nurl = \"{}\"\nstream = \"{stream}\"\nmax_length = 100000\n",
        redis.url()
    );
    let relay = shop.relay(&plan);
    let length = || redis.command(&["XLEN", &stream]).trim().parse::<usize>().unwrap_or(0);
    wait_until("all are there", SOON, || length() >= shop.cursors().len());
    relay.stop();
    shop.hold(1);
    let _again = shop.relay(&plan);
    wait_until("the rest is there", SOON, || length() >= shop.cursors().len());
    assert_eq!(length(), shop.cursors().len());
    let all = redis.command(&["XRANGE", &stream, "-", "+"]);
    let events = all.lines().filter(|line| line.starts_with("{\"cursor\""));
    let cursors: Vec<u64> = events
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["cursor"].as_u64().unwrap())
        .collect();
    assert_eq!(cursors, shop.cursors());
}

#[test]
fn the_plain_table_has_each_event_once_though_relays_are_killed() {
    stockade_testkit::skip_without!(MariaDb);
    let shop = Shop::on(Backend::MariaDb, 20);
    let flags = ["--event-rows"];
    for _ in 0..5 {
        let mut relays = [shop.relay_with("", &flags), shop.relay_with("", &flags)];
        shop.hold(20);
        relays.iter_mut().for_each(|relay| relay.kill());
    }
    let _relay = shop.relay_with("", &flags);
    let database = shop.store.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    let table = format!("{database}.stockade_event_rows");
    let server = MariaDb::shared();
    let ids = || server.query(&format!("SELECT id FROM {table} ORDER BY id"));
    let wanted = shop.cursors();
    wait_until("all are there", SOON, || ids().lines().count() >= wanted.len());
    let found: Vec<u64> = ids().lines().map(|line| line.trim().parse().unwrap()).collect();
    assert_eq!(found, wanted);
    let row = server.query(&format!(
        "SELECT aggregatetype, aggregateid, type, payload FROM {table} ORDER BY id LIMIT 1"
    ));
    assert!(
        row.starts_with(&format!("product\t{}\tproduct.created\t{{\"cursor\":1", shop.products[0])),
        "{row}"
    );
}

#[test]
fn a_server_relays_and_shows_metrics() {
    let shop = Shop::new(3);
    shop.hold(4);
    let endpoint = Receiver::accepting();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("relay.toml");
    std::fs::write(&file, endpoint.plan("erp", "")).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_stockade"), "serve"]).env_clear();
    command.args(["--no-seed", "--event-rows", "--listen=127.0.0.1:0", "--store", &shop.store]);
    let mut child = command.arg("--relay").arg(&file).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _server = Killed(child);
    let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
    endpoint.wait_for(shop.cursors());
    let metrics = || {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")
            .unwrap();
        std::io::read_to_string(stream).unwrap()
    };
    let events = shop.cursors().len();
    for target in ["erp", "event_rows"] {
        let delivered = format!("stockade_relay_delivered_total{{target=\"{target}\"}} {events}\n");
        wait_until("metrics count them", SOON, || metrics().contains(&delivered));
        for (name, value) in [
            ("failed_attempts_total", "0"),
            ("dead_letters_total", "0"),
            ("missed_total", "0"),
            ("waiting", "0"),
            ("oldest_undelivered_seconds", "0"),
        ] {
            let line = format!("stockade_relay_{name}{{target=\"{target}\"}} {value}\n");
            wait_until(&line, SOON, || metrics().contains(&line));
        }
    }
}

#[test]
fn the_command_prints_and_follows_events() {
    let shop = Shop::new(2);
    let printed = shop.lines(&["events"]);
    let cursors: Vec<u64> = printed.iter().map(|one| one["cursor"].as_u64().unwrap()).collect();
    assert_eq!(cursors, shop.cursors());
    let after = format!("--after={}", cursors[1]);
    assert_eq!(shop.lines(&["events", &after, "--count=1"]), printed[2..3]);
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_stockade"), "events", "--follow"]);
    command.env_clear().args(["--store", &shop.store, &after]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let _follower = Killed(child);
    let mut next = || {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        line["cursor"].as_u64().unwrap()
    };
    for cursor in &cursors[2..] {
        assert_eq!(next(), *cursor);
    }
    shop.hold(1);
    let last = cursors.last().unwrap();
    assert_eq!([next(), next()], [last + 1, last + 2]);
}
