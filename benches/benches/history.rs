//! See [`stockade_benches::suite::history`].

fn main() {
    stockade_benches::suite::history::main();
}
