//! Locates a server's programs: installed, or unpacked into a root.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use crate::tool;

/// Names the environment variable with the folder into which `.ci/sid` unpacks
/// servers; by default `~/.cache/stockade/servers`.
const ENV_SERVERS: &str = "STOCKADE_SERVERS";

/// Where a server's programs are.
#[derive(Clone, Debug)]
pub(crate) enum ServerBinaries {
    /// On the PATH.
    Installed,
    /// In a root of another system release, with its own C library and loader.
    Unpacked(PathBuf),
}

impl ServerBinaries {
    /// Returns the root of this name.
    pub(crate) fn unpacked(name: &str) -> Result<ServerBinaries, String> {
        let root = servers().join(name);
        if root.join(".complete").exists() {
            return Ok(ServerBinaries::Unpacked(root));
        }
        Err(format!("{} is missing or half made: run .ci/deps long", root.display()))
    }

    /// Returns the root that environment variable `variable` names, or else the
    /// installed programs.
    pub(crate) fn chosen_by(variable: &str) -> Result<ServerBinaries, String> {
        match env::var(variable) {
            Ok(name) if !name.is_empty() => ServerBinaries::unpacked(&name),
            _ => Ok(ServerBinaries::Installed),
        }
    }

    /// Returns the command prefix of the first of these programs that exists.
    pub(crate) fn program(&self, names: &[&str]) -> Result<Vec<OsString>, String> {
        let ServerBinaries::Unpacked(root) = self else {
            let is_there = |name: &&&str| tool::find(name).is_some();
            let found = names.iter().find(is_there).or(names.first());
            return Ok(found.map(OsString::from).into_iter().collect());
        };
        let places = names.iter().flat_map(|name| ["usr/sbin", "usr/bin"].map(|at| (at, name)));
        let mut paths = places.map(|(folder, name)| root.join(folder).join(name));
        let path = paths.find(|path| path.exists());
        let path = path.ok_or_else(|| format!("{} has no {names:?}", root.display()))?;
        let (libraries, loader) = loader(root)?;
        let mut search = libraries.clone().into_os_string();
        // MySQL's own libraries.
        search.extend([OsStr::new(":"), root.join("usr/lib/mysql/private").as_os_str()]);
        Ok(vec![loader.into(), "--library-path".into(), search, path.into()])
    }
}

/// The folder of unpacked servers.
pub(crate) fn servers() -> PathBuf {
    let cache = || {
        let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home);
        cache.unwrap_or_else(env::temp_dir).join("stockade/servers")
    };
    env::var_os(ENV_SERVERS).map_or_else(cache, PathBuf::from)
}

/// The folder of a root's libraries, and its loader in there.
fn loader(root: &Path) -> Result<(PathBuf, PathBuf), String> {
    let folders = fs::read_dir(root.join("usr/lib")).into_iter().flatten().flatten();
    let mut found = folders.filter_map(|folder| {
        let files = fs::read_dir(folder.path()).ok()?.flatten();
        let is_loader = |name: &OsStr| name.as_encoded_bytes().starts_with(b"ld-linux-");
        let loader =
            files.map(|file| file.path()).find(|path| path.file_name().is_some_and(is_loader));
        Some((folder.path(), loader?))
    });
    found.next().ok_or_else(|| format!("{} has no loader in usr/lib", root.display()))
}
