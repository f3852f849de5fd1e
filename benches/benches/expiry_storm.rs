//! See [`stockade_benches::suite::expiry_storm`].

fn main() {
    stockade_benches::suite::expiry_storm::main();
}
