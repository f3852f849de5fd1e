//! See [`stockade_benches::suite::orders`].

fn main() {
    stockade_benches::suite::orders::main();
}
