//! HMAC signatures of providers, compared in constant time.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Delivery, unsigned};
use crate::problem::Rejection;
use crate::settings::Secrets;
use crate::signature;

/// Whether one of the keys made one of the signatures over the joined parts.
pub fn is_signed<M: Mac + KeyInit>(
    keys: impl Iterator<Item = impl AsRef<[u8]>>,
    parts: &[&[u8]],
    signatures: &[impl AsRef<[u8]>],
) -> bool {
    // HMAC accepts a key of any length.
    let keyed = keys.filter_map(|key| <M as KeyInit>::new_from_slice(key.as_ref()).ok());
    signature::is_signed(keyed, parts, signatures)
}

/// Verifies the hexadecimal HMAC-SHA256 of the body in a header.
pub fn check_hex_of_body(
    delivery: &Delivery<'_>,
    header: &str,
    scheme: &'static str,
    secrets: &Secrets,
) -> Result<(), Rejection> {
    let given = delivery.header(header);
    let given = given.ok_or_else(|| unsigned(scheme, "the signature's header is missing"))?;
    let signature = hex::decode(given.trim())
        .map_err(|_| unsigned(scheme, "the signature is not hexadecimal"))?;
    if is_signed::<Hmac<Sha256>>(secrets.iter(), &[delivery.body], &[signature]) {
        return Ok(());
    }
    Err(unsigned(scheme, "the signature is invalid"))
}
