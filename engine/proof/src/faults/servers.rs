//! Kills, stops, empties and starves database servers and Redis under load.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;
use stockade::Engine;
use stockade_testkit::load::Load;
use stockade_testkit::{Flavour, Redis};

use super::check::check;
use super::deployment::Deployment;
use super::findings::Findings;
use super::journal::Journal;
use super::load::{Crowd, first_answers, rng, stock_up, under_load};

const SHOPPERS: u64 = 16;
const PROBES: u64 = 5_000;
const KILLS: u64 = 2;
const SERVED_BETWEEN: u64 = 40;
const STANDSTILL: Duration = Duration::from_millis(800);
const LOCK_TTL: &str = "500ms";
const FLUSHES: u64 = 250;
const EVICTING_ROUNDS: u64 = 100;
/// Memory that Redis may use beyond its usage at the start of eviction.
const ROOM: u64 = 400_000;

/// Kills the database server under load and restarts it.
pub fn database_killed(database: Flavour, seed: u64) -> Findings {
    let server = database.start_with(&[]);
    let deployment = Deployment::at_server(&server).set("retries", "1");
    let engines = [deployment.open(), deployment.open()];
    let products = stock_up(&engines[0]);
    let (mut findings, mut observed) = (Findings::default(), Journal::default());
    let mut journal = under_load(&engines, &products, Crowd::new(seed, SHOPPERS), |load| {
        for kill in 0..KILLS {
            load.wait_for(SERVED_BETWEEN);
            server.kill();
            let killed = Instant::now();
            findings.injected += 1;
            server.restart();
            let back = Instant::now();
            let (took, journal) = first_answers(&engines[0], &products, (back, PROBES + kill));
            observed.absorb(journal);
            findings.recovered(took);
            findings.measure("from the kill on, the server's own start included", killed.elapsed());
        }
        load.wait_for(SERVED_BETWEEN);
    });
    journal.absorb(observed);
    check(&engines[0], &mut journal, false, &mut findings);
    findings
}

/// The context of a Redis fault.
struct RedisFault<'a> {
    redis: &'a Redis,
    load: &'a Load,
    seed: u64,
    findings: &'a mut Findings,
    probe: &'a mut dyn FnMut() -> Duration,
}

/// Runs two engines on a database server with their own Redis.
fn with_redis(database: Flavour, seed: u64, harm: impl FnOnce(&mut RedisFault<'_>)) -> Findings {
    let redis = Redis::start();
    let deployment = Deployment::on(database).with_redis_at(redis.url()).set("lock_ttl", LOCK_TTL);
    let engines: Vec<Engine> = (0..2).map(|_| deployment.open()).collect();
    let products = stock_up(&engines[0]);
    let (mut findings, mut observed) = (Findings::default(), Journal::default());
    let mut probes = PROBES;
    let mut journal = under_load(&engines, &products, Crowd::new(seed, 2 * SHOPPERS), |load| {
        let mut probe = || {
            let since = Instant::now();
            let mut longest = Duration::ZERO;
            for engine in &engines {
                probes += 1;
                let (took, journal) = first_answers(engine, &products, (since, probes));
                observed.absorb(journal);
                longest = took;
            }
            longest
        };
        load.wait_for(SERVED_BETWEEN);
        harm(&mut RedisFault {
            redis: &redis,
            load,
            seed,
            findings: &mut findings,
            probe: &mut probe,
        });
        load.wait_for(SERVED_BETWEEN);
    });
    journal.absorb(observed);
    check(&engines[0], &mut journal, false, &mut findings);
    findings
}

/// Kills Redis and restarts it empty.
pub fn redis_killed(database: Flavour, seed: u64) -> Findings {
    with_redis(database, seed, |harm| {
        for _ in 0..3 {
            harm.redis.kill();
            harm.findings.injected += 1;
            let took = (harm.probe)();
            harm.findings.recovered(took);
            harm.load.wait_for(SERVED_BETWEEN);
            harm.redis.restart();
            let took = (harm.probe)();
            harm.findings.recovered(took);
            harm.load.wait_for(SERVED_BETWEEN);
        }
    })
}

/// Stops Redis for longer than its leases.
pub fn redis_stopped(database: Flavour, seed: u64) -> Findings {
    with_redis(database, seed, |harm| {
        for _ in 0..3 {
            harm.redis.pause();
            harm.findings.injected += 1;
            let took = (harm.probe)();
            harm.findings.recovered(took);
            thread::sleep(STANDSTILL);
            harm.redis.resume();
            let took = (harm.probe)();
            harm.findings.recovered(took);
            harm.load.wait_for(SERVED_BETWEEN);
        }
    })
}

/// Flushes Redis repeatedly, including locks and fencing tokens.
pub fn redis_flushed(database: Flavour, seed: u64) -> Findings {
    with_redis(database, seed, |harm| {
        let mut rng = rng(harm.seed, 9_999);
        let mut wire = Wire::to(harm.redis);
        for _ in 0..FLUSHES {
            wire.request("FLUSHALL");
            harm.findings.injected += 1;
            thread::sleep(Duration::from_micros(rng.random_range(500..8_000)));
        }
        let took = (harm.probe)();
        harm.findings.recovered(took);
    })
}

/// Starves Redis of memory, so that it evicts the least recently used keys.
pub fn redis_evicting(database: Flavour, seed: u64) -> Findings {
    with_redis(database, seed, |harm| {
        let mut wire = Wire::to(harm.redis);
        let info = |text: String, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map_or(0, |number| number.trim().parse::<u64>().unwrap_or_default())
        };
        let used = info(harm.redis.command(&["INFO", "memory"]), "used_memory");
        harm.redis.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
        harm.redis.command(&["CONFIG", "SET", "maxmemory", &(used + ROOM).to_string()]);
        let filler = "x".repeat(20_000);
        for round in 0..EVICTING_ROUNDS {
            for at in 0..10 {
                wire.request(&format!("SET filler{} {filler}", round * 10 + at));
            }
            thread::sleep(Duration::from_millis(2));
        }
        harm.findings.injected += EVICTING_ROUNDS;
        let evicted = info(harm.redis.command(&["INFO", "stats"]), "evicted_keys");
        harm.findings.count("keys evicted", evicted);
        let took = (harm.probe)();
        harm.findings.recovered(took);
    })
}

/// A raw connection: faster than one `redis-cli` process per command.
struct Wire {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Wire {
    fn to(redis: &Redis) -> Self {
        let stream = TcpStream::connect(redis.addr()).expect("connects");
        stream.set_nodelay(true).expect("a socket");
        let answers = BufReader::new(stream.try_clone().expect("a socket"));
        Self { stream, answers }
    }

    /// Sends a command with a one-line reply.
    fn request(&mut self, command: &str) {
        self.stream.write_all(format!("{command}\r\n").as_bytes()).expect("Redis listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("Redis answers");
    }
}
