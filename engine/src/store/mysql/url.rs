//! The URL of a MySQL or MariaDB database, and the connection that it asks for.

use std::path::Path;

use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use url::Url;

use crate::store::error::{Fault, StoreError, StoreResult};

/// The query's names, each with the other spelling that drivers know.
const NAMES: [(&str, &str); 5] = [
    ("ssl-mode", "sslmode"),
    ("ssl-ca", "sslca"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
    ("socket", "socket"),
];
const MODES: &str = "DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY";

/// Where a database is and how it is connected to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub options: MySqlConnectOptions,
    pub mode: SslMode,
    /// Whether a certificate of the client's is shown.
    pub has_client_cert: bool,
}

/// Whether the connection is encrypted, and what is known of the server then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SslMode {
    Disabled,
    Preferred,
    Required,
    VerifyCa,
    VerifyIdentity,
}

impl SslMode {
    fn of(text: &str) -> Option<Self> {
        // `VERIFY_CA` and `verify-ca` alike.
        Some(match text.to_ascii_uppercase().replace('-', "_").as_str() {
            "DISABLED" => Self::Disabled,
            "PREFERRED" => Self::Preferred,
            "REQUIRED" => Self::Required,
            "VERIFY_CA" => Self::VerifyCa,
            "VERIFY_IDENTITY" => Self::VerifyIdentity,
            _ => return None,
        })
    }

    fn driver(self) -> MySqlSslMode {
        match self {
            Self::Disabled => MySqlSslMode::Disabled,
            Self::Preferred => MySqlSslMode::Preferred,
            Self::Required => MySqlSslMode::Required,
            Self::VerifyCa => MySqlSslMode::VerifyCa,
            Self::VerifyIdentity => MySqlSslMode::VerifyIdentity,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Disabled => "DISABLED",
            Self::Preferred => "PREFERRED",
            Self::Required => "REQUIRED",
            Self::VerifyCa => "VERIFY_CA",
            Self::VerifyIdentity => "VERIFY_IDENTITY",
        }
    }
}

impl Target {
    /// The server, as messages name it.
    pub fn server(&self) -> String {
        match self.options.get_socket() {
            Some(socket) => format!("the socket file {}", socket.display()),
            None => format!("{}:{}", self.options.get_host(), self.options.get_port()),
        }
    }

    /// Reads a store's URL. No part of it stands in an error but the names and
    /// values of its query, since the rest may be a password.
    pub fn of(text: &str) -> StoreResult<Self> {
        let url = Url::parse(text).map_err(|error| {
            refused(format!(
                "the store's URL cannot be read ({error}): it is \
                 mysql://USER:PASSWORD@HOST:PORT/DATABASE, where other characters than letters and \
                 digits in user and password are percent-encoded, such as # as %23 and / as %2F"
            ))
        })?;
        if url.fragment().is_some() {
            return Err(refused("the store's URL has a #, which is written %23 in a password"));
        }
        if url.path().contains('@') {
            return Err(refused("the store's URL has a / before its @, which is written %2F"));
        }
        let mut mode = None;
        let (mut ca, mut cert, mut key, mut socket) = (None, None, None, None);
        for (name, value) in url.query_pairs() {
            let Some((known, _)) = NAMES.iter().find(|(a, b)| *a == name || *b == name) else {
                let known = NAMES.map(|(name, _)| name).join(", ");
                // It may be the rest of a password with a ? in it.
                let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                let name = if name.bytes().all(is_name) { name } else { "…".into() };
                return Err(refused(format!(
                    "the store's URL sets `{name}`, which is unknown: it may set {known}"
                )));
            };
            let value = value.into_owned();
            if value.is_empty() {
                return Err(refused(format!("the store's URL sets `{known}` to nothing")));
            }
            let before = match *known {
                "ssl-mode" => {
                    let Some(read) = SslMode::of(&value) else {
                        let why = format!("ssl-mode is {MODES}, not `{value}`");
                        return Err(refused(why));
                    };
                    mode.replace(read).map(drop)
                }
                "ssl-ca" => ca.replace(value).map(drop),
                "ssl-cert" => cert.replace(value).map(drop),
                "ssl-key" => key.replace(value).map(drop),
                _ => socket.replace(value).map(drop),
            };
            if before.is_some() {
                return Err(refused(format!("the store's URL sets `{known}` twice")));
            }
        }
        // As the servers' own clients do: a CA that is named is meant to be used.
        let unset = if ca.is_some() { SslMode::VerifyCa } else { SslMode::Preferred };
        let mode = mode.unwrap_or(unset);
        check_tls(mode, ca.as_deref(), cert.as_deref(), key.as_deref())?;
        let mut bare = url;
        bare.set_query(None);
        let options = MySqlConnectOptions::from_url(&bare).map_err(super::store_error)?;
        let host = options.get_host();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = host.to_owned();
        let mut options = options
            .host(&host)
            .ssl_mode(mode.driver())
            // All of it is set by one text of our own.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false);
        if let Some(socket) = &socket {
            options = options.socket(socket);
        }
        if let Some(ca) = &ca {
            options = options.ssl_ca(ca);
        }
        let has_client_cert = cert.is_some();
        if let (Some(cert), Some(key)) = (&cert, &key) {
            options = options.ssl_client_cert(cert).ssl_client_key(key);
        }
        Ok(Self { options, mode, has_client_cert })
    }
}

fn check_tls(
    mode: SslMode,
    ca: Option<&str>,
    cert: Option<&str>,
    key: Option<&str>,
) -> StoreResult<()> {
    if !cfg!(feature = "tls") && (mode > SslMode::Preferred || ca.is_some() || cert.is_some()) {
        return Err(refused(format!(
            "ssl-mode={} needs TLS, which this build has not: build it with the feature `tls`",
            mode.name()
        )));
    }
    if ca.is_some() && mode < SslMode::VerifyCa {
        return Err(refused(format!(
            "ssl-ca is not looked at with ssl-mode={}: set ssl-mode to VERIFY_CA or VERIFY_IDENTITY",
            mode.name()
        )));
    }
    if cert.is_some() != key.is_some() {
        return Err(refused("ssl-cert and ssl-key go together: the URL sets only one of them"));
    }
    if cert.is_some() && mode == SslMode::Disabled {
        return Err(refused("ssl-cert is of no use with ssl-mode=DISABLED"));
    }
    for (name, file, wanted) in [
        ("ssl-ca", ca, "-----BEGIN CERTIFICATE-----"),
        ("ssl-cert", cert, "-----BEGIN CERTIFICATE-----"),
        ("ssl-key", key, "PRIVATE KEY-----"),
    ] {
        if let Some(file) = file {
            check_file(name, Path::new(file), wanted)?;
        }
    }
    Ok(())
}

/// The driver would say of a file that cannot be read only that it is not there,
/// and takes one without any certificate for an empty list.
fn check_file(name: &str, file: &Path, wanted: &str) -> StoreResult<()> {
    let shown = file.display();
    let content = std::fs::read(file)
        .map_err(|error| refused(format!("{name}: cannot read {shown}: {error}")))?;
    let has_it = content.windows(wanted.len()).any(|part| part == wanted.as_bytes());
    if !has_it {
        let why = format!("{name}: {shown} has no PEM text with `{wanted}` in it");
        return Err(refused(why));
    }
    Ok(())
}

fn refused(why: impl Into<String>) -> StoreError {
    StoreError::new(Fault::Unknown, why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        let error = Target::of(url).expect_err(url);
        assert_eq!(error.fault, Fault::Unknown, "{url}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
        error.to_string()
    }

    #[test]
    fn a_url_says_where_the_database_is() {
        let read = |url: &str| Target::of(url).expect(url);
        let plain = read("mysql://root@127.0.0.1:15306/shop");
        assert_eq!(plain.mode, SslMode::Preferred);
        assert_eq!(plain.server(), "127.0.0.1:15306");
        assert_eq!(plain.options.get_database(), Some("shop"));
        assert_eq!(read("mariadb://root@db/shop").server(), "db:3306");
        assert_eq!(read("mysql://root@[::1]:3307/shop").options.get_host(), "::1");
        let socket = read("mysql://root@localhost/shop?socket=/run/my%20sql.sock");
        assert_eq!(socket.server(), "the socket file /run/my sql.sock");
        assert_eq!(read("mysql://a%40b:%2F%23@db/x").options.get_username(), "a@b");
        let mode = |text: &str| read(&format!("mysql://root@db/shop?ssl-mode={text}")).mode;
        assert_eq!(mode("disabled"), SslMode::Disabled);
        if cfg!(feature = "tls") {
            assert_eq!(mode("REQUIRED"), SslMode::Required);
            assert_eq!(mode("verify-ca"), SslMode::VerifyCa);
            assert_eq!(mode("VERIFY_IDENTITY"), SslMode::VerifyIdentity);
            assert_eq!(read("mysql://root@db/shop?sslmode=REQUIRED").mode, SslMode::Required);
        } else {
            assert!(refusal("mysql://root@db/shop?ssl-mode=REQUIRED").contains("feature `tls`"));
        }
    }

    #[test]
    fn a_url_that_asks_for_what_is_unknown_is_refused_by_name() {
        for (url, named) in [
            ("mysql://u:s3cret#x@db/shop", "percent-encoded"),
            ("mysql://u:s3cret@db/shop#x", "%23"),
            ("mysql://u:s3cret/x@db/shop", "percent-encoded"),
            ("mysql://u:12345/s3cret@db/shop", "%2F"),
            ("mysql://u:12345?s3cret@db/shop", "`…`"),
            ("mysql://u:s3cret@db:port/shop", "percent-encoded"),
            ("mysql://u:s3cret@db/shop?sslaccept=strict", "`sslaccept`"),
            ("mysql://u:s3cret@db/shop?charset=latin1", "`charset`"),
            ("mysql://u:s3cret@db/shop?ssl-mode=on", "VERIFY_IDENTITY"),
            ("mysql://u:s3cret@db/shop?ssl-mode=DISABLED&sslmode=DISABLED", "twice"),
            ("mysql://u:s3cret@db/shop?socket=", "`socket`"),
        ] {
            assert!(refusal(url).contains(named), "{url}: {}", refusal(url));
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn files_that_cannot_be_used_are_refused_by_their_setting() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let ca = file("ca.pem", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
        let key = file("key.pem", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n");
        let empty = file("empty.pem", "");
        let at = |query: &str| format!("mysql://u:s3cret@db/shop?{query}");
        assert_eq!(
            Target::of(&at(&format!("ssl-ca={ca}"))).expect("reads").mode,
            SslMode::VerifyCa
        );
        let both = Target::of(&at(&format!("ssl-cert={ca}&ssl-key={key}"))).expect("reads");
        assert!(both.has_client_cert);
        for (query, named) in [
            (format!("ssl-ca={ca}&ssl-mode=REQUIRED"), "ssl-ca is not looked at"),
            (format!("ssl-ca={empty}"), "ssl-ca: "),
            ("ssl-ca=/nowhere/ca.pem".to_owned(), "ssl-ca: cannot read /nowhere/ca.pem"),
            (format!("ssl-cert={ca}"), "go together"),
            (format!("ssl-cert={ca}&ssl-key={ca}"), "ssl-key: "),
            (format!("ssl-cert={ca}&ssl-key={key}&ssl-mode=DISABLED"), "DISABLED"),
        ] {
            assert!(refusal(&at(&query)).contains(named), "{query}: {}", refusal(&at(&query)));
        }
    }
}
