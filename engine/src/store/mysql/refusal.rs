//! Why a store cannot be opened, in a sentence that says which setting to
//! change. No password stands in it: it names the server, the user and the
//! database, and repeats what the server said.

use std::io::ErrorKind;

use super::errors::number_of;
use super::url::{SslMode, Target};
use crate::store::error::{Fault, StoreError};

/// Turns a fault that was met while the store was opened into a refusal. What
/// would be tried again later is then told at once.
pub(super) fn at_start(error: StoreError, target: &Target) -> StoreError {
    if error.is_worded {
        return StoreError { fault: Fault::Refused, ..error };
    }
    let words = match error.source.downcast_ref::<sqlx::Error>() {
        Some(cause) => of_driver(cause, target, error.fault),
        None if error.fault == Fault::Lost => {
            Some(format!("{} cannot be used: {}", target.server(), error.source))
        }
        None => None,
    };
    match words {
        Some(words) => StoreError::worded(Fault::Refused, words),
        None => error,
    }
}

fn of_driver(error: &sqlx::Error, target: &Target, fault: Fault) -> Option<String> {
    let server = target.server();
    match error {
        sqlx::Error::Database(said) => {
            let said = said.message();
            match number_of(error).and_then(|number| of_number(number, said, target)) {
                Some(words) => Some(words),
                None if fault == Fault::Lost || fault == Fault::Exhausted => {
                    Some(format!("{server} cannot be used: it says \"{said}\""))
                }
                None => None,
            }
        }
        sqlx::Error::Io(error) => Some(of_io(error, target)),
        sqlx::Error::Tls(error) => Some(of_tls(&error.to_string(), target)),
        sqlx::Error::Protocol(said) if said.contains("authentication plugin") => Some(format!(
            "{server} asks user `{}` to log in in a way that is not supported ({said}): let the \
             account use caching_sha2_password or, on MariaDB, mysql_native_password",
            target.options.get_username()
        )),
        sqlx::Error::Configuration(said) if said.to_string().contains("cleartext") => {
            Some(format!(
                "{server} asks user `{}` for the password in clear text, which is not sent: let \
                 the account use caching_sha2_password",
                target.options.get_username()
            ))
        }
        sqlx::Error::Protocol(said) => Some(format!(
            "{server} does not answer as MySQL does ({said}): check host and port; if it is one \
             that cannot give its RSA key, set ssl-mode=REQUIRED"
        )),
        _ if fault == Fault::Lost => Some(format!("{server} cannot be used: {error}")),
        _ => None,
    }
}

fn of_number(number: u16, said: &str, target: &Target) -> Option<String> {
    let server = target.server();
    let user = target.options.get_username();
    let database = target.options.get_database().unwrap_or_default();
    Some(match number {
        1045 | 1698 => {
            let is_socket = target.options.get_socket().is_some();
            let tls = match (target.mode, target.has_client_cert) {
                // The server takes the question for its RSA key for the password.
                (SslMode::Disabled, _) if is_socket => {
                    "; over a socket file caching_sha2_password needs TLS: leave out ssl-mode"
                }
                (SslMode::Disabled, _) => {
                    "; if the account or the server requires TLS, set ssl-mode=REQUIRED"
                }
                (_, false) => "; an account that requires a certificate needs ssl-cert and ssl-key",
                _ => "",
            };
            format!(
                "{server} refuses user `{user}` or the password ({number}: {said}): check both in \
                 the store's URL, where special characters are percent-encoded{tls}"
            )
        }
        1044 => format!(
            "user `{user}` has no right to database `{database}` on {server} ({number}): GRANT it, \
             or name another database in the store's URL"
        ),
        1049 => format!(
            "there is no database `{database}` on {server} ({number}): create it, or name another \
             one in the store's URL"
        ),
        1129 => format!(
            "{server} has blocked this host after too many failed connections ({number}: {said}): \
             run FLUSH HOSTS or TRUNCATE performance_schema.host_cache there"
        ),
        1042 | 1130 => format!(
            "{server} takes no connections from this host ({number}: {said}): let user `{user}` in \
             from it, as in CREATE USER '{user}'@'…'"
        ),
        1040 | 1203 | 1226 | 4081 | 4082 => format!(
            "{server} has no connection left for user `{user}` ({number}: {said}): raise the limit \
             there (max_connections, max_user_connections, the account's own), or set \
             `connections` lower"
        ),
        3159 => format!(
            "{server} takes encrypted connections only ({number}): set ssl-mode=REQUIRED or \
             VERIFY_IDENTITY in the store's URL instead of {}",
            target.mode.name()
        ),
        1251 | 1275 | 1524 => format!(
            "{server} asks user `{user}` to log in in a way that is not supported ({number}: \
             {said}): let the account use caching_sha2_password"
        ),
        1820 | 1862 => format!(
            "the password of user `{user}` on {server} has expired ({number}): ALTER USER to a \
             new one, and set it in the store's URL"
        ),
        3118 | 3955 | 4150 | 4151 => format!(
            "user `{user}` is locked on {server} ({number}: {said}): ALTER USER … ACCOUNT UNLOCK"
        ),
        1036 | 1207 | 1290 | 1792 | 1836 | 1874 | 3989 => format!(
            "{server} is read-only ({number}: {said}): name the server that takes writes in the \
             store's URL, or set read_only and super_read_only to OFF there"
        ),
        1142 | 1143 | 1227 | 1370 => format!(
            "user `{user}` lacks a right on {server} ({number}: {said}): GRANT it, or apply the \
             migrations as a user who has it"
        ),
        1152 | 1184 => format!(
            "{server} closed the connection before anything was asked ({number}: {said}): its \
             init_connect may fail for user `{user}`"
        ),
        _ => return None,
    })
}

fn of_io(error: &std::io::Error, target: &Target) -> String {
    let server = target.server();
    #[cfg(feature = "tls")]
    if let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        return of_rustls(error, target);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            format!("nothing listens at {server}: check host and port in the store's URL")
        }
        ErrorKind::NotFound if target.options.get_socket().is_some() => {
            format!("{server} is not there: check `socket` in the store's URL")
        }
        ErrorKind::PermissionDenied if target.options.get_socket().is_some() => {
            format!("{server} may not be opened by this user: change its access rights")
        }
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => format!(
            "{server} closed the connection before anything was asked ({error}): it may be \
             starting or full, its init_connect may fail, or it is no MySQL server"
        ),
        // The resolver's errors have no kind of their own.
        _ if error.to_string().contains("lookup") => format!(
            "the host `{}` is not known ({error}): check it in the store's URL",
            target.options.get_host()
        ),
        _ => format!("{server} cannot be reached: {error}"),
    }
}

fn of_tls(said: &str, target: &Target) -> String {
    let (server, mode) = (target.server(), target.mode.name());
    if said.contains("does not support TLS") {
        return format!(
            "{server} offers no TLS, which ssl-mode={mode} asks for: set up its certificate, or \
             set ssl-mode to PREFERRED or DISABLED"
        );
    }
    format!("no TLS to {server} with ssl-mode={mode}: {said}")
}

#[cfg(feature = "tls")]
fn of_rustls(error: &rustls::Error, target: &Target) -> String {
    use rustls::{AlertDescription, CertificateError, Error};
    let (server, mode) = (target.server(), target.mode.name());
    match error {
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!(
            "the certificate of {server} is of another name, which ssl-mode={mode} refuses \
             ({error}): name the host in the store's URL as the certificate does, or set \
             ssl-mode=VERIFY_CA"
        ),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => format!(
            "the certificate of {server} is of an authority that is not known here, which \
             ssl-mode={mode} refuses: set ssl-ca to the file of that authority's certificate"
        ),
        Error::InvalidCertificate(_) => format!(
            "the certificate of {server} is not accepted with ssl-mode={mode} ({error}): \
             give the server another, or look at ssl-ca"
        ),
        Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired,
        ) => format!(
            "{server} refuses the client's certificate ({error}): look at ssl-cert and ssl-key"
        ),
        error => format!("no TLS to {server} with ssl-mode={mode}: {error}"),
    }
}
