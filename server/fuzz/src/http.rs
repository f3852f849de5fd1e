//! Targets with arbitrary bytes.

use stockade_server::fuzzing::Transport;

use super::answers;
use super::shop::{Shop, visit};

/// The bytes of one connection, HTTP/1 or HTTP/2, to a server without secrets,
/// so that the operators' endpoints are reachable as well.
pub fn http(sent: &[u8]) {
    connection(Transport::Tcp, sent);
}

/// The same over the Unix socket, where HTTP/2 carries engine calls, which may
/// do everything.
pub fn socket(sent: &[u8]) {
    connection(Transport::Unix, sent);
}

fn connection(transport: Transport, sent: &[u8]) {
    visit(&[], async |shop: &Shop| {
        let received = shop.exchange_by(transport, sent).await;
        // HTTP/2 frames are not parsed: every session ends with a check of the
        // server's counters, which count the responses.
        if received.starts_with(b"HTTP/") {
            answers::read(&received);
        }
    });
}
