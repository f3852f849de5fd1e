//! Verification of payment webhooks:
//! `Stockade-Signature: t=<unix seconds>,v1=<hex of HMAC-SHA256>`.
//!
//! The signed text is `t`, a dot, and the raw body. For secret rotation the
//! header may contain several `v1` and the setting several secrets: one match
//! is enough.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use crate::problem::Rejection;
use crate::settings::Secrets;

/// The signature header.
pub const HEADER: &str = "stockade-signature";

/// The largest clock difference accepted, in either direction; bounds replay.
const TOLERANCE_SECONDS: u64 = 300;

/// The most signatures of one request that are checked, which bounds the work.
const SIGNATURES_MAX: usize = 8;

/// Verifies signatures; without a secret it accepts everything.
pub struct Verifier {
    keys: Vec<Hmac<Sha256>>,
    /// The clock, in seconds since 1970.
    now: fn() -> i64,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} secrets hidden)", self.keys.len())
    }
}

/// Reads the process's clock.
pub fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

impl Verifier {
    /// Creates a verifier with the process's clock.
    pub fn new(secrets: &Secrets) -> Self {
        Self::with_clock(secrets, unix_seconds)
    }

    /// Creates a verifier with another clock, in seconds since 1970.
    pub fn with_clock(secrets: &Secrets, now: fn() -> i64) -> Self {
        // HMAC accepts a key of any length.
        let key = |secret: &str| Hmac::new_from_slice(secret.as_bytes()).ok();
        Self { keys: secrets.iter().filter_map(key).collect(), now }
    }

    /// Rejects a webhook without a valid and recent signature.
    pub fn check(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Rejection> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let reject = |why| Err(Rejection::Secret("Stockade-Signature", why));
        let Some(header) = headers.get(HEADER) else {
            return reject("the Stockade-Signature header is missing");
        };
        let Some((time, signatures)) = header.to_str().ok().and_then(parse) else {
            return reject("the Stockade-Signature header must read t=<unix seconds>,v1=<hex>");
        };
        // Verify the signature before trusting its time.
        let parts = [time.as_bytes(), b".", body];
        if !is_signed(self.keys.iter().cloned(), &parts, &signatures) {
            return reject("the signature is invalid");
        }
        if is_recent(time, (self.now)()) {
            return Ok(());
        }
        reject("the signature's time differs by more than five minutes")
    }
}

/// Whether one of the keyed MACs makes one of the signatures over the joined parts.
/// Tries every key with every signature in constant time, so that the duration does
/// not tell which matched or how closely.
pub fn is_signed<M: Mac>(
    keyed: impl Iterator<Item = M>,
    parts: &[&[u8]],
    signatures: &[impl AsRef<[u8]>],
) -> bool {
    let mut any = Choice::from(0);
    for mut mac in keyed {
        for part in parts {
            mac.update(part);
        }
        let expected = mac.finalize().into_bytes();
        for signature in signatures.iter().take(SIGNATURES_MAX) {
            any |= expected.as_slice().ct_eq(signature.as_ref());
        }
    }
    any.into()
}

/// Whether a signed time, in seconds since 1970, is within the tolerance.
pub fn is_recent(time: &str, now: i64) -> bool {
    time.parse::<i64>().is_ok_and(|time| time.abs_diff(now) <= TOLERANCE_SECONDS)
}

/// Parses the header into the time, as written, and the well-formed signatures.
/// Stripe's header has the same form.
pub fn parse(header: &str) -> Option<(&str, Vec<[u8; 32]>)> {
    let mut time = None;
    let mut signatures = Vec::new();
    for (name, value) in header.split(',').filter_map(|part| part.trim().split_once('=')) {
        match name {
            "t" => {
                let is_digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
                // With two times it is ambiguous which one was signed.
                if !is_digits || time.replace(value).is_some() {
                    return None;
                }
            }
            "v1" if signatures.len() < SIGNATURES_MAX => signatures.extend(from_hex(value)),
            _ => {}
        }
    }
    Some((time?, signatures))
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    const NOW: i64 = 1_700_000_000;
    const BODY: &[u8] = br#"{"status":"paid"}"#;

    fn verifier(secrets: &str) -> Verifier {
        let mut settings = Settings::default();
        settings.set("webhook_secret", secrets).unwrap();
        Verifier::with_clock(&settings.webhook_secret, || NOW)
    }

    fn v1(secret: &str, time: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{time}.").as_bytes());
        mac.update(body);
        let bytes = mac.finalize().into_bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn passes(verifier: &Verifier, header: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, header.parse().unwrap());
        verifier.check(&headers, BODY).is_ok()
    }

    #[test]
    fn valid_signatures_are_accepted_within_five_minutes() {
        let verifier = verifier("hush");
        for (age, good) in [(0, true), (300, true), (-300, true), (301, false), (-301, false)] {
            let time = NOW - age;
            let header = format!("t={time},v1={}", v1("hush", time, BODY));
            assert_eq!(passes(&verifier, &header), good, "age {age}");
        }
    }

    #[test]
    fn signature_matches_the_reference_vector() {
        // Computed with Python's hmac module.
        let header =
            "t=1700000000,v1=8d60d703a84e5c0ca8f9a07dde9bcea21af433840e7ee22049d6047bae03b0f7";
        assert_eq!(header, format!("t={NOW},v1={}", v1("hush", NOW, BODY)));
    }

    #[test]
    fn invalid_headers_are_rejected() {
        let verifier = verifier("hush");
        let right = v1("hush", NOW, BODY);
        let wrong = v1("guess", NOW, BODY);
        for bad in [
            String::new(),
            format!("v1={right}"),
            format!("t={NOW}"),
            format!("t={NOW},v1="),
            format!("t={NOW},v1={wrong}"),
            format!("t={NOW},v1={}", &right[..62]),
            format!("t={NOW},v0={right}"),
            format!("t=+{NOW},v1={right}"),
            format!("t={},v1={right}", NOW - 1),
            format!("t={NOW},t={NOW},v1={right}"),
            format!("t={NOW},v1={}", v1("hush", NOW, b"{}")),
        ] {
            assert!(!passes(&verifier, &bad), "{bad}");
        }
        assert!(verifier.check(&HeaderMap::new(), BODY).is_err());
    }

    #[test]
    fn secrets_can_be_rotated() {
        let (old, new) = (v1("old", NOW, BODY), v1("new", NOW, BODY));
        let both = verifier("new,old");
        assert!(passes(&both, &format!("t={NOW},v1={old}")));
        assert!(passes(&both, &format!("t={NOW},v1={new}")));
        assert!(passes(&verifier("new"), &format!("t={NOW}, v1={old}, v1={new}")));
        assert!(passes(&verifier("new"), &format!("t={NOW},v1={new},v1={old}")));
        assert!(!passes(&verifier("new"), &format!("t={NOW},v1={old}")));
        assert!(!passes(&verifier("new"), &format!("t={NOW},v1={old},v1={old}")));
        // Signatures beyond the limit are ignored, even valid ones.
        let many = format!("t={NOW}{},v1={new}", format!(",v1={old}").repeat(SIGNATURES_MAX));
        assert!(!passes(&verifier("new"), &many));
    }

    #[test]
    fn without_a_secret_no_signature_is_required() {
        assert!(verifier("").check(&HeaderMap::new(), BODY).is_ok());
    }
}
