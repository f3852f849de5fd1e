//! Parses the URL of a MySQL or MariaDB database.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use url::Url;

use crate::store::error::{Fault, StoreError, StoreResult};

/// The query's names, each with the spelling of other drivers.
const NAMES: [(&str, &str); 5] = [
    ("ssl-mode", "sslmode"),
    ("ssl-ca", "sslca"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
    ("socket", "socket"),
];
const MODES: &str = "DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY";

/// Where a database is and how to connect to it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub options: MySqlConnectOptions,
    /// Whether the client presents a certificate.
    pub has_client_cert: bool,
}

impl Target {
    pub fn mode_name(&self) -> &'static str {
        mode_name(self.options.get_ssl_mode())
    }

    /// The server, as messages name it.
    pub fn server(&self) -> String {
        match self.options.get_socket() {
            Some(socket) => format!("the socket file {}", socket.display()),
            None => format!("{}:{}", self.options.get_host(), self.options.get_port()),
        }
    }

    /// Parses a store's URL. An error quotes only the names and values of its query,
    /// since the rest may be a password.
    pub fn parse(text: &str) -> StoreResult<Self> {
        let mut url = Url::parse(text).map_err(|error| {
            invalid(format!(
                "cannot parse the store's URL ({error}): write \
                 mysql://USER:PASSWORD@HOST:PORT/DATABASE, and percent-encode other characters than \
                 letters and digits in user and password, such as # as %23 and / as %2F"
            ))
        })?;
        if url.fragment().is_some() {
            return Err(invalid("the store's URL has a #: write %23 for it in a password"));
        }
        if url.path().contains('@') {
            return Err(invalid("the store's URL has a / before its @: write %2F for it"));
        }
        let query = parse_query(&url)?;
        let get = |name| query.get(name).map(String::as_str);
        let (ca, cert, key) = (get("ssl-ca"), get("ssl-cert"), get("ssl-key"));
        let mode = match get("ssl-mode") {
            // `VERIFY_CA` and `verify-ca` alike.
            Some(text) => (text.replace('-', "_").parse())
                .map_err(|_| invalid(format!("ssl-mode is {MODES}, not `{text}`")))?,
            // As the servers' own clients do: a CA that is named is meant to be used.
            None if ca.is_some() => MySqlSslMode::VerifyCa,
            None => MySqlSslMode::Preferred,
        };
        check_tls(mode, ca, cert, key)?;
        url.set_query(None);
        let options = MySqlConnectOptions::from_url(&url).map_err(super::store_error)?;
        let host = options.get_host();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = host.to_owned();
        let mut options = options
            .host(&host)
            .ssl_mode(mode)
            // The session's own text sets all of this.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false);
        if let Some(socket) = get("socket") {
            options = options.socket(socket);
        }
        if let Some(ca) = ca {
            options = options.ssl_ca(ca);
        }
        if let (Some(cert), Some(key)) = (cert, key) {
            options = options.ssl_client_cert(cert).ssl_client_key(key);
        }
        Ok(Self { options, has_client_cert: cert.is_some() })
    }
}

fn parse_query(url: &Url) -> StoreResult<BTreeMap<&'static str, String>> {
    let mut query = BTreeMap::new();
    for (name, value) in url.query_pairs() {
        let Some((known, _)) = NAMES.iter().find(|(a, b)| *a == name || *b == name) else {
            let known = NAMES.map(|(name, _)| name).join(", ");
            // It may be the rest of a password with a ? in it.
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            let name = if name.bytes().all(is_name) { name } else { "…".into() };
            let why = format!("the store's URL sets the unknown `{name}`: it may set {known}");
            return Err(invalid(why));
        };
        if value.is_empty() {
            return Err(invalid(format!("the store's URL sets `{known}` to an empty value")));
        }
        if query.insert(*known, value.into_owned()).is_some() {
            return Err(invalid(format!("the store's URL sets `{known}` twice: remove one")));
        }
    }
    Ok(query)
}

fn mode_name(mode: MySqlSslMode) -> &'static str {
    match mode {
        MySqlSslMode::Disabled => "DISABLED",
        MySqlSslMode::Preferred => "PREFERRED",
        MySqlSslMode::Required => "REQUIRED",
        MySqlSslMode::VerifyCa => "VERIFY_CA",
        MySqlSslMode::VerifyIdentity => "VERIFY_IDENTITY",
    }
}

fn check_tls(
    mode: MySqlSslMode,
    ca: Option<&str>,
    cert: Option<&str>,
    key: Option<&str>,
) -> StoreResult<()> {
    let name = mode_name(mode);
    let is_optional = matches!(mode, MySqlSslMode::Disabled | MySqlSslMode::Preferred);
    if !cfg!(feature = "tls") && (!is_optional || ca.is_some() || cert.is_some()) {
        return Err(invalid(format!(
            "ssl-mode={name} needs TLS, which this build lacks: build it with the feature `tls`"
        )));
    }
    let verifies = matches!(mode, MySqlSslMode::VerifyCa | MySqlSslMode::VerifyIdentity);
    if ca.is_some() && !verifies {
        return Err(invalid(format!(
            "ssl-ca is ignored with ssl-mode={name}: set ssl-mode to VERIFY_CA or VERIFY_IDENTITY"
        )));
    }
    if cert.is_some() != key.is_some() {
        return Err(invalid("the store's URL sets only one of ssl-cert and ssl-key: set both"));
    }
    if cert.is_some() && matches!(mode, MySqlSslMode::Disabled) {
        return Err(invalid("ssl-cert is ignored with ssl-mode=DISABLED: remove one of them"));
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

/// Checks a PEM file: the driver reports any unreadable file as missing, and reads
/// one without certificates as an empty list.
fn check_file(name: &str, file: &Path, wanted: &str) -> StoreResult<()> {
    let shown = file.display();
    let content = std::fs::read(file)
        .map_err(|error| invalid(format!("{name}: cannot read {shown}: {error}")))?;
    if content.windows(wanted.len()).any(|part| part == wanted.as_bytes()) {
        return Ok(());
    }
    Err(invalid(format!("{name}: {shown} has no PEM text with `{wanted}`")))
}

fn invalid(why: impl Into<String>) -> StoreError {
    StoreError::new(Fault::Unknown, why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        let error = Target::parse(url).expect_err(url);
        assert_eq!(error.fault, Fault::Unknown, "{url}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
        error.to_string()
    }

    #[test]
    fn a_url_names_server_database_and_mode() {
        let read = |url: &str| Target::parse(url).expect(url);
        let plain = read("mysql://root@127.0.0.1:15306/shop");
        assert_eq!(plain.mode_name(), "PREFERRED");
        assert_eq!(plain.server(), "127.0.0.1:15306");
        assert_eq!(plain.options.get_database(), Some("shop"));
        assert_eq!(read("mariadb://root@db/shop").server(), "db:3306");
        assert_eq!(read("mysql://root@[::1]:3307/shop").options.get_host(), "::1");
        let socket = read("mysql://root@localhost/shop?socket=/run/my%20sql.sock");
        assert_eq!(socket.server(), "the socket file /run/my sql.sock");
        assert_eq!(read("mysql://a%40b:%2F%23@db/x").options.get_username(), "a@b");
        let mode = |text: &str| read(&format!("mysql://root@db/shop?ssl-mode={text}")).mode_name();
        assert_eq!(mode("disabled"), "DISABLED");
        if cfg!(feature = "tls") {
            assert_eq!(mode("REQUIRED"), "REQUIRED");
            assert_eq!(mode("verify-ca"), "VERIFY_CA");
            assert_eq!(mode("VERIFY_IDENTITY"), "VERIFY_IDENTITY");
            assert_eq!(read("mysql://root@db/shop?sslmode=REQUIRED").mode_name(), "REQUIRED");
        } else {
            assert!(refusal("mysql://root@db/shop?ssl-mode=REQUIRED").contains("feature `tls`"));
        }
    }

    #[test]
    fn an_invalid_url_is_rejected_without_its_password() {
        for (url, named) in [
            ("mysql://u:s3cret#x@db/shop", "percent-encode"),
            ("mysql://u:s3cret@db/shop#x", "%23"),
            ("mysql://u:s3cret/x@db/shop", "percent-encode"),
            ("mysql://u:12345/s3cret@db/shop", "%2F"),
            ("mysql://u:12345?s3cret@db/shop", "`…`"),
            ("mysql://u:s3cret@db:port/shop", "percent-encode"),
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
    fn unusable_files_are_rejected_by_their_setting() {
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
            Target::parse(&at(&format!("ssl-ca={ca}"))).expect("reads").mode_name(),
            "VERIFY_CA"
        );
        let both = Target::parse(&at(&format!("ssl-cert={ca}&ssl-key={key}"))).expect("reads");
        assert!(both.has_client_cert);
        for (query, named) in [
            (format!("ssl-ca={ca}&ssl-mode=REQUIRED"), "ssl-ca is ignored"),
            (format!("ssl-ca={empty}"), "ssl-ca: "),
            ("ssl-ca=/nowhere/ca.pem".to_owned(), "ssl-ca: cannot read /nowhere/ca.pem"),
            (format!("ssl-cert={ca}"), "set both"),
            (format!("ssl-cert={ca}&ssl-key={ca}"), "ssl-key: "),
            (format!("ssl-cert={ca}&ssl-key={key}&ssl-mode=DISABLED"), "DISABLED"),
        ] {
            assert!(refusal(&at(&query)).contains(named), "{query}: {}", refusal(&at(&query)));
        }
    }
}
