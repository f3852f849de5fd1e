//! What Stockade's benches share.
