//! Runs a throw-away Redis with replicas and Sentinel.

use std::fs;
use std::time::Duration;

use crate::certificates::Identity;
use crate::folder::Folder;
use crate::owned::on_a_free_port;
use crate::port::free_port;
use crate::process::Server;
use crate::redis::{Redis, command, pongs, server};
use crate::wait::wait_until;

/// The name by which the sentinels know the master.
const NAME: &str = "shop";
const SENTINELS: usize = 3;
const REPLICAS: usize = 2;
const KNOWN_WITHIN: Duration = Duration::from_secs(60);

/// Owns a Redis master, two replicas of it and three sentinels, on loopback
/// ports of their own. Two sentinels that miss the master for a second make a
/// replica the master. Dropping it kills them all.
#[derive(Debug)]
pub struct Sentinel {
    servers: Vec<Redis>,
    sentinels: Vec<Watcher>,
}

#[derive(Debug)]
struct Watcher {
    port: u16,
    // The TLS port, if enabled.
    tls_port: Option<u16>,
    // Kept for its drop, which ends the process.
    _server: Server,
}

impl Sentinel {
    /// Starts all of them and waits until each sentinel knows the others and
    /// the replicas.
    ///
    /// # Panics
    ///
    /// Panics when one does not start, or they do not find each other within 60
    /// seconds.
    #[must_use]
    pub fn start() -> Sentinel {
        Sentinel::start_as(None)
    }

    /// Starts all of them with TLS, which they also speak to each other.
    ///
    /// # Panics
    ///
    /// As [`start`](Sentinel::start).
    #[must_use]
    pub fn start_tls(identity: &Identity) -> Sentinel {
        Sentinel::start_as(Some(identity))
    }

    fn start_as(identity: Option<&Identity>) -> Sentinel {
        let redis = |flags: &[&str]| match identity {
            None => Redis::start_with(flags),
            Some(identity) => {
                Redis::start_tls(identity, &[&["--tls-replication", "yes"], flags].concat())
            }
        };
        let master = redis(&[]);
        let port = master.announced_port();
        let replicaof = format!("127.0.0.1 {port}");
        let replicas = (0..REPLICAS).map(|_| redis(&["--replicaof", &replicaof]));
        let servers: Vec<Redis> = std::iter::once(master).chain(replicas).collect();
        let watch = |_| on_a_free_port(|own| Watcher::try_start(own, port, identity));
        let sentinels: Vec<Watcher> = (0..SENTINELS).map(watch).collect();
        wait_until("the sentinels know each other and the replicas", KNOWN_WITHIN, || {
            sentinels.iter().all(|sentinel| sentinel.knows(SENTINELS - 1, REPLICAS))
        });
        Sentinel { servers, sentinels }
    }

    /// Returns the URL, as in
    /// `redis+sentinel://127.0.0.1:15001,127.0.0.1:15002,127.0.0.1:15003/shop`, or
    /// `rediss+sentinel` with TLS.
    #[must_use]
    pub fn url(&self) -> String {
        let has_tls = self.sentinels.iter().all(|sentinel| sentinel.tls_port.is_some());
        let scheme = if has_tls { "rediss" } else { "redis" };
        let host = |s: &Watcher| format!("127.0.0.1:{}", s.tls_port.unwrap_or(s.port));
        let hosts: Vec<String> = self.sentinels.iter().map(host).collect();
        format!("{scheme}+sentinel://{}/{NAME}", hosts.join(","))
    }

    /// Returns the servers: at first the master, then its replicas.
    #[must_use]
    pub fn servers(&self) -> &[Redis] {
        &self.servers
    }

    /// Returns the master by majority of the sentinels.
    ///
    /// # Panics
    ///
    /// Panics when they call none of ours so.
    #[must_use]
    #[track_caller]
    pub fn master(&self) -> &Redis {
        let named: Vec<u16> = self.sentinels.iter().map(Watcher::master).collect();
        let votes =
            |redis: &&Redis| named.iter().filter(|port| **port == redis.announced_port()).count();
        match self.servers.iter().max_by_key(votes) {
            Some(master) if votes(&master) * 2 > SENTINELS => master,
            _ => panic!("the sentinels do not agree: {named:?}"),
        }
    }

    /// Waits until all sentinels call another server than `before` the master,
    /// and returns that.
    ///
    /// # Panics
    ///
    /// Panics when that does not come about within 60 seconds.
    #[track_caller]
    pub fn wait_for_failover(&self, before: &Redis) -> &Redis {
        let before = before.announced_port();
        wait_until("another server is the master", KNOWN_WITHIN, || {
            let named: Vec<u16> = self.sentinels.iter().map(Watcher::master).collect();
            named.iter().all(|port| *port != before && *port == named[0])
        });
        self.master()
    }

    /// Waits until the master has all of its replicas again.
    ///
    /// # Panics
    ///
    /// Panics when that does not come about within 60 seconds.
    #[track_caller]
    pub fn wait_for_replicas(&self) {
        wait_until("the master has its replicas", KNOWN_WITHIN, || {
            let master = self.master();
            let role = command(master.port(), &["INFO", "replication"]);
            let copies = role.lines().filter(|line| line.contains("state=online")).count();
            let is_well = |s: &Watcher| s.knows(SENTINELS - 1, REPLICAS);
            copies == REPLICAS && self.sentinels.iter().all(is_well)
        });
    }
}

impl Watcher {
    fn try_start(port: u16, master: u16, identity: Option<&Identity>) -> Result<Watcher, String> {
        let folder = Folder::new("stockade-sentinel-")
            .map_err(|cause| format!("failed to make a folder for Sentinel: {cause}"))?;
        let path = folder.path();
        let config = path.join("sentinel.conf");
        // A sentinel rewrites its configuration file.
        let mut settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {dir}\nunixsocket {dir}/server.sock\n\
             sentinel monitor {NAME} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {NAME} 1000\n\
             sentinel failover-timeout {NAME} 6000\n\
             sentinel parallel-syncs {NAME} {REPLICAS}\n",
            dir = path.display()
        );
        let tls_port = identity.map(|_| free_port());
        if let (Some(identity), Some(tls_port)) = (identity, tls_port) {
            let Identity { ca, cert, key } = identity;
            let (ca, cert, key) = (ca.display(), cert.display(), key.display());
            settings.push_str(&format!(
                "tls-port {tls_port}\ntls-replication yes\ntls-auth-clients no\n\
                 tls-ca-cert-file {ca}\ntls-cert-file {cert}\ntls-key-file {key}\n"
            ));
        }
        fs::write(&config, settings)
            .map_err(|cause| format!("failed to write {}: {cause}", config.display()))?;
        let mut command = server()?;
        command.extend([config.into_os_string(), "--sentinel".into()]);
        let server = Server::new("Sentinel", command, folder, pongs);
        server.launch()?;
        Ok(Watcher { port, tls_port, _server: server })
    }

    /// The port of the master in this sentinel's view.
    fn master(&self) -> u16 {
        let answer = command(self.port, &["SENTINEL", "get-master-addr-by-name", NAME]);
        answer.lines().nth(1).and_then(|port| port.parse().ok()).unwrap_or_default()
    }

    fn knows(&self, sentinels: usize, replicas: usize) -> bool {
        let answer = command(self.port, &["SENTINEL", "MASTER", NAME]);
        let lines: Vec<&str> = answer.lines().collect();
        let value = |name: &str| {
            let at = lines.iter().position(|line| *line == name)?;
            lines.get(at + 1).copied()
        };
        let count = |name: &str| value(name).and_then(|count| count.parse::<usize>().ok());
        // Former masters stay in the list; they must be healthy, too.
        value("flags") == Some("master")
            && count("num-other-sentinels") == Some(sentinels)
            && count("num-slaves").is_some_and(|known| known >= replicas)
    }
}
