//! Sources of settings, in order of precedence: flag, environment (the value,
//! or a file that contains it), the file of `--config`, the default.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};
use stockade::Config;

use crate::command_error::CommandError;
use crate::environment;
use crate::settings::Settings;

/// The largest file with the value of one setting.
const VALUE_BYTES_MAX: u64 = 64 << 10;

/// The settings that the short help (`-h`) shows.
const SHORT_HELP_SETTINGS: &[&str] =
    &["store", "redis", "listen", "unix", "api_key", "api_keys", "webhook_secret"];

/// A setting of the server or of the engine, as the command line shows it.
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

/// Builds one flag per setting, and `--config`.
pub fn flags() -> impl Iterator<Item = Arg> {
    let config = Arg::new("config")
        .long("config")
        .global(true)
        .value_name("FILE")
        .env("STOCKADE_CONFIG")
        .hide_env_values(true)
        .help("A TOML file with settings, one `name = value` per line");
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
            .hide_short_help(!SHORT_HELP_SETTINGS.contains(&setting.name))
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

/// Which settings a command reads, and its help shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uses {
    /// Those of the server and the engine.
    All,
    /// Those of the engine and of the log, and these of the server.
    Engine(&'static [&'static str]),
    /// These alone.
    Only(&'static [&'static str]),
}

impl Uses {
    fn includes(self, flag: &Arg) -> bool {
        let name = flag.get_id().as_str();
        match self {
            Self::All => true,
            Self::Engine(names) => {
                name == "config"
                    || names.contains(&name)
                    || name.starts_with("log_")
                    || Config::SETTINGS.iter().any(|setting| setting.name == name)
            }
            Self::Only(names) => name == "config" || names.contains(&name),
        }
    }
}

/// Builds the flags of all settings for one command: hidden are those that it does not
/// use. They are the global flags again, which clap does not pass down to a command that
/// has them.
pub fn flags_for(uses: Uses) -> impl Iterator<Item = Arg> {
    flags().map(move |flag| {
        let is_hidden = !uses.includes(&flag);
        flag.hide(is_hidden)
    })
}

/// The source of a setting's value, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SettingSource {
    Flag,
    Environment,
    File,
}

impl fmt::Display for SettingSource {
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
    /// The engine's settings.
    pub config: Config,
    /// The server's settings.
    pub settings: Settings,
    /// Warnings to log once logging is initialized.
    pub warnings: Vec<String>,
}

/// Resolves all settings.
pub fn read(matches: &ArgMatches) -> Result<Values, CommandError> {
    let file = match matches.get_one::<String>("config") {
        Some(path) => read_file(Path::new(path))?,
        None => toml::Table::new(),
    };
    if let Some(unknown) = file.keys().find(|key| all().all(|one| one.name != **key)) {
        let shown: String = unknown.chars().take(40).collect();
        let suggestion = environment::suggestion(unknown, all().map(|one| one.name.to_owned()));
        return Err(CommandError::Setup(format!(
            "unknown setting {shown} in the file{suggestion}"
        )));
    }
    environment::check(std::env::vars_os(), || all().map(|one| one.name))?;
    let mut values =
        Values { config: Config::default(), settings: Settings::default(), warnings: Vec::new() };
    for setting in all() {
        if let Some((text, source)) = lookup(&setting, matches, &file)? {
            apply(&mut values, setting.name, &text, source)?;
        }
    }
    values.settings.check().map_err(CommandError::Setup)?;
    Ok(values)
}

fn lookup(
    setting: &Setting,
    matches: &ArgMatches,
    file: &toml::Table,
) -> Result<Option<(String, SettingSource)>, CommandError> {
    let value = matches.get_one::<String>(setting.name);
    let is_flag = matches.value_source(setting.name) == Some(ValueSource::CommandLine);
    if let Some(text) = value.filter(|_| is_flag) {
        return Ok(Some((text.clone(), SettingSource::Flag)));
    }
    let variable = environment::variable(setting.name);
    // `STOCKADE_API_KEYS_FILE` is the setting `api_keys_file`.
    let file_setting = format!("{}_file", setting.name);
    let path = std::env::var_os(format!("{variable}_FILE"))
        .filter(|path| !path.is_empty() && all().all(|one| one.name != file_setting));
    match (value, path) {
        // An empty variable counts as unset: templates leave it so.
        (Some(text), Some(_)) if !text.is_empty() => {
            return Err(CommandError::Setup(format!(
                "{variable} and {variable}_FILE are both set: remove one of them"
            )));
        }
        (_, Some(path)) => {
            let path = Path::new(&path);
            let text = read_value(path).map_err(|why| {
                let shown = path.display();
                CommandError::Setup(format!("{variable}_FILE: cannot read {shown}: {why}"))
            })?;
            return Ok(Some((text, SettingSource::Environment)));
        }
        (Some(text), None) => return Ok(Some((text.clone(), SettingSource::Environment))),
        (None, None) => {}
    }
    let text = match file.get(setting.name) {
        None => return Ok(None),
        Some(toml::Value::String(text)) => text.clone(),
        Some(toml::Value::Integer(number)) => number.to_string(),
        Some(toml::Value::Boolean(yes)) => yes.to_string(),
        Some(other) => {
            return Err(CommandError::Setup(format!(
                "setting {}: expected text, a whole number or a boolean, found {} (file)",
                setting.name,
                other.type_str()
            )));
        }
    };
    Ok(Some((text, SettingSource::File)))
}

fn apply(
    values: &mut Values,
    name: &str,
    text: &str,
    source: SettingSource,
) -> Result<(), CommandError> {
    if Settings::LIST.iter().any(|(one, ..)| *one == name) {
        let wrong = |why| CommandError::Setup(format!("setting {name}: {why} ({source})"));
        values.settings.set(name, text).map_err(wrong)?;
    } else {
        // The engine's message names the setting.
        let wrong =
            |error: stockade::Error| CommandError::Setup(format!("{} ({source})", error.message()));
        values.config.set(name, text).map_err(wrong)?;
    }
    if source == SettingSource::Flag && Settings::SECRET.contains(&name) && !text.is_empty() {
        let variable = environment::variable(name);
        values.warnings.push(format!(
            "{name} was given as a flag, where other users of this machine can read it: \
             {variable}, {variable}_FILE or the settings' file is safer",
        ));
    }
    Ok(())
}

/// Reads a mounted secret: the file's content without the final line end.
pub fn read_value(path: &Path) -> Result<String, String> {
    let text = read_bounded(File::open(path).map_err(|error| error.to_string())?)?;
    let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(line.unwrap_or(&text).to_owned())
}

/// Reads a file of at most [`VALUE_BYTES_MAX`].
pub fn read_bounded(file: File) -> Result<String, String> {
    let mut text = String::new();
    let mut bounded = file.take(VALUE_BYTES_MAX + 1);
    bounded.read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > VALUE_BYTES_MAX {
        return Err(format!("the value exceeds {VALUE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

fn read_file(path: &Path) -> Result<toml::Table, CommandError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| CommandError::Setup(format!("cannot read {shown}: {error}")))?;
    // Only the message: the error's full text repeats the line, including
    // secrets.
    text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map_or(1, |before| before.matches('\n').count() + 1);
        CommandError::Setup(format!("{shown}, line {line}: {}", error.message()))
    })
}
