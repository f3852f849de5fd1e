//! Runs a throw-away MariaDB Galera cluster.

use std::ffi::OsString;
use std::fs;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::nodes::{NODES, Nodes, become_synced, side_by_side};
use crate::owned::on_a_free_port;
use crate::port::free_port;
use crate::sql::{Flavour, SqlServer, flag, user};
use crate::tool;

const PROVIDERS: [&str; 2] =
    ["/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so"];

// A joining node's rsync daemon drops from root to nobody and then cannot read
// the folder. When the kit runs as root, these two scripts replace the usual one.
const SST_AS_ROOT: &str =
    "#!/bin/sh\nPATH=\"$(dirname \"$0\"):$PATH\" exec wsrep_sst_rsync \"$@\"\n";
const RSYNC_AS_ROOT: &str = "#!/bin/sh\ncase \" $* \" in\n\
    *\" --daemon \"*) set -- --dparam=uid=root --dparam=gid=root \"$@\" ;;\nesac\n\
    PATH=\"${PATH#*:}\" exec rsync \"$@\"\n";

/// Owns a MariaDB Galera cluster of three nodes, each with a folder and
/// loopback ports of its own. Dropping it kills them all.
///
/// Each node is configured as [`MariaDb`](crate::MariaDb)'s servers and flushes
/// its log at each commit. The others suspect a node after two seconds of
/// silence. A returning node catches up from another by incremental or full state
/// transfer.
#[derive(Debug)]
pub struct Galera {
    nodes: Nodes,
}

/// A node's recovered replication position: the history's UUID and the sequence
/// number of its last transaction.
struct RecoveredPosition {
    history: String,
    number: i64,
}

/// The ports of a node: clients, group communication, incremental and full state
/// transfer.
struct Ports {
    sql: u16,
    group: u16,
    ist: u16,
    sst: u16,
}

impl Galera {
    /// Starts the nodes and waits until all are synchronized, about ten seconds.
    ///
    /// # Panics
    ///
    /// Panics with the tail of a node's log when they are not within two
    /// minutes.
    #[must_use]
    #[track_caller]
    pub fn start() -> Galera {
        on_a_free_port(|_| Galera::try_start())
    }

    fn try_start() -> Result<Galera, String> {
        let ports: Vec<Ports> = (0..NODES).map(|_| Ports::free()).collect();
        let hosts: Vec<String> = ports.iter().map(|p| format!("127.0.0.1:{}", p.group)).collect();
        let hosts = hosts.join(",");
        let nodes = side_by_side(&ports, |ports| prepare(ports, &hosts));
        let nodes = nodes.into_iter().collect::<Result<Vec<SqlServer>, _>>()?;
        nodes[0].server.launch_with(&[OsString::from("--wsrep-new-cluster")])?;
        become_synced(&nodes[0], is_synced)?;
        side_by_side(&nodes[1..], join).into_iter().collect::<Result<(), _>>()?;
        Ok(Galera { nodes: Nodes::new(nodes) })
    }

    /// Returns whether a node belongs to the primary component and is
    /// synchronized.
    #[must_use]
    pub fn is_synced(&self, node: usize) -> bool {
        self.is_up(node) && is_synced(&self.servers()[node])
    }

    /// Waits until a node is synchronized with the cluster.
    ///
    /// # Panics
    ///
    /// Panics when it is not within two minutes.
    #[track_caller]
    pub fn wait_synced(&self, node: usize) {
        if let Err(cause) = become_synced(&self.servers()[node], is_synced) {
            panic!("{cause}");
        }
    }

    /// Restarts a killed node with its data, and waits until it has caught up.
    ///
    /// # Panics
    ///
    /// Panics with the tail of its log when that fails.
    #[track_caller]
    pub fn restart(&self, node: usize) {
        self.kill(node);
        let node = &self.servers()[node];
        let started = recovered(node).and_then(|position| start_at(node, &position, None));
        if let Err(cause) = started.and_then(|()| become_synced(node, is_synced)) {
            panic!("{cause}");
        }
    }

    /// Restarts a killed node without its replication position, so that it needs
    /// a full state transfer, and waits for that.
    ///
    /// # Panics
    ///
    /// As [`restart`](Galera::restart).
    #[track_caller]
    pub fn restart_by_copy(&self, node: usize) {
        self.kill(node);
        let node = &self.servers()[node];
        for name in ["grastate.dat", "gvwstate.dat", "galera.cache"] {
            // A missing file is fine.
            let _ = fs::remove_file(node.server.folder().join("data").join(name));
        }
        if let Err(cause) = join(node) {
            panic!("{cause}");
        }
    }

    /// After a kill of all nodes, bootstraps the most advanced one, as the manual
    /// prescribes, and waits until it serves alone. Returns its number; then
    /// [`restart`](Galera::restart) the others.
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
        let positions = side_by_side(self.servers(), |node| {
            node.kill();
            recovered(node)
        });
        let positions = positions.into_iter().collect::<Result<Vec<RecoveredPosition>, _>>()?;
        let furthest =
            positions.iter().enumerate().rev().max_by_key(|(_, position)| position.number);
        let (first, position) = furthest.ok_or("there are no nodes")?;
        let node = &self.servers()[first];
        let state = node.server.folder().join("data/grastate.dat");
        let text = fs::read_to_string(&state).map_err(|cause| format!("grastate.dat: {cause}"))?;
        let text = text.replace("safe_to_bootstrap: 0", "safe_to_bootstrap: 1");
        fs::write(&state, text).map_err(|cause| format!("grastate.dat: {cause}"))?;
        start_at(node, position, Some("--wsrep-new-cluster"))?;
        become_synced(node, is_synced)?;
        Ok(first)
    }

    /// Isolates a node from the others (true), or reunites it (false). It still
    /// serves clients, as far as an isolated node can.
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

impl Deref for Galera {
    type Target = Nodes;

    fn deref(&self) -> &Nodes {
        &self.nodes
    }
}

fn prepare(ports: &Ports, hosts: &str) -> Result<SqlServer, String> {
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
    SqlServer::prepare(Flavour::MariaDb, *sql, &flags, |folder| {
        if user().is_none() {
            return Ok(Vec::new());
        }
        let scripts = folder.join("scripts");
        write_scripts(&scripts).map_err(|cause| format!("no scripts: {cause}"))?;
        let mut path = OsString::from("PATH=");
        path.extend([tool::path(), OsString::from(":"), scripts.into_os_string()]);
        Ok(vec!["env".into(), path])
    })
}

fn join(node: &SqlServer) -> Result<(), String> {
    node.server.launch()?;
    become_synced(node, is_synced)
}

fn is_synced(node: &SqlServer) -> bool {
    let sql = "SHOW STATUS WHERE Variable_name IN \
               ('wsrep_cluster_status', 'wsrep_local_state_comment', 'wsrep_ready')";
    node.try_query(sql)
        .is_ok_and(|rows| ["\tPrimary", "\tSynced", "\tON"].iter().all(|word| rows.contains(word)))
}

/// Recovers the replication position of a killed node.
fn recovered(node: &SqlServer) -> Result<RecoveredPosition, String> {
    let log = node.server.folder().join("recover.log");
    // A missing file is fine.
    let _ = fs::remove_file(&log);
    let mut command = tool::command_line(node.server.command());
    command.arg("--wsrep-recover").arg(flag("--log-error=", &log));
    tool::run(command, "")?;
    let text = fs::read_to_string(&log).map_err(|cause| format!("recover.log: {cause}"))?;
    let position = text.lines().rev().find_map(|line| line.split_once("Recovered position: "));
    let (_, position) = position.ok_or_else(|| format!("no position recovered:\n{text}"))?;
    let (history, number) = position.trim().rsplit_once(':').unwrap_or((position, "-1"));
    let number = number.split(',').next().unwrap_or_default().parse().unwrap_or(-1);
    Ok(RecoveredPosition { history: history.to_owned(), number })
}

fn start_at(
    node: &SqlServer,
    position: &RecoveredPosition,
    how: Option<&str>,
) -> Result<(), String> {
    let RecoveredPosition { history, number } = position;
    let mut further = vec![OsString::from(format!("--wsrep-start-position={history}:{number}"))];
    further.extend(how.map(OsString::from));
    node.server.launch_with(&further)
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
