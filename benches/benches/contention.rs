//! See [`stockade_benches::suite::contention`].

fn main() {
    stockade_benches::suite::contention::main();
}
