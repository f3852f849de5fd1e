//! A client that sends whatever it likes.

use stockade_server::fuzzing::Door;

use super::answers;
use super::shop::{Shop, visit};

/// The bytes of one connection, of HTTP/1 or HTTP/2, to a server that asks for
/// no secret: so the operators' endpoints are reached as well.
pub fn http(sent: &[u8]) {
    connection(Door::Tcp, sent);
}

/// The same by the socket file, where HTTP/2 carries the calls of other
/// processes' engines, which may do everything.
pub fn socket(sent: &[u8]) {
    connection(Door::Unix, sent);
}

fn connection(door: Door, sent: &[u8]) {
    visit(&[], async |shop: &Shop| {
        let came = shop.exchange_by(door, sent).await;
        // Frames of HTTP/2 are not looked into: the server's counters, which
        // every visit ends with, tell what it answered.
        if came.starts_with(b"HTTP/") {
            answers::read(&came);
        }
    });
}
