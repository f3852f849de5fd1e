//! A server process: start, signals, end.

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

/// A server of ours: its folder, how to start it, and its process while there
/// is one. Dropping it kills the process and removes the folder.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    // The program and its arguments.
    command: Vec<OsString>,
    folder: Folder,
    // Says whether the server behind this unix socket answers. The socket lies
    // in our folder, so an answer can only come from our own server, whoever
    // else may have taken the port.
    answers: fn(&Path) -> bool,
    // Guards start and end; `None` while the server is down.
    child: Mutex<Option<Child>>,
}

/// Why a server did not start, and whether it ended itself by SIGABRT.
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

    /// Starts it as [`launch`](Server::launch) does, this time with further
    /// arguments. One that aborts itself meanwhile is started once more, as
    /// whoever watches over a server does: now and then MariaDB does so on what
    /// it was killed on.
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
        // setpriv asks for the signal and then becomes the server, so the
        // process id is the server's.
        let mut command = tool::command("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .args(&self.command)
            .args(further)
            .current_dir(self.folder.path())
            // Ctrl-C in a terminal goes to the whole group; the tests that use
            // the server shall end first.
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

    /// What is run: the program and its arguments.
    pub(crate) fn command(&self) -> &[OsString] {
        &self.command
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Says whether the process runs, neither killed nor stopped by SIGSTOP.
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

    /// Stops the process with SIGSTOP and returns when it stands still.
    #[track_caller]
    pub(crate) fn pause(&self) {
        let pid = self.signal(Signal::STOP);
        if !holds_within(STOPPED_WITHIN, || state(pid) == Some('T')) {
            panic!("{} did not stop within {STOPPED_WITHIN:?}", self.name);
        }
    }

    /// Lets a stopped process go on, with SIGCONT.
    #[track_caller]
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    // The lock is held, so the child is not reaped meanwhile and its id cannot
    // belong to anybody else.
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
        // It fails only if the process is gone already, which is what we want.
        let _ = child.kill();
        let _ = child.wait();
    }
}

// The letter after the name in parentheses; the name may itself hold any.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

type SpawnRequest = (Command, Sender<io::Result<Child>>);

// The kernel sends the parent-death signal when the *thread* that started the
// child ends, and a test's thread ends before a server it shares. So one thread
// that never ends starts them all.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<SpawnRequest>>> = OnceLock::new();
    let requests = SPAWNER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<SpawnRequest>();
        thread::spawn(move || {
            for (mut command, reply) in requests {
                // Whoever asked is waiting; if its thread is gone, so is the
                // need for the child, and dropping the handle leaves it to the
                // parent-death signal.
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
    fn a_server_that_aborts_as_it_starts_is_started_once_more_and_no_oftener() {
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
