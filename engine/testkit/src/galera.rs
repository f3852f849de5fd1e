//! A throw-away MariaDB Galera cluster.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::folder::Folder;
use crate::mariadb::{
    STARTS_MAX, arguments, create_database, flag, greets, install, query, try_query, url, user,
};
use crate::port::free_port;
use crate::process::Server;
use crate::tool;
use crate::unique::unique_name;
use crate::wait::holds_within;

const NODES: usize = 3;
const SYNCED_WITHIN: Duration = Duration::from_secs(120);
const PROVIDERS: [&str; 2] =
    ["/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so"];

// rsync's daemon, which a node that joins runs, turns from root into nobody and
// cannot read the folder then. These two stand in for the usual script, where
// the whole kit runs as root.
const SST_AS_ROOT: &str =
    "#!/bin/sh\nPATH=\"$(dirname \"$0\"):$PATH\" exec wsrep_sst_rsync \"$@\"\n";
const RSYNC_AS_ROOT: &str = "#!/bin/sh\ncase \" $* \" in\n\
    *\" --daemon \"*) set -- --dparam=uid=root --dparam=gid=root \"$@\" ;;\nesac\n\
    PATH=\"${PATH#*:}\" exec rsync \"$@\"\n";

/// Owns a MariaDB Galera cluster of three nodes, each with a folder and
/// loopback ports of its own. Dropping it kills them all.
///
/// Each node is set up as [`MariaDb`](crate::MariaDb) is and writes its log at
/// each commit. A node that says nothing for two seconds is taken for dead by
/// the others. A node that comes back fetches what it missed from another:
/// what was committed since, or all of it.
#[derive(Debug)]
pub struct Galera {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    port: u16,
    // What `mariadbd` is started with.
    arguments: Vec<OsString>,
    server: Server,
}

/// How far a node has come: a history's id, and the number of the last
/// transaction in it.
struct Place {
    history: String,
    number: i64,
}

/// The ports of a node: clients, the group, and the two ways of catching up.
struct Ports {
    sql: u16,
    group: u16,
    ist: u16,
    sst: u16,
}

impl Galera {
    /// Starts the nodes and waits until all are in step, about ten seconds.
    ///
    /// # Panics
    ///
    /// Panics with the tail of a node's log when they are not within two
    /// minutes.
    #[must_use]
    pub fn start() -> Galera {
        let mut failure = String::new();
        for _ in 0..STARTS_MAX {
            match Galera::try_start() {
                Ok(started) => return started,
                Err(cause) => failure = cause,
            }
            // As with MariaDB: only a lost race for a port is worth another try.
            if !failure.contains("Address already in use") {
                break;
            }
        }
        panic!("{failure}");
    }

    fn try_start() -> Result<Galera, String> {
        let ports: Vec<Ports> = (0..NODES).map(|_| Ports::free()).collect();
        let hosts: Vec<String> = ports.iter().map(|p| format!("127.0.0.1:{}", p.group)).collect();
        let hosts = hosts.join(",");
        let nodes = side_by_side(&ports, |ports| Node::prepare(ports, &hosts));
        let galera = Galera { nodes: nodes.into_iter().collect::<Result<_, _>>()? };
        galera.nodes[0].server.launch_with(&[OsString::from("--wsrep-new-cluster")])?;
        galera.nodes[0].become_synced()?;
        galera.join_all_but(0)?;
        Ok(galera)
    }

    fn join_all_but(&self, first: usize) -> Result<(), String> {
        let others: Vec<&Node> =
            self.nodes.iter().enumerate().filter(|(at, _)| *at != first).map(|(_, n)| n).collect();
        side_by_side(&others, |node| node.join()).into_iter().collect()
    }

    /// Returns how many nodes there are; they are numbered from 0.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Returns the TCP address of a node, for a [`Proxy`](crate::Proxy).
    #[must_use]
    pub fn addr(&self, node: usize) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.nodes[node].port))
    }

    /// Returns the URL of a database at a node.
    #[must_use]
    pub fn url(&self, node: usize, database: &str) -> String {
        url(self.nodes[node].port, database)
    }

    /// Creates an empty database with a name of its own and returns the name.
    ///
    /// # Panics
    ///
    /// Panics when the node refuses.
    #[must_use]
    #[track_caller]
    pub fn fresh_database(&self, node: usize) -> String {
        let name = unique_name();
        create_database(self.nodes[node].port, &name);
        name
    }

    /// Runs SQL at a node as [`MariaDb::query`](crate::MariaDb::query) does.
    ///
    /// # Panics
    ///
    /// As that.
    #[track_caller]
    pub fn query(&self, node: usize, sql: &str) -> String {
        query(self.nodes[node].port, sql)
    }

    /// Runs SQL at a node as [`MariaDb::try_query`](crate::MariaDb::try_query)
    /// does.
    ///
    /// # Errors
    ///
    /// As that.
    pub fn try_query(&self, node: usize, sql: &str) -> Result<String, String> {
        try_query(self.nodes[node].port, sql)
    }

    /// Says whether a node belongs to the part of the cluster that may write,
    /// and is in step with it.
    #[must_use]
    pub fn is_synced(&self, node: usize) -> bool {
        self.nodes[node].server.is_up() && self.nodes[node].is_synced()
    }

    /// Waits until a node is in step with the cluster.
    ///
    /// # Panics
    ///
    /// Panics when it is not within two minutes.
    #[track_caller]
    pub fn wait_synced(&self, node: usize) {
        if let Err(cause) = self.nodes[node].become_synced() {
            panic!("{cause}");
        }
    }

    /// Kills a node with SIGKILL and waits until it is gone.
    pub fn kill(&self, node: usize) {
        self.nodes[node].server.kill();
    }

    /// Starts a killed node again on its data, and waits until it has caught up
    /// with the others.
    ///
    /// # Panics
    ///
    /// Panics with the tail of its log when that fails.
    #[track_caller]
    pub fn restart(&self, node: usize) {
        self.kill(node);
        let node = &self.nodes[node];
        let started = node.recovered().and_then(|place| node.start_at(&place, None));
        if let Err(cause) = started.and_then(|()| node.become_synced()) {
            panic!("{cause}");
        }
    }

    /// Starts a killed node again as if it had lost its place, so that it
    /// copies everything from another node, and waits until it has.
    ///
    /// # Panics
    ///
    /// As [`restart`](Galera::restart).
    #[track_caller]
    pub fn restart_by_copy(&self, node: usize) {
        self.kill(node);
        let node = &self.nodes[node];
        for name in ["grastate.dat", "gvwstate.dat", "galera.cache"] {
            // One that is not there is as good as removed.
            let _ = fs::remove_file(node.server.folder().join("data").join(name));
        }
        if let Err(cause) = node.join() {
            panic!("{cause}");
        }
    }

    /// After all nodes were killed, starts the one again that committed most,
    /// as the manual has it, and waits until it serves alone. Answers which it
    /// is; the others are to be [`restart`](Galera::restart)ed.
    ///
    /// # Panics
    ///
    /// As [`restart`](Galera::restart).
    #[must_use]
    #[track_caller]
    pub fn restart_first(&self) -> usize {
        self.try_restart_first().unwrap_or_else(|cause| panic!("{cause}"))
    }

    fn try_restart_first(&self) -> Result<usize, String> {
        let places = side_by_side(&self.nodes, |node| {
            node.server.kill();
            node.recovered()
        });
        let places = places.into_iter().collect::<Result<Vec<Place>, _>>()?;
        let furthest = places.iter().enumerate().rev().max_by_key(|(_, place)| place.number);
        let (first, place) = furthest.ok_or("there are no nodes")?;
        let node = &self.nodes[first];
        let state = node.server.folder().join("data/grastate.dat");
        let text = fs::read_to_string(&state).map_err(|cause| format!("grastate.dat: {cause}"))?;
        let text = text.replace("safe_to_bootstrap: 0", "safe_to_bootstrap: 1");
        fs::write(&state, text).map_err(|cause| format!("grastate.dat: {cause}"))?;
        node.start_at(place, Some("--wsrep-new-cluster"))?;
        node.become_synced()?;
        Ok(first)
    }

    /// Stops a node with SIGSTOP: connections stay open and nobody answers.
    ///
    /// # Panics
    ///
    /// Panics when the node is not running.
    #[track_caller]
    pub fn pause(&self, node: usize) {
        self.nodes[node].server.pause();
    }

    /// Lets a paused node go on, with SIGCONT. The others have taken it for
    /// dead meanwhile, so it joins them anew.
    ///
    /// # Panics
    ///
    /// Panics when the node is not running.
    #[track_caller]
    pub fn resume(&self, node: usize) {
        self.nodes[node].server.resume();
    }

    /// Cuts a node off from the others (true), or lets it back (false). It goes
    /// on serving clients, as well as a node can that is alone.
    ///
    /// # Panics
    ///
    /// Panics when the node does not answer.
    #[track_caller]
    pub fn isolate(&self, node: usize, isolate: bool) {
        let isolate = u8::from(isolate);
        self.query(
            node,
            &format!("SET GLOBAL wsrep_provider_options = 'gmcast.isolate={isolate}'"),
        );
    }
}

impl Ports {
    fn free() -> Ports {
        Ports { sql: free_port(), group: free_port(), ist: free_port(), sst: free_port() }
    }
}

impl Node {
    fn prepare(ports: &Ports, hosts: &str) -> Result<Node, String> {
        let folder = Folder::new("stockade-galera-")
            .map_err(|cause| format!("failed to make a folder for Galera: {cause}"))?;
        install(folder.path())?;
        let provider = PROVIDERS.iter().find(|path| Path::new(path).exists());
        let provider = provider.ok_or("Galera's library is missing: install galera-4")?;
        let Ports { sql, group, ist, sst } = ports;
        let options = format!(
            "base_port={group};gmcast.listen_addr=tcp://127.0.0.1:{group};\
             ist.recv_addr=127.0.0.1:{ist};gcache.size=16M;evs.keepalive_period=PT0.3S;\
             evs.inactive_check_period=PT0.3S;evs.suspect_timeout=PT2S;\
             evs.inactive_timeout=PT4S;evs.install_timeout=PT4S"
        );
        let flags = [
            "--binlog-format=ROW".to_owned(),
            "--innodb-autoinc-lock-mode=2".to_owned(),
            "--wsrep-on=ON".to_owned(),
            format!("--wsrep-provider={provider}"),
            format!("--wsrep-provider-options={options}"),
            "--wsrep-cluster-name=stockade".to_owned(),
            format!("--wsrep-cluster-address=gcomm://{hosts}"),
            format!("--wsrep-node-name=n{sql}"),
            format!("--wsrep-node-address=127.0.0.1:{group}"),
            format!("--wsrep-sst-receive-address=127.0.0.1:{sst}"),
            format!("--wsrep-sst-method={}", if user().is_some() { "as_root" } else { "rsync" }),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let mut command = Vec::new();
        if user().is_some() {
            let scripts = folder.path().join("scripts");
            write_scripts(&scripts).map_err(|cause| format!("no scripts: {cause}"))?;
            let mut path = OsString::from("PATH=");
            path.extend([tool::path(), OsString::from(":"), scripts.into_os_string()]);
            command.push(path);
        }
        command.push(OsString::from("mariadbd"));
        let arguments = arguments(folder.path(), *sql, &flags);
        command.extend(arguments.clone());
        let server = Server::new("Galera", "env", command, folder, greets);
        Ok(Node { port: *sql, arguments, server })
    }

    fn join(&self) -> Result<(), String> {
        self.server.launch()?;
        self.become_synced()
    }

    fn become_synced(&self) -> Result<(), String> {
        if holds_within(SYNCED_WITHIN, || self.is_synced()) {
            return Ok(());
        }
        Err(self.server.failure(&format!("it was not in step within {SYNCED_WITHIN:?}")))
    }

    fn is_synced(&self) -> bool {
        let sql = "SHOW STATUS WHERE Variable_name IN \
                   ('wsrep_cluster_status', 'wsrep_local_state_comment', 'wsrep_ready')";
        try_query(self.port, sql).is_ok_and(|rows| {
            ["\tPrimary", "\tSynced", "\tON"].iter().all(|word| rows.contains(word))
        })
    }

    /// Where the node stood when it died.
    fn recovered(&self) -> Result<Place, String> {
        let log = self.server.folder().join("recover.log");
        // One that is not there is as good as removed.
        let _ = fs::remove_file(&log);
        let mut command = tool::command("mariadbd");
        command.args(&self.arguments).arg("--wsrep-recover").arg(flag("--log-error=", &log));
        tool::run(command, "")?;
        let text = fs::read_to_string(&log).map_err(|cause| format!("recover.log: {cause}"))?;
        let position = text.lines().rev().find_map(|line| line.split_once("Recovered position: "));
        let (_, position) = position.ok_or_else(|| format!("no position recovered:\n{text}"))?;
        let (history, number) = position.trim().rsplit_once(':').unwrap_or((position, "-1"));
        let number = number.split(',').next().unwrap_or_default().parse().unwrap_or(-1);
        Ok(Place { history: history.to_owned(), number })
    }

    fn start_at(&self, place: &Place, how: Option<&str>) -> Result<(), String> {
        let Place { history, number } = place;
        let mut further =
            vec![OsString::from(format!("--wsrep-start-position={history}:{number}"))];
        further.extend(how.map(OsString::from));
        self.server.launch_with(&further)
    }
}

fn write_scripts(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, text) in [("wsrep_sst_as_root", SST_AS_ROOT), ("rsync", RSYNC_AS_ROOT)] {
        let path = folder.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn side_by_side<I: Sync, T: Send>(
    items: &[I],
    work: impl Fn(&I) -> Result<T, String> + Sync,
) -> Vec<Result<T, String>> {
    thread::scope(|scope| {
        let work = &work;
        let started: Vec<_> = items.iter().map(|item| scope.spawn(move || work(item))).collect();
        let joined = started.into_iter().map(|thread| thread.join());
        joined.map(|done| done.unwrap_or_else(|_| Err("a thread ended early".to_owned()))).collect()
    })
}
