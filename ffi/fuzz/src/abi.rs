//! A session: the options, the engine, and one call after another.

use std::ptr;

use stockade_ffi::engine::{stockade_engine_free, stockade_engine_open};
use stockade_ffi::options::stockade_options_set;

use super::calls;
use super::line::{Line, pointer, unless_null};
use super::program::Program;
use super::told::told;

/// The most lines that are read, so that no session is long.
const LINES_MAX: usize = 32;

/// A session, one call in each line, with its arguments by name:
///
/// ```text
/// set name=hold_ttl value=60s
/// open
/// create name=L%c3%a4mp price=1999 stock=5
/// hold product=1 quantity=2 key=a size=40 room=96 null=error
/// order hold=1 product=1 token=$hold
/// payment token=$payment status=paid body=%00
/// ```
///
/// `size` and `tail` are the size that the request says it has, and its last
/// byte; `room` is the size that the place for the answer says it has; `null`
/// lists what is given as NULL: `engine`, `request`, `answer`, `error`,
/// `replayed`, and `options`. What is not named is as it should be.
pub fn abi(session: &[u8]) {
    let mut program = Program::begin();
    for line in session.split(|byte| *byte == b'\n').take(LINES_MAX) {
        if let Some(line) = Line::read(line, &program.hold, &program.payment) {
            run(&mut program, &line);
        }
    }
    program.end();
}

fn run(program: &mut Program, line: &Line<'_>) {
    match line.call {
        "set" => {
            let (name, value) = (line.text("name"), line.text("value"));
            let options = unless_null(line, "options", program.options);
            // SAFETY: the options live, and the texts end with a NUL.
            told(line, |error| unsafe {
                stockade_options_set(options, pointer(&name), pointer(&value), error)
            });
        }
        "open" => program.open(line),
        "store" => open_store(line),
        _ => calls::run(program, line),
    }
}

/// Opens a store by its URL, but none that is a file's or a server's.
fn open_store(line: &Line<'_>) {
    const KEPT: [&str; 5] = ["sqlite", "mysql", "mariadb", "unix", "http"];
    let store = line.text("url");
    let url = store.as_ref().map(|url| url.to_string_lossy().to_ascii_lowercase());
    let is_kept = |url: &String| KEPT.iter().any(|scheme| url.trim_start().starts_with(scheme));
    if url.as_ref().is_some_and(|url| url != "sqlite::memory:" && is_kept(url)) {
        return;
    }
    let mut engine = ptr::null_mut();
    // SAFETY: the text ends with a NUL or is null, and the place lives.
    let opened =
        told(line, |error| unsafe { stockade_engine_open(pointer(&store), &mut engine, error) });
    assert_eq!(opened, !engine.is_null());
    // SAFETY: it came from the library or is null, and is freed once.
    unsafe { stockade_engine_free(engine) };
}
