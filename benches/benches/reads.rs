//! See [`stockade_benches::suite::reads`].

fn main() {
    stockade_benches::suite::reads::main();
}
