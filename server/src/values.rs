//! Where a setting's value comes from: a flag, else the environment (the value
//! itself, or a file that holds it), else the file that `--config` names, else
//! the default.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};
use stockade::Config;

use crate::environment;
use crate::failure::Failure;
use crate::settings::Settings;

/// The most bytes of a file that holds one setting's value.
const VALUE_BYTES_MAX: u64 = 64 << 10;

/// The settings that even the short help shows.
const OFTEN_USED: &[&str] = &["store", "redis", "listen", "unix", "api_key", "webhook_secret"];

/// A setting as the command line sees it, the server's or the engine's.
struct Setting {
    name: &'static str,
    default: &'static str,
    help: &'static str,
    heading: &'static str,
}

fn all() -> impl Iterator<Item = Setting> {
    let server = Settings::LIST.iter().map(|&(name, default, help)| Setting {
        name,
        default,
        help,
        heading: "Server settings",
    });
    let engine = Config::SETTINGS.iter().map(|setting| Setting {
        name: setting.name,
        default: setting.default,
        help: setting.help,
        heading: "Engine settings",
    });
    server.chain(engine)
}

/// One flag for each setting, and `--config`.
pub fn flags() -> impl Iterator<Item = Arg> {
    let config = Arg::new("config")
        .long("config")
        .global(true)
        .value_name("FILE")
        .env("STOCKADE_CONFIG")
        .hide_env_values(true)
        .help("A TOML file with settings, one `name = value` a line");
    std::iter::once(config).chain(all().map(|setting| {
        let default = match setting.default {
            "" => String::new(),
            default => format!(" [default: {default}]"),
        };
        let flag = Arg::new(setting.name)
            .long(setting.name.replace('_', "-"))
            .global(true)
            .env(environment::variable(setting.name))
            .hide_env_values(true)
            .hide_short_help(!OFTEN_USED.contains(&setting.name))
            .help_heading(setting.heading)
            .help(format!("{}{default}", setting.help));
        if matches!(setting.default, "true" | "false") {
            flag.action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .value_name("BOOL")
        } else {
            flag.value_name("VALUE")
        }
    }))
}

/// Where a value was given, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Flag,
    Environment,
    File,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
        })
    }
}

/// The settings of a run.
#[derive(Debug)]
pub struct Values {
    /// The engine's.
    pub config: Config,
    /// The server's.
    pub settings: Settings,
    /// What to warn of once there is a log.
    pub warnings: Vec<String>,
}

/// Puts the settings of a run together.
pub fn read(matches: &ArgMatches) -> Result<Values, Failure> {
    let file = match matches.get_one::<String>("config") {
        Some(path) => read_file(Path::new(path))?,
        None => toml::Table::new(),
    };
    if let Some(unknown) = file.keys().find(|key| all().all(|one| one.name != **key)) {
        let shown: String = unknown.chars().take(40).collect();
        let meant = environment::meant(unknown, all().map(|one| one.name.to_owned()));
        return Err(Failure::Setup(format!("unknown setting {shown} in the file{meant}")));
    }
    environment::check(std::env::vars_os(), || all().map(|one| one.name))?;
    let mut values =
        Values { config: Config::default(), settings: Settings::default(), warnings: Vec::new() };
    for setting in all() {
        if let Some((text, place)) = given(&setting, matches, &file)? {
            apply(&mut values, setting.name, &text, place)?;
        }
    }
    values.settings.check().map_err(Failure::Setup)?;
    Ok(values)
}

fn given(
    setting: &Setting,
    matches: &ArgMatches,
    file: &toml::Table,
) -> Result<Option<(String, Place)>, Failure> {
    let value = matches.get_one::<String>(setting.name);
    let is_flag = matches.value_source(setting.name) == Some(ValueSource::CommandLine);
    if let Some(text) = value.filter(|_| is_flag) {
        return Ok(Some((text.clone(), Place::Flag)));
    }
    let variable = environment::variable(setting.name);
    let path = std::env::var_os(format!("{variable}_FILE")).filter(|path| !path.is_empty());
    match (value, path) {
        // An empty one is what is left where a template had nothing to fill in.
        (Some(text), Some(_)) if !text.is_empty() => {
            return Err(Failure::Setup(format!(
                "{variable} and {variable}_FILE are both set: remove one of them"
            )));
        }
        (_, Some(path)) => {
            let path = Path::new(&path);
            let text = read_value(path).map_err(|why| {
                let shown = path.display();
                Failure::Setup(format!("{variable}_FILE: cannot read {shown}: {why}"))
            })?;
            return Ok(Some((text, Place::Environment)));
        }
        (Some(text), None) => return Ok(Some((text.clone(), Place::Environment))),
        (None, None) => {}
    }
    let text = match file.get(setting.name) {
        None => return Ok(None),
        Some(toml::Value::String(text)) => text.clone(),
        Some(toml::Value::Integer(number)) => number.to_string(),
        Some(toml::Value::Boolean(yes)) => yes.to_string(),
        Some(other) => {
            return Err(Failure::Setup(format!(
                "setting {}: expected text, a whole number or a boolean, found {} (file)",
                setting.name,
                other.type_str()
            )));
        }
    };
    Ok(Some((text, Place::File)))
}

fn apply(values: &mut Values, name: &str, text: &str, place: Place) -> Result<(), Failure> {
    if Settings::LIST.iter().any(|(one, ..)| *one == name) {
        let wrong = |why| Failure::Setup(format!("setting {name}: {why} ({place})"));
        values.settings.set(name, text).map_err(wrong)?;
    } else {
        // The engine's message names the setting.
        let wrong =
            |error: stockade::Error| Failure::Setup(format!("{} ({place})", error.message()));
        values.config.set(name, text).map_err(wrong)?;
    }
    if place == Place::Flag && Settings::SECRET.contains(&name) && !text.is_empty() {
        let variable = environment::variable(name);
        values.warnings.push(format!(
            "{name} was given as a flag, where other users of this machine can read it: \
             {variable}, {variable}_FILE or the settings' file is safer",
        ));
    }
    Ok(())
}

/// Reads the value in a file, as secrets are mounted: all of it but its last
/// line's end.
fn read_value(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bounded = file.take(VALUE_BYTES_MAX + 1);
    bounded.read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > VALUE_BYTES_MAX {
        return Err(format!("a setting has at most {VALUE_BYTES_MAX} bytes"));
    }
    let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(line.unwrap_or(&text).to_owned())
}

fn read_file(path: &Path) -> Result<toml::Table, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Setup(format!("cannot read {shown}: {error}")))?;
    // Only the message: the error's own text repeats the line, secrets included.
    text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map_or(1, |before| before.matches('\n').count() + 1);
        Failure::Setup(format!("{shown}, line {line}: {}", error.message()))
    })
}
