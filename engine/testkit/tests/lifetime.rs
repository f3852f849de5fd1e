//! Tests that no server, helper process or folder outlives its owner.

use std::env;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use stockade_testkit::{ENV_MARIADB, ENV_MYSQL, ENV_REDIS, MariaDb, MySql, Redis, wait_until};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(90);
const RUNNER: &str = env!("CARGO_BIN_EXE_stockade-testkit");
const CHILD: &str = "STOCKADE_TESTKIT_CHILD";

/// Lists the processes that work in `folder` or name it on their command line.
fn processes_of(folder: &Path) -> Vec<PathBuf> {
    let folder_bytes = folder.as_os_str().as_encoded_bytes();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .map(|entry| entry.path())
        .filter(|process| {
            let inside =
                fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            inside || line.windows(folder_bytes.len()).any(|window| window == folder_bytes)
        })
        .collect()
}

/// The folder made for the server; it works there or in a folder inside.
fn folder_of(pid: u32) -> io::Result<PathBuf> {
    let cwd = fs::read_link(format!("/proc/{pid}/cwd"))?;
    let ours = |folder: &&Path| {
        let name = folder.file_name().unwrap_or_default();
        name.as_encoded_bytes().starts_with(b"stockade-")
    };
    let found = cwd.ancestors().find(ours).map(Path::to_path_buf);
    found.ok_or_else(|| io::Error::other(format!("{} is no folder of ours", cwd.display())))
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// A folder that stands in for /tmp in a child process, so that everything the
/// child leaves behind can be found.
fn stage() -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("stage-").tempdir()
}

fn command_on(stage: &TempDir, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("TMPDIR", stage.path());
    [ENV_MARIADB, ENV_MYSQL, ENV_REDIS].iter().for_each(|name| {
        command.env_remove(name);
    });
    command
}

fn wait_until_deserted(stage: &TempDir) {
    wait_until("no process of the stage is left", PATIENCE, || {
        processes_of(stage.path()).is_empty()
    });
    assert!(is_empty(stage.path()), "{:?}", fs::read_dir(stage.path()).map(|all| all.count()));
}

/// Dropping a value ends the server and its helper at once, and the folder.
#[test]
fn dropped_server_leaves_no_process_and_no_folder() -> io::Result<()> {
    let (mariadb, mysql, redis) = (MariaDb::start(), MySql::start(), Redis::start());
    let folders = [folder_of(mariadb.pid())?, folder_of(mysql.pid())?, folder_of(redis.pid())?];
    for folder in &folders {
        // The server and the watchdog.
        assert_eq!(processes_of(folder).len(), 2, "{folder:?}");
    }
    drop((mariadb, mysql, redis));
    for folder in &folders {
        assert_eq!(processes_of(folder), Vec::<PathBuf>::new());
        assert!(!folder.exists());
    }
    Ok(())
}

/// The same for a server that is paused, and for one that was killed.
#[test]
fn a_paused_or_killed_server_is_dropped_as_well() -> io::Result<()> {
    let (paused, killed) = (Redis::start(), Redis::start());
    let folders = [folder_of(paused.pid())?, folder_of(killed.pid())?];
    paused.pause();
    killed.kill();
    drop((paused, killed));
    for folder in &folders {
        assert_eq!(processes_of(folder), Vec::<PathBuf>::new());
        assert!(!folder.exists());
    }
    Ok(())
}

/// The kernel watches the thread that started a server. It must not be the
/// test's own, or a shared server would die with the first test that used it.
#[test]
fn server_outlives_the_requesting_thread() {
    let redis = thread::spawn(Redis::start).join().unwrap_or_else(|_| Redis::start());
    thread::sleep(Duration::from_millis(300));
    assert_eq!(redis.command(&["PING"]), "PONG");
}

/// Starts this very test again in a process that uses all shared servers, and
/// lets that process end by its own exit or by SIGKILL.
fn shared_servers_die_with_their_process(test: &str, kill: bool) -> io::Result<()> {
    let stage = stage()?;
    let marker = stage.path().join("ready");
    let mut child = command_on(&stage, &env::current_exe()?)
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, &marker)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    wait_until("the shared servers run", PATIENCE, || marker.exists());
    fs::remove_file(&marker)?;
    // Three servers and three watchdogs.
    assert_eq!(processes_of(stage.path()).len(), 6);
    if kill {
        child.kill()?;
        assert_eq!(child.wait()?.signal(), Some(9));
    } else {
        drop(child.stdin.take());
        assert!(child.wait()?.success());
    }
    wait_until_deserted(&stage);
    Ok(())
}

/// In the child: uses the servers, says so, and waits to be let go.
fn use_shared_servers(marker: &Path) -> io::Result<()> {
    assert_eq!(MariaDb::shared().query("SELECT 1"), "1");
    assert_eq!(MySql::shared().query("SELECT 1"), "1");
    assert_eq!(Redis::shared().command(&["PING"]), "PONG");
    fs::write(marker, b"")?;
    io::stdin().read_line(&mut String::new()).map(drop)
}

#[test]
fn shared_servers_die_when_their_process_exits() -> io::Result<()> {
    match env::var_os(CHILD) {
        Some(marker) => use_shared_servers(Path::new(&marker)),
        None => shared_servers_die_with_their_process(
            "shared_servers_die_when_their_process_exits",
            false,
        ),
    }
}

#[test]
fn shared_servers_die_when_their_process_is_killed() -> io::Result<()> {
    match env::var_os(CHILD) {
        Some(marker) => use_shared_servers(Path::new(&marker)),
        None => shared_servers_die_with_their_process(
            "shared_servers_die_when_their_process_is_killed",
            true,
        ),
    }
}

fn run(stage: &TempDir, script: &str) -> io::Result<Child> {
    command_on(stage, Path::new(RUNNER))
        .args(["run", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// The runner's command finds all servers by their variables, its output and
/// exit code come through, and nothing is left.
#[test]
fn runner_passes_servers_and_returns_exit_code() -> io::Result<()> {
    let stage = stage()?;
    let script = format!(
        "redis-cli -p ${ENV_REDIS} PING
         mariadb --no-defaults -h127.0.0.1 -P${ENV_MARIADB} -uroot -Ne 'SELECT 6 * 7'
         mariadb --no-defaults -h127.0.0.1 -P${ENV_MYSQL} -uroot -Ne 'SELECT 6 * 9'
         exit 7"
    );
    let output = run(&stage, &script)?.wait_with_output()?;
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "PONG\n42\n54\n");
    assert!(processes_of(stage.path()).is_empty());
    assert!(is_empty(stage.path()));
    Ok(())
}

/// A test under the runner gets the runner's servers rather than its own.
#[test]
fn shared_servers_come_from_environment_variables() -> io::Result<()> {
    if let Some(ports) = env::var_os(CHILD) {
        let (mariadb, mysql) = (MariaDb::shared().port(), MySql::shared().port());
        let found = format!("{mariadb} {mysql} {}", Redis::shared().port());
        assert_eq!(ports.to_str(), Some(found.as_str()));
        assert_eq!(MariaDb::shared().query("SELECT 1"), "1");
        return Ok(());
    }
    let stage = stage()?;
    let test = env::current_exe()?;
    let script = format!(
        "{CHILD}=\"${ENV_MARIADB} ${ENV_MYSQL} ${ENV_REDIS}\" exec '{}' --exact {}",
        test.display(),
        "shared_servers_come_from_environment_variables"
    );
    let output = run(&stage, &script)?.wait_with_output()?;
    assert!(output.status.success(), "{output:?}");
    Ok(())
}

/// A signal that ends the command shows as it does in a shell.
#[test]
fn the_runner_reports_a_signal_as_a_shell_does() -> io::Result<()> {
    let stage = stage()?;
    assert_eq!(run(&stage, "kill -KILL $$")?.wait()?.code(), Some(137));
    Ok(())
}

/// A runner that is killed takes its servers and its command along.
#[test]
fn a_killed_runner_leaves_nothing_behind() -> io::Result<()> {
    let stage = stage()?;
    let mut runner = run(&stage, "touch \"$TMPDIR/ready\"; cd \"$TMPDIR\"; exec sleep 600")?;
    let marker = stage.path().join("ready");
    wait_until("the command runs", PATIENCE, || marker.exists());
    fs::remove_file(&marker)?;
    // The command, three servers and three watchdogs.
    wait_until("all are there", PATIENCE, || processes_of(stage.path()).len() == 7);
    runner.kill()?;
    runner.wait()?;
    wait_until_deserted(&stage);
    Ok(())
}

/// A call that makes no sense starts no server.
#[test]
fn runner_prints_usage() -> io::Result<()> {
    for arguments in [&[][..], &["run"], &["run", "--"], &["run", "ls"], &["walk", "--", "ls"]] {
        let output = Command::new(RUNNER).args(arguments).output()?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage: stockade-testkit run"));
    }
    Ok(())
}
