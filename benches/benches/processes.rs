//! See [`stockade_benches::suite::processes`].

fn main() {
    stockade_benches::suite::processes::main();
}
