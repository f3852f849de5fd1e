//! Creates a server's data folder once per version and copies it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::flavour::{Flavour, user, version};
use crate::binaries::{self, ServerBinaries};
use crate::tool;

/// Where an unpacked MariaDB keeps the statements that make its own tables, in
/// the order in which its install script runs them.
const MARIADB_TABLES: [&str; 5] = [
    "mariadb_system_tables.sql",
    "mariadb_performance_tables.sql",
    "mariadb_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "mariadb_sys_schema.sql",
];

/// Host names are not resolved, so `localhost` means the unix socket only.
const MYSQL_USERS: &str = "CREATE USER root@'127.0.0.1';\n\
    GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n\
    GRANT PROXY ON ''@'' TO root@'127.0.0.1' WITH GRANT OPTION;\n";

/// Puts a new server's data into `folder`/data.
pub(super) fn make(flavour: Flavour, folder: &Path) -> Result<(), String> {
    match flavour {
        Flavour::MariaDb => install_mariadb(&flavour.binaries()?, folder),
        // Creating one takes five seconds, a copy a tenth of a second.
        Flavour::MySql => copy(&template()?, &folder.join("data")),
    }
}

/// Returns the data folder of a MySQL that has never run, which is made at the
/// first call of this machine.
fn template() -> Result<PathBuf, String> {
    let program = Flavour::MySql.daemon()?;
    let mut hasher = DefaultHasher::new();
    (version(&program)?, &program, user(), MYSQL_USERS).hash(&mut hasher);
    let folder = binaries::servers().join("data");
    let path = folder.join(format!("mysql-{:016x}", hasher.finish()));
    let says = |cause: std::io::Error| format!("failed to make {}: {cause}", path.display());
    fs::create_dir_all(&folder).map_err(says)?;
    // The lock ends with the file handle, even if this process is killed.
    let lock = File::create(path.with_extension("lock")).map_err(says)?;
    lock.lock().map_err(says)?;
    if path.exists() {
        return Ok(path);
    }
    let work = tempfile::Builder::new().prefix(".mysql-").tempdir_in(&folder).map_err(says)?;
    install_mysql(program, work.path())?;
    fs::rename(work.path().join("data"), &path).map_err(says)?;
    Ok(path)
}

fn install_mysql(mut program: Vec<OsString>, folder: &Path) -> Result<(), String> {
    let users = folder.join("users.sql");
    fs::write(&users, MYSQL_USERS)
        .map_err(|cause| format!("failed to write {}: {cause}", users.display()))?;
    program.extend(Flavour::MySql.base()?);
    let data = folder.join("data");
    let mut command = tool::command_line(&program);
    command
        .arg(flag("--datadir=", &data))
        .arg(flag("--tmpdir=", folder))
        .arg(flag("--init-file=", &users))
        .args(["--initialize-insecure", "--skip-log-bin", "--innodb-redo-log-capacity=16M"])
        // Not one of these files need survive a power cut before the server has
        // even started.
        .arg("--innodb-flush-method=nosync");
    tool::run(command, "")?;
    // The server's id, which no two may share in a group.
    fs::remove_file(data.join("auto.cnf")).map_err(|cause| format!("no auto.cnf: {cause}"))
}

fn install_mariadb(binaries: &ServerBinaries, folder: &Path) -> Result<(), String> {
    // Syncing takes most of the time.
    let fast = ["--innodb-flush-method=nosync", "--sync-frm=0"];
    let ServerBinaries::Unpacked(root) = binaries else {
        let mut command = tool::command("mariadb-install-db");
        command
            .arg("--no-defaults")
            // No look-up of the host's name, and no change to the access rights
            // of the installed authentication plug-in, which is not ours.
            .args(["--force", "--rpm"])
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(user())
            .arg(flag("--datadir=", &folder.join("data")))
            .arg(flag("--tmpdir=", folder))
            .args(fast);
        return tool::run(command, "").map(drop);
    };
    // The script calls programs of the root that this machine cannot run.
    // One statement a line: that is how it reads them.
    let mut sql = String::from("CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n");
    for name in MARIADB_TABLES {
        let path = root.join("usr/share/mariadb").join(name);
        let text = fs::read_to_string(&path)
            .map_err(|cause| format!("failed to read {}: {cause}", path.display()))?;
        sql.push_str(&text);
        sql.push('\n');
    }
    let data = folder.join("data");
    fs::create_dir_all(&data).map_err(|cause| format!("no data folder: {cause}"))?;
    let mut command = tool::command_line(&Flavour::MariaDb.daemon()?);
    command
        .args(Flavour::MariaDb.base()?)
        .arg(flag("--datadir=", &data))
        .arg(flag("--tmpdir=", folder))
        .args(["--bootstrap", "--log-warnings=0", "--enforce-storage-engine="])
        .args(["--max-allowed-packet=8M", "--net-buffer-length=16K"])
        .args(fast);
    tool::run(command, &sql).map(drop)
}

/// Copies a folder; what is empty in a file takes no room.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let mut command = tool::command("cp");
    command.args(["-r", "--reflink=auto", "--sparse=always", "--"]).args([from, to]);
    tool::run(command, "").map(drop)
}

pub(crate) fn flag(name: &str, path: &Path) -> OsString {
    let mut flag = OsString::from(name);
    flag.push(path);
    flag
}
