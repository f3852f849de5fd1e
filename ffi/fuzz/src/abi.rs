//! A session: options, the engine, and a sequence of calls.

use std::ptr;

use stockade_ffi::engine::{stockade_engine_free, stockade_engine_open};
use stockade_ffi::options::stockade_options_set;

use super::call_result::expect_result;
use super::calls;
use super::line::{Line, pointer, unless_null};
use super::program::Program;

/// The most lines of a session, which bounds its duration.
const LINES_MAX: usize = 32;

/// A session, one call per line, with its arguments by name:
///
/// ```text
/// set name=hold_ttl value=60s
/// open
/// create_product name=L%c3%a4mp price=1999 stock=5
/// create_hold product=1 quantity=2 key=a size=40 room=96 null=error
/// create_order hold=1 product=1 token=$hold
/// payment token=$payment status=paid body=%00
/// ```
///
/// `size` and `tail` are the declared size of the request and its last byte;
/// `last` is the declared size of the last request of a batch.
/// `room` is the declared size of the response struct; `null` lists NULL
/// arguments: `engine`, `request`, `answer`, `error`, `replayed`, and
/// `options`. Everything else is valid.
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
            // SAFETY: the options live, and the texts are NUL-terminated.
            expect_result(line, |error| unsafe {
                stockade_options_set(options, pointer(&name), pointer(&value), error)
            });
        }
        "open" => program.open(line),
        "store" => open_store(line),
        _ => calls::run(program, line),
    }
}

/// Opens a store by its URL, unless it names a file or a server.
fn open_store(line: &Line<'_>) {
    const KEPT: [&str; 5] = ["sqlite", "mysql", "mariadb", "unix", "http"];
    let store = line.text("url");
    let url = store.as_ref().map(|url| url.to_string_lossy().to_ascii_lowercase());
    let is_kept = |url: &String| KEPT.iter().any(|scheme| url.trim_start().starts_with(scheme));
    if url.as_ref().is_some_and(|url| url != "sqlite::memory:" && is_kept(url)) {
        return;
    }
    let mut engine = ptr::null_mut();
    // SAFETY: the text is NUL-terminated or null, and the out-pointer is valid.
    let opened = expect_result(line, |error| unsafe {
        stockade_engine_open(pointer(&store), &mut engine, error)
    });
    assert_eq!(opened, !engine.is_null());
    // SAFETY: null, or from the library and freed once.
    unsafe { stockade_engine_free(engine) };
}
