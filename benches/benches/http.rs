//! See [`stockade_benches::suite::http`].

fn main() {
    stockade_benches::suite::http::main();
}
