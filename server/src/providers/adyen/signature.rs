//! Verifies Adyen's signatures, which are over fields joined by colons.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::Hmac;
use serde_json::Value;
use sha2::Sha256;

use super::items;
use crate::problem::Rejection;
use crate::providers::{json, mac, unsigned};
use crate::settings::Secrets;

const SCHEME: &str = "Adyen-HMAC";

/// The signed fields in their order.
const SIGNED: &str = "/pspReference /originalReference /merchantAccountCode /merchantReference \
                      /amount/value /amount/currency /eventCode /success";

/// The shop's own text, which alone may have colons.
const REFERENCE: &str = "/merchantReference";

/// Decodes the HMAC key of a webhook, which Adyen shows in hexadecimal.
pub fn key(secret: &str) -> Option<Vec<u8>> {
    hex::decode(secret).ok()
}

/// Verifies the signature of every item.
pub fn verify(body: &Value, secrets: &Secrets) -> Result<(), Rejection> {
    for item in items(body)? {
        let given = json::text(item, "/additionalData/hmacSignature");
        let given = given.ok_or_else(|| unsigned(SCHEME, "an item has no hmacSignature"))?;
        let signature = BASE64_STANDARD
            .decode(given)
            .map_err(|_| unsigned(SCHEME, "an hmacSignature is not base64"))?;
        let text: Vec<_> = SIGNED.split(' ').map(|pointer| field(item, pointer)).collect();
        let text = text.join(":");
        let keys = secrets.iter().filter_map(key);
        if !mac::is_signed::<Hmac<Sha256>>(keys, &[text.as_bytes()], &[signature]) {
            return Err(unsigned(SCHEME, "an hmacSignature is invalid"));
        }
    }
    Ok(())
}

/// Rejects an item whose signed text could be cut elsewhere: colons are Adyen's
/// separators, and it escapes none.
pub fn check_forms(item: &Value) -> Result<(), Rejection> {
    for pointer in SIGNED.split(' ').filter(|pointer| *pointer != REFERENCE) {
        if field(item, pointer).contains(':') {
            return Err(json::unreadable(pointer, "a colon is not part of it"));
        }
    }
    Ok(())
}

/// A field as it is signed: nothing for a missing one.
pub fn field(item: &Value, pointer: &str) -> String {
    let is_true = json::flag(item, pointer);
    json::plain(item, pointer).unwrap_or_else(|| if is_true { "true" } else { "" }.to_owned())
}
