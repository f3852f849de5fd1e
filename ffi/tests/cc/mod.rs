//! Compiling C programs against an installed library, and running them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");
const STRICT: &[&str] = &["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-O1"];

/// The library, installed in a folder of its own by `ffi/install`.
pub struct Installed {
    folder: TempDir,
}

impl Installed {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let own = std::env::current_exe().expect("this test");
        let libraries = own.parent().expect("its folder");
        let mut install = Command::new(Path::new(CRATE).join("install"));
        succeed(install.env("FROM", libraries).env("PREFIX", folder.path()).env_remove("DESTDIR"));
        Self { folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What pkg-config says.
    pub fn flags(&self, ask: &[&str]) -> Vec<String> {
        let path = self.folder().join("lib/pkgconfig");
        let output = succeed(
            Command::new("pkg-config").args(ask).arg("stockade").env("PKG_CONFIG_PATH", path),
        );
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Compiles a program, every warning an error.
    pub fn compile(&self, sources: &[&Path]) -> PathBuf {
        let name = sources[0].file_stem().expect("a name");
        let program = self.folder().join(name);
        let mut cc = Command::new("cc");
        cc.args(STRICT).arg("-o").arg(&program).args(sources);
        cc.args(["-I".to_owned(), format!("{CRATE}/tests/c")]);
        cc.args(self.flags(&["--cflags", "--libs"])).arg("-lpthread");
        succeed(&mut cc);
        program
    }

    /// A command that finds the library when it runs.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", self.folder().join("lib")).current_dir(self.folder());
        command
    }

    /// A command under valgrind: wrong accesses and lost memory are failures.
    /// Undefined values are not looked for: optimised Rust compares what is
    /// behind an `Option` before it knows that there is one.
    pub fn checked(&self, program: &Path) -> Command {
        let mut command = self.command(Path::new("valgrind"));
        command.args(["--quiet", "--error-exitcode=99", "--undef-value-errors=no"]);
        command.args(["--leak-check=full", "--show-leak-kinds=definite,indirect"]);
        command.arg("--errors-for-leak-kinds=definite,indirect").arg(program);
        command
    }
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
