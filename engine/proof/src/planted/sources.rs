//! Copies the workspace's sources and plants bugs into the copy.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::list::root;
use super::patch::{self, FilePatch, Patched};

/// The copy is built often and runs briefly: no debug information, no
/// optimization.
const CARGO_CONFIG: &str =
    "[profile.dev]\ndebug = false\n\n[profile.dev.package.stockade]\nopt-level = 0\n";

/// The copied sources.
pub struct Sources {
    folder: PathBuf,
}

impl Sources {
    /// Updates the copy in this folder from the tracked and untracked files that
    /// git does not ignore. Unchanged files are not rewritten, so cargo does not
    /// rebuild them.
    pub fn copied_to(folder: PathBuf) -> Self {
        let mut copied = BTreeSet::from([PathBuf::from(".cargo/config.toml")]);
        update(&folder.join(".cargo/config.toml"), CARGO_CONFIG.as_bytes());
        for file in known_to_git() {
            // git lists a deleted file until the deletion is committed.
            let Ok(content) = fs::read(root().join(&file)) else { continue };
            update(&folder.join(&file), &content);
            copied.insert(file);
        }
        for file in files_below(&folder) {
            let is_copied = file.strip_prefix(&folder).is_ok_and(|file| copied.contains(file));
            if !is_copied {
                fs::remove_file(file).expect("removes");
            }
        }
        Self { folder }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Plants a bug.
    pub fn plant(&self, patches: &[FilePatch]) -> Planted {
        let mut planted = Planted { before: Vec::new() };
        for patch in patches {
            let Patched { file, before, after } =
                patch::apply_below(&self.folder, patch).unwrap_or_else(|why| panic!("{why}"));
            let file = self.folder.join(file);
            fs::write(&file, after).expect("writes");
            planted.before.push((file, before));
        }
        planted
    }
}

/// A planted bug. Dropping it restores the files.
pub struct Planted {
    /// The files' contents before the edits.
    before: Vec<(PathBuf, String)>,
}

impl Drop for Planted {
    fn drop(&mut self) {
        for (file, text) in self.before.drain(..).rev() {
            fs::write(file, text).expect("writes");
        }
    }
}

fn known_to_git() -> Vec<PathBuf> {
    let words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(words).current_dir(root()).output();
    let listed = listed.expect("git can be run");
    assert!(listed.status.success(), "git: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("names in UTF-8");
    names.split_terminator('\0').map(PathBuf::from).collect()
}

/// Writes the file unless it has this content already.
fn update(file: &Path, content: &[u8]) {
    if fs::read(file).is_ok_and(|there| there == content) {
        return;
    }
    fs::create_dir_all(file.parent().expect("below the folder")).expect("a folder");
    fs::write(file, content).expect("writes");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}
