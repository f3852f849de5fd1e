//! See [`stockade_benches::suite::mechanisms`].

fn main() {
    stockade_benches::suite::mechanisms::main();
}
