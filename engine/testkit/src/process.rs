//! Starts, signals and ends a server process.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::folder::Folder;
use crate::tool;
use crate::wait::holds_within;

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(10);
const LOG_TAIL_BYTES: usize = 4096;

/// A server: its folder, its command line, and its process while it runs.
/// Dropping it kills the process and removes the folder.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    // The program and its arguments.
    command: Vec<OsString>,
    folder: Folder,
    // Readiness check on the unix socket. The socket lies in this server's
    // folder, so no other process that took the port can answer.
    answers: fn(&Path) -> bool,
    // Guards start and end; `None` while the server is down. A plain mutex:
    // callers block anyway.
    child: Mutex<Option<Child>>,
}

/// Why a server did not start, and whether it ended by SIGABRT.
struct StartError {
    why: String,
    has_aborted: bool,
}

impl Server {
    pub(crate) fn new(
        name: &'static str,
        command: Vec<OsString>,
        folder: Folder,
        answers: fn(&Path) -> bool,
    ) -> Server {
        Server { name, command, folder, answers, child: Mutex::new(None) }
    }

    /// Starts the process and waits until it answers on its socket.
    ///
    /// # Errors
    ///
    /// Says why the server does not answer, with the tail of its log. The
    /// process is then gone.
    pub(crate) fn launch(&self) -> Result<(), String> {
        self.launch_with(&[])
    }

    /// Starts the server as [`launch`](Server::launch) does, with further
    /// arguments. Restarts it once after an abort, as a supervisor does: MariaDB
    /// sometimes aborts in crash recovery.
    pub(crate) fn launch_with(&self, further: &[OsString]) -> Result<(), String> {
        self.launch_once(further).or_else(|failed| {
            if !failed.has_aborted {
                return Err(failed.why);
            }
            eprintln!("{}\nIt is started once more.", failed.why);
            self.launch_once(further).map_err(|failed| failed.why)
        })
    }

    fn launch_once(&self, further: &[OsString]) -> Result<(), StartError> {
        let fails = |why: &str| StartError { why: self.failure(why), has_aborted: false };
        let mut slot = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        end(&mut slot);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .and_then(|log| Ok((log.try_clone()?, log)));
        let (output, errors) = log.map_err(|cause| fails(&format!("no log file: {cause}")))?;
        // setpriv sets the parent-death signal and then execs the server, so the
        // process id is the server's.
        let mut command = tool::command("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .args(&self.command)
            .args(further)
            .current_dir(self.folder.path())
            // In its own process group: Ctrl-C signals the whole group, and the
            // tests must end before their server.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        let child = spawn(command).map_err(|cause| fails(&cause.to_string()))?;
        let child = slot.insert(child);
        let socket = self.socket_path();
        let mut gone = None;
        let answered = holds_within(READY_WITHIN, || {
            gone = child.try_wait().ok().flatten();
            gone.is_some() || (self.answers)(&socket)
        });
        match gone {
            None if answered => return Ok(()),
            None => end(&mut slot),
            Some(_) => *slot = None,
        }
        let has_aborted = gone.and_then(|status| status.signal()) == Some(Signal::ABORT.as_raw());
        let why = match gone {
            Some(status) => format!("it ended with {status}"),
            None => format!("it did not answer within {READY_WITHIN:?}"),
        };
        Err(StartError { why: self.failure(&why), has_aborted })
    }

    /// The command line.
    pub(crate) fn command(&self) -> &[OsString] {
        &self.command
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns whether the process runs, neither killed nor stopped.
    pub(crate) fn is_up(&self) -> bool {
        let slot = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().is_some_and(|child| state(child.id()) != Some('T'))
    }

    pub(crate) fn socket_path(&self) -> PathBuf {
        self.folder.path().join("server.sock")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    pub(crate) fn failure(&self, why: &str) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(LOG_TAIL_BYTES)..];
        let tail = String::from_utf8_lossy(tail);
        format!("failed to start {}: {why}; its log ends:\n{tail}", self.name)
    }

    /// Returns the id of the running process.
    #[track_caller]
    pub(crate) fn pid(&self) -> u32 {
        let slot = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.as_ref() {
            Some(child) => child.id(),
            None => panic!("{} is not running", self.name),
        }
    }

    /// Kills the process with SIGKILL and waits until it is gone. Does nothing
    /// when there is none.
    pub(crate) fn kill(&self) {
        end(&mut self.child.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Stops the process with SIGSTOP and returns when it has stopped.
    #[track_caller]
    pub(crate) fn pause(&self) {
        let pid = self.signal(Signal::STOP);
        if !holds_within(STOPPED_WITHIN, || state(pid) == Some('T')) {
            panic!("{} did not stop within {STOPPED_WITHIN:?}", self.name);
        }
    }

    /// Resumes a stopped process with SIGCONT.
    #[track_caller]
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    // The lock is held, so the child cannot be reaped and its id cannot be reused
    // meanwhile.
    #[track_caller]
    fn signal(&self, signal: Signal) -> u32 {
        let slot = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(child) = slot.as_ref() else { panic!("{} is not running", self.name) };
        if let Err(cause) = kill_process(Pid::from_child(child), signal) {
            panic!("failed to signal {}: {cause}", self.name);
        }
        child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn end(slot: &mut Option<Child>) {
    if let Some(mut child) = slot.take() {
        // Fails only if the process has ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

// The letter after the name in parentheses; the name may contain parentheses.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

type SpawnRequest = (Command, Sender<io::Result<Child>>);

// The kernel sends the parent-death signal when the *thread* that started the
// child ends, and a test's thread ends before a shared server. So one thread that
// never ends starts all servers.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<SpawnRequest>>> = OnceLock::new();
    let requests = SPAWNER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<SpawnRequest>();
        thread::spawn(move || {
            for (mut command, reply) in requests {
                // The requester waits for the reply. If its thread has ended, the
                // child is not needed, and the parent-death signal ends it.
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (reply, answer) = mpsc::channel();
    let gone = || io::Error::other("the spawning thread is gone");
    let sent = requests.lock().unwrap_or_else(PoisonError::into_inner).send((command, reply));
    sent.map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(script: &str) -> Server {
        let folder = Folder::new("stockade-process-").expect("a folder");
        let command = ["sh", "-c", script].map(OsString::from).into();
        let answers = |socket: &Path| socket.with_file_name("ready").exists();
        Server::new("a server", command, folder, answers)
    }

    #[test]
    fn aborted_start_is_retried_exactly_once() {
        let once = "[ -e tried ] && { touch ready; exec sleep 60; }; touch tried; kill -ABRT $$";
        let once = server(once);
        assert_eq!(once.launch(), Ok(()));
        assert!(once.is_up());
        let always = server("echo again; kill -ABRT $$");
        let why = always.launch().expect_err("it aborts");
        assert_eq!(why.matches("again").count(), 2, "{why}");
        let failing = server("echo again; exit 1");
        let why = failing.launch().expect_err("it fails");
        assert_eq!(why.matches("again").count(), 1, "{why}");
    }
}
