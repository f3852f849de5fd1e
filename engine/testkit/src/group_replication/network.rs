//! Creates a private network: a Linux network namespace per node, joined by a
//! bridge, so that the network can be partitioned for one node.
//!
//! A user namespace owns them all, so no privilege is needed where users may
//! create one. A namespace exists while a process is in it: here a `cat`, which
//! ends when its input pipe closes, and so at the latest when the process that
//! created the network ends.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Stdio};

use crate::tool;

/// The addresses of the network; nothing outside of it sees them.
pub(super) const SUBNET: &str = "10.77.0.0/24";

const NEEDS: &str = "It takes unshare and nsenter (util-linux) and ip (iproute2), which .ci/deps \
    installs, and a system that lets this user create user and network namespaces";

/// Owns a network of numbered nodes. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Network {
    // Where the bridge is.
    switch: Namespace,
    nodes: Vec<Namespace>,
}

/// Owns the process that keeps a network namespace in existence.
#[derive(Debug)]
struct Namespace {
    holder: Child,
    // `None` only while being dropped.
    line: Option<ChildStdin>,
}

impl Network {
    /// Makes a network of so many nodes, all of which reach each other.
    ///
    /// # Errors
    ///
    /// Says what failed, and what the system must offer.
    pub(super) fn new(nodes: usize) -> Result<Network, String> {
        Network::make(nodes).map_err(|cause| {
            let cause = cause.trim_end();
            format!("failed to make a network of {nodes} network namespaces: {cause}. {NEEDS}.")
        })
    }

    fn make(nodes: usize) -> Result<Network, String> {
        let switch = Namespace::hold(&["unshare", "--user", "--map-root-user", "--net"])?;
        let user = format!("--user=/proc/{}/ns/user", switch.holder.id());
        let beside = ["nsenter", "--preserve-credentials", &user, "--", "unshare", "--net"];
        let nodes = (0..nodes).map(|_| Namespace::hold(&beside));
        let network = Network { switch, nodes: nodes.collect::<Result<_, _>>()? };
        let mut links = "link add name group type bridge\nlink set dev group up\n".to_owned();
        for (number, node) in network.nodes.iter().enumerate() {
            let holder = node.holder.id();
            links += &format!(
                "link add name node{number} type veth peer name eth0 netns {holder}\n\
                 link set dev node{number} master group up\n"
            );
        }
        network.configure(&network.switch, &links)?;
        for (number, node) in network.nodes.iter().enumerate() {
            let address = address(number);
            let links = format!(
                "link set dev lo up\naddress add {address}/24 dev eth0\nlink set dev eth0 up\n"
            );
            network.configure(node, &links)?;
        }
        Ok(network)
    }

    /// Returns the beginning of a command line that runs a program in a node's
    /// namespaces, as the user namespace's root.
    pub(super) fn command_prefix(&self, node: usize) -> Vec<OsString> {
        self.inside(&self.nodes[node])
    }

    /// Connects a node's port to the bridge (true), or takes it from the bridge
    /// (false). The node's link stays up either way, as when a switch further
    /// away fails, and the kernel drops what is sent over it.
    ///
    /// # Errors
    ///
    /// Says what failed.
    pub(super) fn connect(&self, node: usize, connect: bool) -> Result<(), String> {
        let master = if connect { "master group" } else { "nomaster" };
        self.configure(&self.switch, &format!("link set dev node{node} {master}\n"))
    }

    fn inside(&self, namespace: &Namespace) -> Vec<OsString> {
        let (owner, holder) = (self.switch.holder.id(), namespace.holder.id());
        let words = [
            "nsenter",
            // The user is root inside already; to drop groups may be forbidden.
            "--preserve-credentials",
            &format!("--user=/proc/{owner}/ns/user"),
            &format!("--net=/proc/{holder}/ns/net"),
            "--",
        ];
        words.map(OsString::from).into()
    }

    fn configure(&self, namespace: &Namespace, links: &str) -> Result<(), String> {
        let mut line = self.inside(namespace);
        line.extend(["ip", "-batch", "-"].map(OsString::from));
        tool::run(tool::command_line(&line), links).map(drop)
    }
}

impl Namespace {
    /// Starts a holder by a command that makes the namespace and then becomes
    /// the program it is given.
    fn hold(make: &[&str]) -> Result<Namespace, String> {
        let line: Vec<OsString> = make.iter().chain(&["--", "cat"]).map(OsString::from).collect();
        let mut holder = tool::command_line(&line)
            // In its own process group, as the servers that it outlives.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|cause| format!("failed to run {}: {cause}", make[0]))?;
        let (output, errors) = (holder.stdout.take(), holder.stderr.take());
        let mut namespace = Namespace { line: holder.stdin.take(), holder };
        // The echo proves that cat runs in the namespace.
        let sent = namespace.line.as_mut().map(|line| line.write_all(b"\n"));
        let mut answer = String::new();
        let read = output.map(|output| BufReader::new(output).read_line(&mut answer));
        if matches!((sent, read), (Some(Ok(())), Some(Ok(1)))) {
            return Ok(namespace);
        }
        drop(namespace);
        let mut complaint = String::new();
        // Output read before an error is still useful.
        let _ = errors.map(|mut errors| errors.read_to_string(&mut complaint));
        Err(format!("{} made no namespace: {}", make.join(" "), complaint.trim_end()))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.line.take());
        // Waiting only avoids a zombie; errors are ignored.
        let _ = self.holder.wait();
    }
}

/// Returns the address of a node.
pub(super) fn address(node: usize) -> String {
    format!("10.77.0.{}", node + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wait::wait_until;

    fn reaches(network: &Network, from: usize, to: usize) -> bool {
        let mut line = network.command_prefix(from);
        let connect = format!("exec 3<>/dev/tcp/{}/9", address(to));
        line.extend(["timeout", "1", "bash", "-c", &connect].map(OsString::from));
        // Nothing listens there: a refusal is an answer.
        tool::run(tool::command_line(&line), "").is_err_and(|why| why.contains("refused"))
    }

    /// The kernel retries failed neighbour resolution after a second or more.
    #[track_caller]
    fn wait_to_reach(network: &Network, from: usize, to: usize) {
        let what = format!("node {from} reaches node {to}");
        wait_until(&what, Duration::from_secs(30), || reaches(network, from, to));
    }

    #[test]
    fn partitioned_node_reaches_others_only_after_reconnect() {
        let network = Network::new(3).expect("a network");
        wait_to_reach(&network, 0, 1);
        network.connect(0, false).expect("a cut");
        assert!(!reaches(&network, 0, 1));
        assert!(!reaches(&network, 2, 0));
        wait_to_reach(&network, 1, 2);
        wait_to_reach(&network, 0, 0);
        network.connect(0, true).expect("a connection");
        wait_to_reach(&network, 0, 1);
        wait_to_reach(&network, 2, 0);
    }

    #[test]
    fn failed_namespace_command_reports_its_stderr() {
        let why = Namespace::hold(&["sh", "-c", "echo forbidden >&2; exit 1"]).err();
        assert!(why.as_ref().is_some_and(|why| why.contains("forbidden")), "{why:?}");
        let why = Namespace::hold(&["no-such-program"]).err();
        assert!(why.as_ref().is_some_and(|why| why.contains("no-such-program")), "{why:?}");
    }
}
