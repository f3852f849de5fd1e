//! See [`stockade_benches::suite::hold_batch`].

fn main() {
    stockade_benches::suite::hold_batch::main();
}
