//! Connections that end, limits that are reached, and servers that turn
//! read-only, while an engine runs.

use std::thread;
use std::time::{Duration, Instant};

use stockade::{CartRequest, Engine, HoldRequest, NewProduct, ProductId};
use stockade_testkit::wait_until;

use crate::server::{Make, Server};
use crate::work::works;

fn engine(url: &str, connections: &str) -> Engine {
    let builder = Engine::builder().store(url).set("connections", connections).expect("a setting");
    let builder = builder.set("lock_wait", "1s").and_then(|b| b.set("store_timeout", "10s"));
    builder.and_then(stockade::EngineBuilder::open).unwrap_or_else(|error| panic!("{error}"))
}

fn product(engine: &Engine, stock: u64) -> ProductId {
    let price = "1".parse().expect("a price");
    engine.create_product(NewProduct::new("Lamp", price, stock)).expect("made").value.id
}

fn hold_at_once(engine: &Engine, id: ProductId, callers: usize) -> Vec<stockade::Result<()>> {
    thread::scope(|scope| {
        let hold = || engine.create_hold(HoldRequest::new(id, 1)).map(drop);
        let calls: Vec<_> = (0..callers).map(|_| scope.spawn(hold)).collect();
        calls.into_iter().map(|call| call.join().expect("no panic")).collect()
    })
}

fn each_request_outlives_its_connections(make: Make) {
    let server = Server::start(make, &[]);
    let engine = engine(&server.url(&server.database(), ""), "16");
    let ids: Vec<ProductId> = (0..16).map(|_| product(&engine, 1_000)).collect();
    let fill = || {
        thread::scope(|scope| {
            for id in &ids {
                scope.spawn(|| {
                    (0..20).for_each(|_| drop(engine.create_hold(HoldRequest::new(*id, 1))))
                });
            }
        });
    };
    fill();
    assert!(server.end_connections() > 1);
    hold_at_once(&engine, ids[0], 1).into_iter().for_each(|held| held.expect("one call"));
    fill();
    assert!(server.end_connections() > 1);
    thread::scope(|scope| {
        let calls: Vec<_> = ids[..5]
            .iter()
            .map(|id| scope.spawn(|| engine.create_hold(HoldRequest::new(*id, 1)).map(drop)))
            .collect();
        calls.into_iter().for_each(|call| call.join().expect("no panic").expect("five calls"));
    });
    fill();
    server.end_connections();
    engine.ping().expect("ready");
    server.end_connections();
    engine.product(ids[0]).expect("read");
    server.end_connections();
    assert!(engine.audit().expect("read").consistent);
}

fn a_read_only_server_is_not_ready_and_is_found_again(make: Make) {
    let server = Server::start(make, &[]);
    let engine = engine(&server.url(&server.database(), ""), "2");
    let id = product(&engine, 100);
    engine.ping().expect("ready");
    server.query("SET GLOBAL read_only = 1");
    assert_eq!(engine.ping().expect_err("it takes no writes").code(), "unavailable");
    let refused = engine.create_hold(HoldRequest::new(id, 1)).expect_err("read-only");
    assert_eq!(refused.code(), "unavailable");
    assert_eq!(engine.product(id).expect("it is read all the same").stock, 100);
    server.query("SET GLOBAL read_only = 0");
    engine.ping().expect("ready");
    engine.create_hold(HoldRequest::new(id, 1)).expect("held");
    assert!(engine.audit().expect("read").consistent);
}

fn a_busy_pool_is_ready(make: Make) {
    let server = Server::start(make, &[]);
    let engine = engine(&server.url(&server.database(), ""), "2");
    let ids: Vec<ProductId> = (0..8).map(|_| product(&engine, 1_000_000)).collect();
    let until = Instant::now() + Duration::from_secs(3);
    thread::scope(|scope| {
        for id in ids.iter().cycle().take(64) {
            let hold = || engine.create_hold(HoldRequest::new(*id, 1)).map(drop).expect("held");
            scope.spawn(move || {
                while Instant::now() < until {
                    hold();
                }
            });
        }
        while Instant::now() < until {
            let since = Instant::now();
            engine.ping().expect("a busy pool is ready");
            assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
        }
    });
}

fn limits_of_an_account_are_no_faults_of_the_engine(make: Make) {
    let server = Server::start(make, &[]);
    let database = server.database();
    let url = server.url(&database, "");
    let admin = engine(&url, "2");
    let id = product(&admin, 10_000);
    server.query("CREATE USER few@'%' IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS 2");
    server.query(&format!("GRANT ALL ON {database}.* TO few@'%'"));
    let few = format!("mysql://few:x@127.0.0.1:{}/{database}", server.port());
    let limited = engine(&few, "8");
    for held in hold_at_once(&limited, id, 64) {
        if let Err(error) = held {
            assert_eq!(error.code(), "unavailable", "{error}");
        }
    }
    drop(limited);
    server.query("ALTER USER few@'%' WITH MAX_USER_CONNECTIONS 0 MAX_UPDATES_PER_HOUR 3");
    if let Ok(limited) = Engine::open(&few) {
        for _ in 0..5 {
            if let Err(error) = limited.create_hold(HoldRequest::new(id, 1)) {
                assert_eq!(error.code(), "unavailable", "{error}");
            }
        }
    }
    server.query("SET GLOBAL max_connections = 12");
    let crowd = engine(&url, "64");
    let ids: Vec<ProductId> = (0..32).map(|_| product(&admin, 100)).collect();
    thread::scope(|scope| {
        for id in &ids {
            let hold = || crowd.create_hold(HoldRequest::new(*id, 1)).map(drop);
            scope.spawn(move || {
                if let Err(error) = hold() {
                    assert_eq!(error.code(), "unavailable", "{error}");
                }
            });
        }
    });
    assert!(admin.audit().expect("read").consistent);
}

fn a_time_limit_on_statements_is_contention(make: Make) {
    let server = Server::start(make, &[]);
    let database = server.database();
    let limit = match make {
        Make::MariaDb => "SET GLOBAL max_statement_time = 0.2",
        Make::MySql => "SET GLOBAL max_execution_time = 200",
    };
    let engine = engine(&server.url(&database, ""), "2");
    let id = product(&engine, 10);
    server.query(limit);
    server.end_connections();
    let holder = thread::scope(|scope| {
        let lock = format!(
            "SET max_statement_time = 0; USE {database}; START TRANSACTION; \
             SELECT id FROM stockade_products WHERE id = {id} FOR UPDATE; SELECT SLEEP(8)"
        );
        let lock = match make {
            Make::MariaDb => lock,
            Make::MySql => lock.replace("max_statement_time", "max_execution_time"),
        };
        let server = &server;
        let holder = scope.spawn(move || server.query(&lock));
        wait_until("the row is locked", Duration::from_secs(20), || {
            let sql = "SELECT COUNT(*) FROM information_schema.processlist \
                       WHERE info LIKE 'SELECT SLEEP%'";
            server_count(server, sql) > 0
        });
        let error = engine.create_hold(HoldRequest::new(id, 1)).expect_err("the row is locked");
        assert_eq!(error.code(), "contention", "{error}");
        holder.join().expect("no panic")
    });
    drop(holder);
    engine.create_hold(HoldRequest::new(id, 1)).expect("the row is free");
}

fn server_count(server: &Server, sql: &str) -> u64 {
    server.query(sql).trim().parse().expect("a number")
}

/// Carts of many lines with long customers, and plain buyers beside them, where
/// the server takes short texts only.
fn short_packets_lose_nothing(make: Make) {
    let server = Server::start(make, &["--max-allowed-packet=1M"]);
    let engine = engine(&server.url(&server.database(), ""), "4");
    let ids: Vec<ProductId> = (0..100).map(|_| product(&engine, 1_000_000)).collect();
    let failed: Vec<String> = thread::scope(|scope| {
        let buyers: Vec<_> = (0..200)
            .map(|buyer| {
                let (engine, ids) = (&engine, &ids);
                scope.spawn(move || {
                    if buyer % 10 == 0 {
                        return engine.create_hold(HoldRequest::new(ids[0], 1)).map(drop);
                    }
                    let lines = ids.iter().map(|id| (*id, 1));
                    let customer = format!("{buyer}{}", "c".repeat(240));
                    let key = format!("{buyer}{}", "k".repeat(240));
                    engine
                        .create_holds(CartRequest::new(lines).customer(customer).key(key))
                        .map(drop)
                })
            })
            .collect();
        let answers = buyers.into_iter().map(|buyer| buyer.join().expect("no panic"));
        answers.filter_map(Result::err).map(|error| error.to_string()).collect()
    });
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), failed.first());
    assert!(engine.audit().expect("read").consistent);
    works(&engine).expect("works");
}

macro_rules! on_both {
    ($($test:ident, $mariadb:ident, $mysql:ident;)*) => {$(
        #[test]
        fn $mariadb() {
            stockade_testkit::skip_without!(MariaDb);
            $test(Make::MariaDb);
        }

        #[test]
        fn $mysql() {
            stockade_testkit::skip_without!(MySql);
            $test(Make::MySql);
        }
    )*};
}

on_both! {
    each_request_outlives_its_connections, requests_outlive_connections_of_mariadb, requests_outlive_connections_of_mysql;
    a_read_only_server_is_not_ready_and_is_found_again, a_read_only_mariadb_is_not_ready, a_read_only_mysql_is_not_ready;
    a_busy_pool_is_ready, a_busy_pool_on_mariadb_is_ready, a_busy_pool_on_mysql_is_ready;
    limits_of_an_account_are_no_faults_of_the_engine, limits_of_a_mariadb_account, limits_of_a_mysql_account;
    a_time_limit_on_statements_is_contention, a_time_limit_on_mariadb_statements, a_time_limit_on_mysql_statements;
    short_packets_lose_nothing, short_packets_of_mariadb_lose_nothing, short_packets_of_mysql_lose_nothing;
}
