//! See [`stockade_benches::suite::cart`].

fn main() {
    stockade_benches::suite::cart::main();
}
