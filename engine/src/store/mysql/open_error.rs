//! Explains why a store cannot be opened, and which setting to change. The message
//! names server, user and database and quotes the server's error, never the
//! password.

use std::io::ErrorKind;

use sqlx::mysql::MySqlSslMode;

use super::errors::server_error_number;
use super::url::Target;
use crate::store::error::{Fault, StoreError};

/// Turns an error of opening the store into a [`Fault::Refused`] with a message for
/// the operator, also where a running engine would retry.
pub(super) fn explain(error: StoreError, target: &Target) -> StoreError {
    if error.is_actionable {
        return StoreError { fault: Fault::Refused, ..error };
    }
    let message = match error.source.downcast_ref::<sqlx::Error>() {
        Some(cause) => driver_message(cause, target, error.fault),
        None if error.fault == Fault::Lost => {
            Some(format!("{} cannot be used: {}", target.server(), error.source))
        }
        None => None,
    };
    match message {
        Some(message) => StoreError::actionable(Fault::Refused, message),
        None => error,
    }
}

fn driver_message(error: &sqlx::Error, target: &Target, fault: Fault) -> Option<String> {
    let (server, user) = (target.server(), target.options.get_username());
    match error {
        sqlx::Error::Database(cause) => {
            let cause = cause.message();
            let is_explained = fault == Fault::Lost || fault == Fault::Exhausted;
            server_error_number(error)
                .and_then(|number| server_message(number, cause, target))
                .or_else(|| is_explained.then(|| format!("{server} cannot be used: {cause}")))
        }
        sqlx::Error::Io(error) => Some(io_message(error, target)),
        sqlx::Error::Tls(error) => Some(tls_message(&error.to_string(), target)),
        sqlx::Error::Protocol(cause) if cause.contains("authentication plugin") => Some(format!(
            "{server} asks user `{user}` for an unsupported authentication method ({cause}): let \
             the account use caching_sha2_password or, on MariaDB, mysql_native_password"
        )),
        sqlx::Error::Configuration(cause) if cause.to_string().contains("cleartext") => {
            Some(format!(
                "{server} asks user `{user}` for the password in clear text, which Stockade does \
                 not send: let the account use caching_sha2_password"
            ))
        }
        sqlx::Error::Protocol(cause) => Some(format!(
            "{server} does not respond as a MySQL server ({cause}): check host and port; if it is \
             a proxy without an RSA key, set ssl-mode=REQUIRED"
        )),
        _ if fault == Fault::Lost => Some(format!("{server} cannot be used: {error}")),
        _ => None,
    }
}

fn server_message(number: u16, cause: &str, target: &Target) -> Option<String> {
    let (server, user) = (target.server(), target.options.get_username());
    let database = target.options.get_database().unwrap_or_default();
    Some(match number {
        1045 | 1698 => {
            let is_socket = target.options.get_socket().is_some();
            let tls = match (target.options.get_ssl_mode(), target.has_client_cert) {
                // The server reads the request for its RSA key as the password.
                (MySqlSslMode::Disabled, _) if is_socket => {
                    "; over a socket file caching_sha2_password needs TLS: leave out ssl-mode"
                }
                (MySqlSslMode::Disabled, _) => {
                    "; if the account or the server requires TLS, set ssl-mode=REQUIRED"
                }
                (_, false) => "; an account that requires a certificate needs ssl-cert and ssl-key",
                _ => "",
            };
            format!(
                "{server} rejects user `{user}` or the password ({number}: {cause}): check both in \
                 the store's URL, where special characters are percent-encoded{tls}"
            )
        }
        1044 => format!(
            "user `{user}` has no privilege on database `{database}` on {server} ({number}): GRANT \
             it, or name another database in the store's URL"
        ),
        1049 => format!(
            "there is no database `{database}` on {server} ({number}): create it, or name another \
             one in the store's URL"
        ),
        1129 => format!(
            "{server} has blocked this host after too many failed connections ({number}: {cause}): \
             run FLUSH HOSTS or TRUNCATE performance_schema.host_cache there"
        ),
        1042 | 1130 => format!(
            "{server} accepts no connections from this host ({number}: {cause}): allow user \
             `{user}` from it, as in CREATE USER '{user}'@'…'"
        ),
        1040 | 1203 | 1226 | 4081 | 4082 => format!(
            "{server} has no connection left for user `{user}` ({number}: {cause}): raise the limit \
             there (max_connections, max_user_connections, the account's own), or set \
             `connections` lower"
        ),
        3159 => format!(
            "{server} accepts only encrypted connections ({number}): set ssl-mode=REQUIRED or \
             VERIFY_IDENTITY in the store's URL instead of {}",
            target.mode_name()
        ),
        1251 | 1275 | 1524 => format!(
            "{server} asks user `{user}` for an unsupported authentication method ({number}: \
             {cause}): let the account use caching_sha2_password"
        ),
        1820 | 1862 => format!(
            "the password of user `{user}` on {server} has expired ({number}): ALTER USER to a \
             new one, and set it in the store's URL"
        ),
        3118 | 3955 | 4150 | 4151 => format!(
            "user `{user}` is locked on {server} ({number}: {cause}): ALTER USER … ACCOUNT UNLOCK"
        ),
        1036 | 1207 | 1290 | 1792 | 1836 | 1874 | 3989 => format!(
            "{server} is read-only ({number}: {cause}): name the server that accepts writes in the \
             store's URL, or set read_only and super_read_only to OFF there"
        ),
        1142 | 1143 | 1227 | 1370 => format!(
            "user `{user}` lacks a privilege on {server} ({number}: {cause}): GRANT it, or apply \
             the migrations as a user that has it"
        ),
        1152 | 1184 => format!(
            "{server} closed the connection before the first statement ({number}: {cause}): check \
             whether its init_connect fails for user `{user}`"
        ),
        _ => return None,
    })
}

fn io_message(error: &std::io::Error, target: &Target) -> String {
    let server = target.server();
    #[cfg(feature = "tls")]
    if let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        return rustls_message(error, target);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            format!("nothing listens at {server}: check host and port in the store's URL")
        }
        ErrorKind::NotFound if target.options.get_socket().is_some() => {
            format!("{server} does not exist: check `socket` in the store's URL")
        }
        ErrorKind::PermissionDenied if target.options.get_socket().is_some() => {
            format!("this user may not open {server}: change its permissions")
        }
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => format!(
            "{server} closed the connection before the first statement ({error}): it may be \
             starting or full, its init_connect may fail, or it is not a MySQL server"
        ),
        // The resolver's errors have no kind of their own.
        _ if error.to_string().contains("lookup") => format!(
            "cannot resolve the host `{}` ({error}): check it in the store's URL",
            target.options.get_host()
        ),
        _ => format!("cannot connect to {server}: {error}"),
    }
}

fn tls_message(cause: &str, target: &Target) -> String {
    let (server, mode) = (target.server(), target.mode_name());
    if cause.contains("does not support TLS") {
        return format!(
            "{server} offers no TLS, which ssl-mode={mode} requires: set up its certificate, or \
             set ssl-mode to PREFERRED or DISABLED"
        );
    }
    format!("no TLS to {server} with ssl-mode={mode}: {cause}")
}

#[cfg(feature = "tls")]
fn rustls_message(error: &rustls::Error, target: &Target) -> String {
    use rustls::{AlertDescription, CertificateError, Error};
    let (server, mode) = (target.server(), target.mode_name());
    match error {
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!(
            "the certificate of {server} has another name, which ssl-mode={mode} rejects \
             ({error}): name the host in the store's URL as the certificate does, or set \
             ssl-mode=VERIFY_CA"
        ),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => format!(
            "the certificate of {server} has an unknown issuer, which ssl-mode={mode} rejects: \
             set ssl-ca to the file of the issuer's certificate"
        ),
        Error::InvalidCertificate(_) => format!(
            "the certificate of {server} is invalid with ssl-mode={mode} ({error}): give the \
             server another, or check ssl-ca"
        ),
        Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired,
        ) => format!(
            "{server} rejects the client's certificate ({error}): check ssl-cert and ssl-key"
        ),
        error => format!("no TLS to {server} with ssl-mode={mode}: {error}"),
    }
}
