//! See [`stockade_benches::suite::overload`].

fn main() {
    stockade_benches::suite::overload::main();
}
