//! Runs a throw-away PostgreSQL server.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;

use crate::owned::{Launch, Owned, on_a_free_port};
use crate::tool;

/// Where Debian installs each release.
const RELEASES: &str = "/usr/lib/postgresql";
/// The account that Debian's package makes. PostgreSQL refuses to run as root.
const ACCOUNT: &str = "postgres";
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// The protocol's version 3.0.
const PROTOCOL: u32 = 3 << 16;

/// Owns a private PostgreSQL server; see [`Owned`] for its lifetime. Every commit
/// is synced to disk, as by default.
pub type Postgres = Owned<PostgresAddr>;

/// Names where a [`Postgres`] listens.
#[derive(Clone, Copy, Debug)]
pub struct PostgresAddr {
    port: u16,
}

impl Postgres {
    /// Starts a server with further flags, such as `&["-c", "max_connections=50"]`,
    /// and waits until it answers.
    ///
    /// # Panics
    ///
    /// Panics with the tail of the server's log when it does not answer within
    /// 60 seconds, for example because PostgreSQL is not installed.
    #[must_use]
    #[track_caller]
    pub fn start_with(flags: &[&str]) -> Postgres {
        on_a_free_port(|port| {
            let owned = Owned::new("stockade-postgres-", PostgresAddr { port }, |folder| {
                let mut command = prepare(folder)?;
                command.extend(["-D".into(), folder.join("data").into(), "-k".into()]);
                command.extend([folder.into(), "-h".into(), "127.0.0.1".into(), "-p".into()]);
                command.push(port.to_string().into());
                command.extend(flags.iter().map(OsString::from));
                Ok(Launch { name: "PostgreSQL", command, answers })
            })?;
            owned.server.launch()?;
            Ok(owned)
        })
    }
}

impl PostgresAddr {
    /// Returns the URL of its database, as in
    /// `postgres://postgres@127.0.0.1:15432/postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{ACCOUNT}@{}:{}/{ACCOUNT}", Ipv4Addr::LOCALHOST, self.port)
    }
}

/// Makes the data and returns the command of the server.
fn prepare(folder: &Path) -> Result<Vec<OsString>, String> {
    let programs = programs()?;
    let mut wrapper: Vec<OsString> = Vec::new();
    if geteuid().is_root() {
        let id = |kind: &str| {
            let mut command = tool::command("id");
            command.args([kind, ACCOUNT]);
            let printed = tool::run(command, "")?;
            printed.parse::<u32>().map_err(|_| format!("{ACCOUNT} has no id: {printed}"))
        };
        chown(folder, Some(id("-u")?), Some(id("-g")?))
            .map_err(|cause| format!("failed to give {} away: {cause}", folder.display()))?;
        let account = ["setpriv", "--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"];
        // A change of the account clears the parent-death signal.
        wrapper.extend(account.iter().chain(&["setpriv", "--pdeathsig", "KILL"]).map(Into::into));
    }
    let line = |program: &str| {
        let mut line = wrapper.clone();
        line.push(programs.join(program).into());
        line
    };
    let mut initdb = tool::command_line(&line("initdb"));
    initdb.arg("-D").arg(folder.join("data")).args(["-U", ACCOUNT, "-A", "trust", "-N"]);
    initdb.args(["--locale=C", "-E", "UTF8"]);
    tool::run(initdb, "")?;
    Ok(line("postgres"))
}

/// The folder of the newest installed release's programs.
fn programs() -> Result<PathBuf, String> {
    let releases = fs::read_dir(RELEASES).into_iter().flatten().flatten();
    let number = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = releases.map(|entry| entry.path()).filter(|folder| number(folder).is_some());
    let newest = newest.max_by_key(number).map(|folder| folder.join("bin"));
    newest.ok_or_else(|| format!("there is no PostgreSQL in {RELEASES}: run .ci/deps"))
}

// A server that is starting up accepts connections and answers with an error.
fn answers(socket: &Path) -> bool {
    let Some(folder) = socket.parent() else { return false };
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_socket = |name: &str| name.starts_with(".s.PGSQL.") && !name.ends_with(".lock");
    let mut sockets = files.filter(|file| file.file_name().to_str().is_some_and(is_socket));
    let Some(socket) = sockets.next() else { return false };
    let parameters = format!("user\0{ACCOUNT}\0\0");
    let length = u32::try_from(8 + parameters.len()).unwrap_or(0);
    let mut reply = [0_u8; 1];
    let read = UnixStream::connect(socket.path()).and_then(|mut stream| {
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(&PROTOCOL.to_be_bytes())?;
        stream.write_all(parameters.as_bytes())?;
        stream.read_exact(&mut reply)
    });
    read.is_ok() && reply == *b"R"
}
