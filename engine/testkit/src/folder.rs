//! A server's folder, removed whatever becomes of us.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use tempfile::TempDir;

use crate::tool;

// Reads one line. A line means that the folder is gone already; the end of the
// input means that our process died without a chance to remove it. A dying
// server may still write for a moment, hence more than one round.
const WARDEN: &str = r#"read -r released && exit 0
for pause in 0 0.2 1 5; do sleep "$pause"; rm -rf -- "$1"; done"#;

/// Owns a temporary folder, and a shell that removes it should this process end
/// without dropping it: a static is never dropped, and neither is anything in a
/// process that is killed.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    // `None` only while being dropped.
    folder: Option<TempDir>,
    warden: Child,
    line: Option<ChildStdin>,
}

impl Folder {
    pub(crate) fn new(prefix: &str) -> io::Result<Folder> {
        let folder = tempfile::Builder::new().prefix(prefix).tempdir()?;
        let mut warden = tool::command("sh")
            .args(["-c", WARDEN, "warden"])
            .arg(folder.path())
            // Out of our process group: a signal to the group must not take
            // the warden along.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Folder {
            path: folder.path().to_path_buf(),
            folder: Some(folder),
            line: warden.stdin.take(),
            warden,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let removed = self.folder.take().map(TempDir::close);
        let Some(mut line) = self.line.take() else {
            return;
        };
        // If the folder could not be removed, the closed pipe tells the warden
        // to try again; then we do not wait for it.
        if matches!(removed, Some(Ok(()))) && line.write_all(b"\n").is_ok() {
            drop(line);
            // Nothing to do about a failure; waiting only avoids a zombie.
            let _ = self.warden.wait();
        }
    }
}
