//! A client that sends whatever it likes.

use stockade_server::fuzzing::Transport;

use super::answers;
use super::shop::{Shop, visit};

/// The bytes of one connection, of HTTP/1 or HTTP/2, to a server that asks for
/// no secret: so the operators' endpoints are reached as well.
pub fn http(sent: &[u8]) {
    connection(Transport::Tcp, sent);
}

/// The same by the socket file, where HTTP/2 carries the calls of other
/// processes' engines, which may do everything.
pub fn socket(sent: &[u8]) {
    connection(Transport::Unix, sent);
}

fn connection(transport: Transport, sent: &[u8]) {
    visit(&[], async |shop: &Shop| {
        let received = shop.exchange_by(transport, sent).await;
        // Frames of HTTP/2 are not looked into: the server's counters, which
        // every visit ends with, tell what it answered.
        if received.starts_with(b"HTTP/") {
            answers::read(&received);
        }
    });
}
