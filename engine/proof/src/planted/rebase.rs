//! Writes the patches anew: exact, and with line numbers of today.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::list::{self, Bug, root};
use super::patch::{self, FilePatch, Patched};

/// Rewrites each bug's patch against the sources as they are. Returns whether all
/// of them apply; a patch that does not is named on stderr and left alone.
#[must_use]
pub fn rebase() -> bool {
    let mut all_apply = true;
    for Bug { name, patches, .. } in list::read() {
        match diff(&patches) {
            Ok(text) => fs::write(list::patch_file(&name), text).expect("writes"),
            Err(why) => {
                eprintln!("{name}: {why}; mend {}", list::patch_file(&name).display());
                all_apply = false;
            }
        }
    }
    all_apply
}

/// A unified diff of the sources and what the patches make of them.
fn diff(patches: &[FilePatch]) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    for patch in patches {
        let Patched { file, before, after } = patch::apply_below(root(), patch)?;
        for (side, text) in [("a", before), ("b", after)] {
            write(&folder.path().join(side).join(&file), &text).map_err(|e| e.to_string())?;
        }
    }
    let words =
        ["diff", "--no-index", "--no-prefix", "--no-color", "--no-ext-diff", "-U3", "a", "b"];
    let output = Command::new("git").args(words).current_dir(&folder).output();
    let output = String::from_utf8(output.map_err(|error| format!("git: {error}"))?.stdout);
    let is_kept = |line: &&str| !line.starts_with("diff --git") && !line.starts_with("index ");
    let text = output.map_err(|error| format!("git: {error}"))?;
    Ok(text.split_inclusive('\n').filter(is_kept).collect())
}

fn write(file: &Path, text: &str) -> std::io::Result<()> {
    file.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(file, text)
}
