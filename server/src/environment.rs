//! Environment variables: which are settings, and which are rejected as
//! misspelt settings.

use std::ffi::OsString;

use crate::command_error::CommandError;

const PREFIX: &str = "STOCKADE_";
const FILE: &str = "_FILE";

/// Prefixes of variables of this project's tests, benches and checks.
const TOOL_PREFIXES: &[&str] = &[
    "STOCKADE_TEST_",
    "STOCKADE_TESTKIT_",
    "STOCKADE_BENCH_",
    "STOCKADE_PROOF_",
    "STOCKADE_SIMULATION_",
    "STOCKADE_DISK_",
];

/// Further variables that are not settings. `STOCKADE_LIBRARY` locates the
/// shared library for PHP.
const TOOL_VARIABLES: &[&str] = &[
    "STOCKADE_CONFIG",
    "STOCKADE_LIBRARY",
    "STOCKADE_SERVER",
    "STOCKADE_SERVERS",
    "STOCKADE_WRITE_HEADERS",
];

/// The similarity, from 0 to 1, above which a name is suggested as a
/// correction: it admits two wrong letters in a name of seven.
const SIMILARITY_MIN: f64 = 0.7;

/// Returns the variable of a setting.
pub fn variable(setting: &str) -> String {
    format!("{PREFIX}{}", setting.to_uppercase())
}

/// Rejects a `STOCKADE_` variable that names no setting: a misspelt setting
/// would silently keep its default, which may be less secure.
///
/// # Errors
/// Names the variable and the closest setting, never the value.
pub fn check<S: Iterator<Item = &'static str>>(
    variables: impl Iterator<Item = (OsString, OsString)>,
    settings: impl Fn() -> S,
) -> Result<(), CommandError> {
    for (name, value) in variables {
        let (Some(name), value) = (name.to_str(), value.to_string_lossy()) else { continue };
        if !name.starts_with(PREFIX) {
            continue;
        }
        let is_setting = settings().map(variable).any(|variable| {
            name.strip_prefix(&variable).is_some_and(|rest| rest.is_empty() || rest == FILE)
        });
        let is_other =
            TOOL_VARIABLES.contains(&name) || TOOL_PREFIXES.iter().any(|one| name.starts_with(one));
        if is_setting || is_other || is_service_link(name, &value) {
            continue;
        }
        let files = settings().map(|one| variable(one) + FILE);
        let all = settings().map(variable).chain(["STOCKADE_CONFIG".to_owned()]).chain(files);
        let shown: String = name.chars().take(60).collect();
        let suggestion = suggestion(name, all);
        return Err(CommandError::Setup(format!(
            "the environment variable {shown} is not a setting{suggestion}; see `stockade --help`"
        )));
    }
    Ok(())
}

/// Returns a suggestion for an unknown name: the most similar known one.
pub fn suggestion(name: &str, known: impl Iterator<Item = String>) -> String {
    let rank = |one: &str| {
        strsim::normalized_damerau_levenshtein(without_prefix(name), without_prefix(one))
    };
    let best = known.map(|one| (rank(&one), one)).max_by(|(one, _), (two, _)| one.total_cmp(two));
    match best {
        Some((rank, one)) if rank >= SIMILARITY_MIN => format!("; did you mean {one}?"),
        _ => String::new(),
    }
}

/// Returns the name without the common prefix.
fn without_prefix(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// Whether Kubernetes or Docker set the variable for a service named
/// `stockade…`: `STOCKADE_SERVICE_HOST`, `STOCKADE_PORT=tcp://…`,
/// `STOCKADE_REDIS_PORT_6379_TCP_ADDR`.
fn is_service_link(name: &str, value: &str) -> bool {
    const PROTOCOLS: &[&str] = &["TCP", "UDP", "SCTP"];
    if name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") {
        return true;
    }
    let is_url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    if name.ends_with("_PORT") && is_url {
        return true;
    }
    let Some((_, behind)) = name.rsplit_once("_PORT_").filter(|(_, behind)| *behind != "PORT")
    else {
        return false;
    };
    let mut parts = behind.split('_');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    parts.next().is_some_and(is_number)
        && parts.next().is_some_and(|part| PROTOCOLS.contains(&part))
        && matches!(parts.next(), None | Some("PROTO" | "PORT" | "ADDR"))
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str, value: &str) -> Result<(), String> {
        let variables = [(OsString::from(name), OsString::from(value))];
        let settings = || ["hold_ttl", "api_key", "require_hold_token", "redis"].into_iter();
        check(variables.into_iter(), settings).map_err(|failure| failure.to_string())
    }

    #[test]
    fn known_variables_are_accepted() {
        for (name, value) in [
            ("STOCKADE_HOLD_TTL", "60s"),
            ("STOCKADE_API_KEY_FILE", "/run/secrets/key"),
            ("STOCKADE_CONFIG", "stockade.toml"),
            ("STOCKADE_TEST_MARIADB", "3306"),
            ("STOCKADE_LIBRARY", "/usr/lib/libstockade.so"),
            ("STOCKADE_SERVICE_HOST", "10.0.0.1"),
            ("STOCKADE_SERVICE_PORT", "8080"),
            ("STOCKADE_SERVICE_PORT_HTTP", "8080"),
            ("STOCKADE_PORT", "tcp://10.0.0.1:8080"),
            ("STOCKADE_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("STOCKADE_PORT_8080_TCP_PORT", "8080"),
            ("STOCKADE_REDIS_PORT_6379_TCP_ADDR", "10.0.0.2"),
            ("HOLD_TLL", "1"),
        ] {
            assert_eq!(checked(name, value), Ok(()), "{name}");
        }
    }

    #[test]
    fn misspelt_variables_are_rejected_with_a_suggestion() {
        for (name, suggestion) in [
            ("STOCKADE_REQUIRE_HOLD_TOKN", "STOCKADE_REQUIRE_HOLD_TOKEN?"),
            ("STOCKADE_HOLD_TLL", "STOCKADE_HOLD_TTL?"),
            ("STOCKADE_API_KEYS", "STOCKADE_API_KEY?"),
            ("STOCKADE_API_KEY_FIEL", "STOCKADE_API_KEY_FILE?"),
            ("STOCKADE_CONFG", "STOCKADE_CONFIG?"),
        ] {
            let rejected = checked(name, "hush").unwrap_err();
            assert!(rejected.contains(&format!("{name} is not a setting")), "{rejected}");
            assert!(rejected.contains(suggestion) && !rejected.contains("hush"), "{rejected}");
        }
        for name in ["STOCKADE_", "STOCKADE_COLOUR_OF_THE_SKY", "STOCKADE_PORT"] {
            let rejected = checked(name, "8080").unwrap_err();
            assert!(!rejected.contains("did you mean"), "{rejected}");
        }
    }
}
