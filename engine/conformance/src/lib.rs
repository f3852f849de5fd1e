//! Holds Stockade's conformance tests, which are in `tests`: `behaviour` runs one
//! suite on every combination of store, lock and cache, and `servers` runs engines
//! on database servers with unusual settings.

/// Runs the examples of the README as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
