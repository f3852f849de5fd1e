//! The simulated program: its options and its engine.

use std::ffi::CStr;
use std::ptr;

use stockade_ffi::audit::{
    stockade_audit, stockade_audit_finding, stockade_audit_free, stockade_audit_read,
    stockade_audit_summary, stockade_engine_audit, stockade_finding,
};
use stockade_ffi::code::stockade_code;
use stockade_ffi::engine::{stockade_engine, stockade_engine_free, stockade_engine_open_with};
use stockade_ffi::options::{
    stockade_options, stockade_options_free, stockade_options_new, stockade_options_set,
};

use super::call_result::{expect_result, text};
use super::line::{Line, unless_null};
use super::struct_memory::StructMemory;

const MEMORY: &CStr = c"sqlite::memory:";

/// A program that uses the library.
pub struct Program {
    pub options: *mut stockade_options,
    engine: *mut stockade_engine,
    /// The handle of the last actor.
    acting: *mut stockade_engine,
    /// The latest tokens that were returned.
    pub hold: Vec<u8>,
    pub payment: Vec<u8>,
}

impl Program {
    pub fn begin() -> Self {
        let mut options = ptr::null_mut();
        // SAFETY: the pointers are of live variables.
        let code = unsafe { stockade_options_new(&mut options, ptr::null_mut()) };
        assert_eq!(code, stockade_code::Ok);
        let (engine, acting) = (ptr::null_mut(), ptr::null_mut());
        let program = Self { options, engine, acting, hold: Vec::new(), payment: Vec::new() };
        program.must_set(c"sweeper", c"false");
        // Small: sessions are short, and startup dominates.
        program.must_set(c"cache_products", c"16");
        program
    }

    /// Returns the engine for a call; the first call opens it.
    pub fn engine(&mut self, line: &Line<'_>) -> *mut stockade_engine {
        if line.is_null("engine") {
            return ptr::null_mut();
        }
        if self.engine.is_null() {
            self.open(line);
        }
        if self.acting.is_null() { self.engine } else { self.acting }
    }

    /// Makes the next calls through an actor's handle, unless it is null.
    pub fn act(&mut self, acting: *mut stockade_engine) {
        if !acting.is_null() {
            // SAFETY: null, or from the library and freed once.
            unsafe { stockade_engine_free(self.acting) };
            self.acting = acting;
        }
    }

    fn must_set(&self, name: &CStr, value: &CStr) {
        // SAFETY: the options live, and the texts are NUL-terminated.
        let code = unsafe {
            stockade_options_set(self.options, name.as_ptr(), value.as_ptr(), ptr::null_mut())
        };
        assert_eq!(code, stockade_code::Ok);
    }

    /// Opens an engine with the options, but in memory and without Redis: no
    /// file, no server.
    pub fn open(&mut self, line: &Line<'_>) {
        self.leave();
        self.must_set(c"store", MEMORY);
        self.must_set(c"redis", c"");
        let options = unless_null(line, "options", self.options);
        let mut engine = ptr::null_mut();
        let place = unless_null(line, "answer", &raw mut engine);
        // SAFETY: the options live or are null, and the out-pointer is valid.
        let opened = expect_result(line, |error| unsafe {
            stockade_engine_open_with(options, place, error)
        });
        assert_eq!(opened, !engine.is_null());
        self.engine = engine;
    }

    /// Frees the engine; its stock must be consistent if it can still be read.
    fn leave(&mut self) {
        if self.engine.is_null() {
            return;
        }
        // SAFETY: null, or from the library and freed once; the engine stays open.
        unsafe { stockade_engine_free(self.acting) };
        self.acting = ptr::null_mut();
        let mut audit = ptr::null_mut();
        // SAFETY: the engine lives, and the out-pointer is valid.
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

    pub fn end(mut self) {
        self.leave();
        // SAFETY: they came from the library, and are freed once.
        unsafe { stockade_options_free(self.options) };
    }
}

fn expect_consistent(audit: *const stockade_audit) {
    let summary = StructMemory::right::<stockade_audit_summary>();
    let finding = StructMemory::right::<stockade_finding>();
    // SAFETY: the audit lives, and the structs are as large as they declare.
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
