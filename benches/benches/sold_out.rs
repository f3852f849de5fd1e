//! See [`stockade_benches::suite::sold_out`].

fn main() {
    stockade_benches::suite::sold_out::main();
}
