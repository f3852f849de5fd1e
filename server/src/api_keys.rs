//! The API keys of the settings: names, scopes, and the digests that secrets
//! are compared by.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::caller::{Caller, Scope};
use crate::command_error::CommandError;
use crate::settings::{Anonymous, Settings, Value};
use crate::values;

/// The longest name of a key.
const NAME_CHARS_MAX: usize = 64;

/// The shortest secret of a named key: 16 random characters cannot be guessed
/// over a network.
const SECRET_CHARS_MIN: usize = 16;

/// An API key with a name and a scope. `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct NamedKey {
    name: String,
    scope: Scope,
    secret: String,
}

impl NamedKey {
    /// Parses `name:scope:secret`. The error never repeats the text, which may
    /// be a secret.
    fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':');
        let (Some(name), Some(scope), Some(secret)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err("expected name:scope:secret".to_owned());
        };
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=NAME_CHARS_MAX).contains(&name.len()) || !name.bytes().all(is_of_name) {
            return Err(format!(
                "the name of a key has 1 to {NAME_CHARS_MAX} of the characters A-Z, a-z, 0-9, dot, \
                 underscore and hyphen"
            ));
        }
        let scope = scope.parse()?;
        // A header carries it, and a comma separates keys.
        let is_of_secret = |byte: u8| byte.is_ascii_graphic() && byte != b',';
        if secret.len() < SECRET_CHARS_MIN || !secret.bytes().all(is_of_secret) {
            return Err(format!(
                "the secret of a key has at least {SECRET_CHARS_MIN} characters, all of ASCII, \
                 without white space and commas"
            ));
        }
        Ok(Self { name: name.to_owned(), scope, secret: secret.to_owned() })
    }
}

impl fmt::Debug for NamedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:(hidden)", self.name, self.scope.as_str())
    }
}

/// The keys of the setting `api_keys`.
#[derive(Debug, Clone, Default)]
pub struct NamedKeys(Vec<NamedKey>);

impl NamedKeys {
    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Value for NamedKeys {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let numbered = |(at, one): (usize, &str)| {
            NamedKey::parse(one.trim()).map_err(|why| format!("key {}: {why}", at + 1))
        };
        text.split(',').enumerate().map(numbered).collect::<Result<_, _>>().map(Self)
    }
}

/// Reads the keys of a file: one a line, besides empty lines and comments.
fn read_file(path: &Path) -> Result<Vec<NamedKey>, CommandError> {
    let shown = path.display();
    let wrong = |why: String| CommandError::Setup(format!("api_keys_file {shown}{why}"));
    let file = File::open(path).map_err(|error| wrong(format!(": {error}")))?;
    if is_readable_by_others(&file) {
        tracing::warn!(
            "api_keys_file {shown} is readable by every user of this machine: chmod 600"
        );
    }
    let text = values::read_bounded(file).map_err(|why| wrong(format!(": {why}")))?;
    let mut keys = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            keys.push(
                NamedKey::parse(line).map_err(|why| wrong(format!(", line {}: {why}", at + 1)))?,
            );
        }
    }
    // An empty file would leave the server open.
    if keys.is_empty() { Err(wrong(" has no key".to_owned())) } else { Ok(keys) }
}

#[cfg(unix)]
fn is_readable_by_others(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|known| known.is_file() && known.mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &File) -> bool {
    false
}

/// A key as it is compared: SHA-256 digests all have one length, so that a
/// comparison leaks no length.
#[derive(Debug)]
struct KnownKey {
    digest: [u8; 32],
    caller: Caller,
}

/// All API keys of a server.
#[derive(Debug)]
pub struct ApiKeys(Vec<KnownKey>);

impl ApiKeys {
    /// Collects the keys of the settings `api_key`, which are of operators and
    /// named by their position, `api_keys` and `api_keys_file`.
    ///
    /// # Errors
    /// A file that cannot be read or parsed, two keys of one name or secret, or
    /// restricted keyless callers without any key.
    pub fn load(settings: &Settings) -> Result<Self, CommandError> {
        let mut unnamed: Vec<&str> = Vec::new();
        for secret in settings.api_key.iter() {
            // As it was before keys had names, one may be repeated.
            if !unnamed.contains(&secret) {
                unnamed.push(secret);
            }
        }
        let operators = unnamed.into_iter().zip(1..).map(|(secret, number)| NamedKey {
            name: format!("operator-{number}"),
            scope: Scope::Operate,
            secret: secret.to_owned(),
        });
        let mut keys: Vec<_> = operators.chain(settings.api_keys.0.iter().cloned()).collect();
        if !settings.api_keys_file.is_empty() {
            keys.extend(read_file(Path::new(&settings.api_keys_file))?);
        }
        let mut known = Self(Vec::with_capacity(keys.len()));
        let (mut names, mut digests) = (HashSet::new(), HashSet::new());
        for NamedKey { name, scope, secret } in keys {
            let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
            if !digests.insert(digest) {
                return Err(CommandError::Setup(format!(
                    "the API key {name} has the secret of another one"
                )));
            }
            if !names.insert(name.clone()) {
                return Err(CommandError::Setup(format!("two API keys have the name {name}")));
            }
            let caller = Caller::with_key(Arc::from(name), scope);
            known.0.push(KnownKey { digest, caller });
        }
        if known.is_empty() && settings.anonymous != Anonymous::default() {
            let why = "the setting anonymous restricts callers without an API key, and without any \
                       key every caller may do everything: set api_keys";
            return Err(CommandError::Setup(why.to_owned()));
        }
        Ok(known)
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the caller that has this secret. All keys are compared, each in
    /// constant time, so that the duration tells neither which matches nor how
    /// closely.
    pub fn find(&self, secret: &[u8]) -> Option<&Caller> {
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let (mut any, mut found) = (Choice::from(0), 0_u64);
        for (at, key) in (0_u64..).zip(&self.0) {
            let matches = key.digest.ct_eq(&digest);
            found.conditional_assign(&at, matches);
            any |= matches;
        }
        let found = usize::try_from(found).ok().filter(|_| any.into())?;
        self.0.get(found).map(|key| &key.caller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(settings: &[(&str, &str)]) -> Result<ApiKeys, String> {
        let mut all = Settings::default();
        for (name, value) in settings {
            all.set(name, value)?;
        }
        ApiKeys::load(&all).map_err(|error| error.to_string())
    }

    #[test]
    fn each_secret_finds_its_key_and_no_other() {
        let keys = load(&[
            ("api_key", "alpha,beta"),
            ("api_keys", "shop:sell:shop-secret-0000, feed:read:a:b:c:d:e:f:g:h:i"),
        ])
        .unwrap();
        for (secret, name, scope) in [
            ("alpha", "operator-1", Scope::Operate),
            ("beta", "operator-2", Scope::Operate),
            ("shop-secret-0000", "shop", Scope::Sell),
            ("a:b:c:d:e:f:g:h:i", "feed", Scope::Read),
        ] {
            let caller = keys.find(secret.as_bytes()).unwrap();
            assert_eq!(
                (caller.name().map(|name| &**name), caller.scope()),
                (Some(name), Some(scope))
            );
        }
        for unknown in ["", "alph", "alpha,beta", "shop:sell:shop-secret-0000", "shop-secret-000"] {
            assert!(keys.find(unknown.as_bytes()).is_none(), "{unknown}");
        }
        assert!(load(&[]).unwrap().find(b"").is_none());
    }

    #[test]
    fn malformed_keys_are_refused_without_their_secret() {
        let long = format!("{}:read:hush-hush-hush-hush", "n".repeat(65));
        for (setting, says) in [
            ("hush-hush-hush-hush", "key 1: expected name:scope:secret"),
            ("shop:hush-hush-hush-hush", "expected name:scope:secret"),
            (":read:hush-hush-hush-hush", "the name of a key"),
            ("a b:read:hush-hush-hush-hush", "the name of a key"),
            ("a/b:read:hush-hush-hush-hush", "the name of a key"),
            (&long, "the name of a key"),
            ("shop:hush:hush-hush-hush-hush", "the scope read, sell or operate"),
            ("shop::hush-hush-hush-hush", "the scope read, sell or operate"),
            ("shop:sell:hush-hush-hush", "at least 16"),
            ("shop:sell:hush hush hush hush", "white space"),
            ("shop:sell:hush-hush-hush-hush\u{e4}", "ASCII"),
            ("a:read:hush-hush-hush-hush,,", "key 2"),
        ] {
            let mut settings = Settings::default();
            let refused = settings.set("api_keys", setting).unwrap_err();
            assert!(refused.contains(says), "{setting}: {refused}");
            assert!(!refused.contains("hush"), "{refused}");
        }
        let mut settings = Settings::default();
        settings.set("api_keys", "shop:sell:hush-hush-hush-hush").unwrap();
        assert!(!format!("{settings:?}").contains("hush"), "{settings:?}");
    }

    #[test]
    fn names_and_secrets_are_unique() {
        for (settings, says) in [
            (&[("api_keys", "a:read:hush-hush-hush-1,a:sell:hush-hush-hush-2")][..], "the name a"),
            (&[("api_keys", "a:read:hush-hush-hush-1,b:sell:hush-hush-hush-1")], "key b has"),
            (&[("api_key", "k"), ("api_keys", "operator-1:read:hush-hush-hush-1")], "operator-1"),
            (&[("api_key", "hush-hush-hush-1"), ("api_keys", "a:read:hush-hush-hush-1")], "key a"),
        ] {
            let refused = load(settings).unwrap_err();
            assert!(refused.contains(says) && !refused.contains("hush"), "{refused}");
        }
        assert_eq!(load(&[("api_key", "k,k,other")]).unwrap().0.len(), 2);
    }

    #[test]
    fn keyless_callers_are_restricted_only_where_there_are_keys() {
        for anonymous in ["read", "none"] {
            assert!(load(&[("anonymous", anonymous)]).unwrap_err().contains("anonymous"));
            assert!(load(&[("anonymous", anonymous), ("api_key", "k")]).is_ok());
        }
        assert!(load(&[("anonymous", "sell")]).unwrap().is_empty());
    }
}
