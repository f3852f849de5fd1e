//! A session: the options, the engine, and one call after another.

use std::ffi::CStr;
use std::ptr;

use stockade_ffi::audit::{
    stockade_audit, stockade_audit_finding, stockade_audit_free, stockade_audit_read,
    stockade_audit_summary, stockade_engine_audit, stockade_finding,
};
use stockade_ffi::engine::{
    stockade_engine, stockade_engine_free, stockade_engine_open, stockade_engine_open_with,
};
use stockade_ffi::error::stockade_code;
use stockade_ffi::options::{
    stockade_options, stockade_options_free, stockade_options_new, stockade_options_set,
};

use super::calls;
use super::line::Line;
use super::place::Place;
use super::told::{text, told};

/// The most lines that are read, so that no session is long.
const LINES_MAX: usize = 32;

const MEMORY: &CStr = c"sqlite::memory:";

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
            program.run(&line);
        }
    }
    program.end();
}

/// A program that uses the library.
pub struct Program {
    options: *mut stockade_options,
    engine: *mut stockade_engine,
    /// The tokens that were answered last.
    pub hold: Vec<u8>,
    pub payment: Vec<u8>,
}

impl Program {
    fn begin() -> Self {
        let mut options = ptr::null_mut();
        // SAFETY: the pointers are of live variables.
        let code = unsafe { stockade_options_new(&mut options, ptr::null_mut()) };
        assert_eq!(code, stockade_code::Ok);
        let engine = ptr::null_mut();
        let program = Self { options, engine, hold: Vec::new(), payment: Vec::new() };
        program.set(c"sweeper", c"false");
        // Small: a session is short, and most of its time is spent in beginning it.
        program.set(c"cache_products", c"16");
        program
    }

    /// The engine that a call is given; the first that needs one opens it.
    pub fn engine(&mut self, line: &Line<'_>) -> *mut stockade_engine {
        if line.is_null("engine") {
            return ptr::null_mut();
        }
        if self.engine.is_null() {
            self.open(line);
        }
        self.engine
    }

    fn run(&mut self, line: &Line<'_>) {
        match line.call {
            "set" => {
                let (name, value) = (line.text("name"), line.text("value"));
                let pointer = |text: &Option<std::ffi::CString>| {
                    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
                };
                let options = if line.is_null("options") { ptr::null_mut() } else { self.options };
                // SAFETY: the options live, and the texts end with a NUL.
                told(line, |error| unsafe {
                    stockade_options_set(options, pointer(&name), pointer(&value), error)
                });
            }
            "open" => self.open(line),
            "store" => open_store(line),
            _ => calls::run(self, line),
        }
    }

    fn set(&self, name: &CStr, value: &CStr) {
        // SAFETY: the options live, and the texts end with a NUL.
        let code = unsafe {
            stockade_options_set(self.options, name.as_ptr(), value.as_ptr(), ptr::null_mut())
        };
        assert_eq!(code, stockade_code::Ok);
    }

    /// Opens an engine as the options say, but on a store in memory and without
    /// Redis: no file, no server.
    fn open(&mut self, line: &Line<'_>) {
        self.leave();
        self.set(c"store", MEMORY);
        self.set(c"redis", c"");
        let options = if line.is_null("options") { ptr::null_mut() } else { self.options };
        let mut engine = ptr::null_mut();
        let place = if line.is_null("answer") { ptr::null_mut() } else { &raw mut engine };
        // SAFETY: the options live, or are null, and so does the place.
        let opened =
            told(line, |error| unsafe { stockade_engine_open_with(options, place, error) });
        assert_eq!(opened, !engine.is_null());
        self.engine = engine;
    }

    /// Frees the engine, whose books must agree, if they can still be read.
    fn leave(&mut self) {
        if self.engine.is_null() {
            return;
        }
        let mut audit = ptr::null_mut();
        // SAFETY: the engine lives, and so does the place.
        let code = unsafe { stockade_engine_audit(self.engine, &mut audit, ptr::null_mut()) };
        assert_ne!(code, stockade_code::Internal);
        assert_eq!(audit.is_null(), code != stockade_code::Ok);
        if !audit.is_null() {
            expect_consistent(audit);
        }
        // SAFETY: both came from the library, and are freed once.
        unsafe {
            stockade_audit_free(audit);
            stockade_engine_free(self.engine);
        }
        self.engine = ptr::null_mut();
    }

    fn end(mut self) {
        self.leave();
        // SAFETY: they came from the library, and are freed once.
        unsafe { stockade_options_free(self.options) };
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
    let url = store.as_ref().map_or(ptr::null(), |url| url.as_ptr());
    // SAFETY: the text ends with a NUL or is null, and the place lives.
    let opened = told(line, |error| unsafe { stockade_engine_open(url, &mut engine, error) });
    assert_eq!(opened, !engine.is_null());
    // SAFETY: it came from the library or is null, and is freed once.
    unsafe { stockade_engine_free(engine) };
}

fn expect_consistent(audit: *const stockade_audit) {
    let summary = Place::right::<stockade_audit_summary>();
    let finding = Place::right::<stockade_finding>();
    // SAFETY: the audit lives, and the places are as long as they say.
    unsafe {
        let code = stockade_audit_read(audit, summary.pointer(), ptr::null_mut());
        assert_eq!(code, stockade_code::Ok);
        let code = stockade_audit_finding(audit, 0, finding.pointer(), ptr::null_mut());
        if code == stockade_code::Ok {
            let found = &*finding.pointer::<stockade_finding>();
            panic!("{}: {} {}", text(found.check), found.id, text(found.detail));
        }
    }
    assert_eq!(summary.bytes(size_of::<u32>(), 4), 1_u32.to_ne_bytes(), "consistent");
}
