//! An engine of another process that has lost its mind.

use super::answers;
use super::shop::{Shop, visit};

/// The bytes of one connection by the socket file, where HTTP/2 carries the
/// calls of engines, which may do everything.
pub fn socket(sent: &[u8]) {
    visit(&[], async |shop: &Shop| {
        let came = shop.exchange_by_socket(sent).await;
        if came.starts_with(b"HTTP/") {
            answers::read(&came);
        }
    });
}
