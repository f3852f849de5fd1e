//! See [`stockade_benches::suite::memory`].

fn main() {
    stockade_benches::suite::memory::main();
}
