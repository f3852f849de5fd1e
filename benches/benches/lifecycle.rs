//! See [`stockade_benches::suite::lifecycle`].

fn main() {
    stockade_benches::suite::lifecycle::main();
}
