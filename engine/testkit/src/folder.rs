//! Owns a server's folder and removes it even when this process is killed.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use tempfile::TempDir;

use crate::tool;

// The watchdog reads one line. A line means that the folder is removed already;
// end of input means that this process died before it could. A dying server may
// still write for a moment, hence the retries.
const WATCHDOG: &str = r#"read -r released && exit 0
for pause in 0 0.2 1 5; do sleep "$pause"; rm -rf -- "$1"; done"#;

/// Owns a temporary folder, and a watchdog shell that removes it when this
/// process ends without dropping it: statics are never dropped, and neither is
/// anything in a killed process.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    // `None` only while being dropped.
    folder: Option<TempDir>,
    watchdog: Child,
    line: Option<ChildStdin>,
}

impl Folder {
    pub(crate) fn new(prefix: &str) -> io::Result<Folder> {
        let folder = tempfile::Builder::new().prefix(prefix).tempdir()?;
        let mut watchdog = tool::command("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(folder.path())
            // In its own process group: a signal to this group must not kill the
            // watchdog.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Folder {
            path: folder.path().to_path_buf(),
            folder: Some(folder),
            line: watchdog.stdin.take(),
            watchdog,
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
        // If the removal failed, the closed pipe makes the watchdog retry, and
        // nothing waits for it.
        if matches!(removed, Some(Ok(()))) && line.write_all(b"\n").is_ok() {
            drop(line);
            // Waiting only avoids a zombie; errors are ignored.
            let _ = self.watchdog.wait();
        }
    }
}
