//! See [`stockade_benches::suite::prefork`].

fn main() {
    stockade_benches::suite::prefork::main();
}
