//! Runs commands to completion within a time limit.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use crate::wait::holds_within;

/// Bounds a client or an install: a paused server must fail the test, not hang
/// it.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Prepares `program` with an environment of ours: server binaries are found
/// though `/usr/sbin` is not on a user's path, messages are in English, and no
/// password from the outside reaches a client.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .env("PATH", path())
        .env("LC_ALL", "C")
        .env_remove("MYSQL_PWD")
        .env_remove("REDISCLI_AUTH");
    command
}

/// Prepares a program with the arguments that always go with it.
pub(crate) fn command_line(line: &[OsString]) -> Command {
    let mut words = line.iter();
    let mut command = command(words.next().map_or(OsStr::new(""), OsString::as_os_str));
    command.args(words);
    command
}

pub(crate) fn path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(OsStr::new(":/usr/local/sbin:/usr/sbin:/sbin"));
    path
}

/// Returns the path of an installed program. A path stands for itself.
pub(crate) fn find(program: impl AsRef<Path>) -> Option<PathBuf> {
    let program = program.as_ref();
    env::split_paths(&path()).map(|folder| folder.join(program)).find(|path| path.exists())
}

/// Runs `command` with `input` on its standard input and returns what it
/// printed, without the last line end.
///
/// # Errors
///
/// Says what failed, with everything the command printed: it could not be
/// started, it ended with another code than 0, or it took longer than `BOUND`.
pub(crate) fn run(mut command: Command, input: &str) -> Result<String, String> {
    let name = command.get_program().display().to_string();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|cause| format!("failed to run {name}: {cause}"))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // All three pipes concurrently: a full one would block the child.
    let (status, printed, complained) = thread::scope(|scope| {
        let printed = scope.spawn(|| read_all(stdout));
        let complained = scope.spawn(|| read_all(stderr));
        scope.spawn(|| {
            // A client that gives up early closes its input; its exit code
            // says so better than the broken pipe does.
            stdin.map(|mut pipe| pipe.write_all(input.as_bytes()))
        });
        let status = wait(&mut child);
        (status, printed.join(), complained.join())
    });
    let printed = printed.unwrap_or_default();
    let complained = complained.unwrap_or_default();
    match status {
        Some(status) if status.success() => Ok(printed.trim_end_matches('\n').to_owned()),
        Some(status) => Err(format!("{name} ended with {status}: {complained}{printed}")),
        None => Err(format!("{name} did not end within {BOUND:?}: {complained}{printed}")),
    }
}

fn read_all(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // Output read before an error is still useful.
        let _ = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

// Kills the child at the bound, which also ends the threads on its pipes.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let mut status = None;
    holds_within(BOUND, || {
        status = child.try_wait().ok().flatten();
        status.is_some()
    });
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    status
}

#[cfg(test)]
mod tests {
    use super::{command, run};

    #[test]
    fn run_returns_stdout() {
        assert_eq!(run(command("cat"), "one\ntwo\n"), Ok("one\ntwo".to_owned()));
    }

    #[test]
    fn failed_command_reports_its_stderr() {
        let mut failing = command("sh");
        failing.args(["-c", "echo out; echo wrong >&2; exit 3"]);
        let message = run(failing, "").err().unwrap_or_default();
        assert!(message.contains("wrong"), "{message}");
        assert!(message.contains("out"), "{message}");
        assert!(message.contains('3'), "{message}");
    }

    #[test]
    fn missing_program_error_names_it() {
        let message = run(command("no-such-program"), "").err().unwrap_or_default();
        assert!(message.contains("no-such-program"), "{message}");
    }

    #[test]
    fn large_input_and_output_do_not_deadlock() {
        let text = "x".repeat(1 << 20);
        assert_eq!(run(command("cat"), &text).map(|out| out.len()), Ok(1 << 20));
    }
}
