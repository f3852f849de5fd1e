//! See [`stockade_benches::suite::spread`].

fn main() {
    stockade_benches::suite::spread::main();
}
