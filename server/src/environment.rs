//! The environment: which variables are settings, and which are refused since
//! they look as if they were.

use std::ffi::OsString;

use crate::failure::Failure;

const PREFIX: &str = "STOCKADE_";
const FILE: &str = "_FILE";

/// Variables of the tools around the program, by the beginning of their names:
/// those of the tests, benches and checks of this project.
const FAMILIES: &[&str] = &[
    "STOCKADE_TEST_",
    "STOCKADE_TESTKIT_",
    "STOCKADE_BENCH_",
    "STOCKADE_PROOF_",
    "STOCKADE_SIMULATION_",
    "STOCKADE_DISK_",
];

/// Further ones, by their whole names; `STOCKADE_LIBRARY` is PHP's way to the
/// shared library.
const OTHERS: &[&str] = &[
    "STOCKADE_CONFIG",
    "STOCKADE_LIBRARY",
    "STOCKADE_SERVER",
    "STOCKADE_SERVERS",
    "STOCKADE_WRITE_HEADERS",
];

/// How alike two names are, from 0 to 1, when one is taken for a misspelling of
/// the other: two wrong letters in a name of seven.
const ALIKE: f64 = 0.7;

/// The variable that gives a setting.
pub fn variable(setting: &str) -> String {
    format!("{PREFIX}{}", setting.to_uppercase())
}

/// Refuses a variable that names no setting: a misspelt setting would be
/// ignored, and its default would open a door.
///
/// # Errors
/// Names the variable and the setting that was probably meant, never its value.
pub fn check<S: Iterator<Item = &'static str>>(
    variables: impl Iterator<Item = (OsString, OsString)>,
    settings: impl Fn() -> S,
) -> Result<(), Failure> {
    for (name, value) in variables {
        let (Some(name), value) = (name.to_str(), value.to_string_lossy()) else { continue };
        if !name.starts_with(PREFIX) {
            continue;
        }
        let is_setting = settings().map(variable).any(|variable| {
            name.strip_prefix(&variable).is_some_and(|rest| rest.is_empty() || rest == FILE)
        });
        let is_other = OTHERS.contains(&name) || FAMILIES.iter().any(|one| name.starts_with(one));
        if is_setting || is_other || is_of_a_service(name, &value) {
            continue;
        }
        let files = settings().map(|one| variable(one) + FILE);
        let all = settings().map(variable).chain(["STOCKADE_CONFIG".to_owned()]).chain(files);
        let shown: String = name.chars().take(60).collect();
        let meant = meant(name, all);
        return Err(Failure::Setup(format!(
            "the environment has {shown}, which is no setting{meant}; `stockade --help` lists them"
        )));
    }
    Ok(())
}

/// The end of a message on an unknown name: the name that is most like it.
pub fn meant(name: &str, known: impl Iterator<Item = String>) -> String {
    let rank = |one: &str| strsim::normalized_damerau_levenshtein(bare(name), bare(one));
    let best = known.map(|one| (rank(&one), one)).max_by(|(one, _), (two, _)| one.total_cmp(two));
    match best {
        Some((rank, one)) if rank >= ALIKE => format!("; did you mean {one}?"),
        _ => String::new(),
    }
}

/// A name without the part that all have in common.
fn bare(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// Whether Kubernetes or Docker set the variable because there is a service
/// whose name begins with `stockade`: `STOCKADE_SERVICE_HOST`,
/// `STOCKADE_PORT=tcp://…`, `STOCKADE_REDIS_PORT_6379_TCP_ADDR`.
fn is_of_a_service(name: &str, value: &str) -> bool {
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
    fn settings_and_the_variables_of_others_pass() {
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
    fn a_misspelt_setting_is_refused_by_name_with_the_one_that_is_meant() {
        for (name, meant) in [
            ("STOCKADE_REQUIRE_HOLD_TOKN", "STOCKADE_REQUIRE_HOLD_TOKEN?"),
            ("STOCKADE_HOLD_TLL", "STOCKADE_HOLD_TTL?"),
            ("STOCKADE_API_KEYS", "STOCKADE_API_KEY?"),
            ("STOCKADE_API_KEY_FIEL", "STOCKADE_API_KEY_FILE?"),
            ("STOCKADE_CONFG", "STOCKADE_CONFIG?"),
        ] {
            let refused = checked(name, "hush").unwrap_err();
            assert!(refused.contains(&format!("{name}, which is no setting")), "{refused}");
            assert!(refused.contains(meant) && !refused.contains("hush"), "{refused}");
        }
        for name in ["STOCKADE_", "STOCKADE_COLOUR_OF_THE_SKY", "STOCKADE_PORT"] {
            let refused = checked(name, "8080").unwrap_err();
            assert!(!refused.contains("did you mean"), "{refused}");
        }
    }
}
