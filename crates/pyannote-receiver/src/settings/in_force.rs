use std::ffi::OsStr;

use clap::{ArgMatches, Command, parser::ValueSource};
use serde::Serialize;

use super::{arguments, file::File, innermost};

/// The values of all settings of a command, and where each came from.
pub(crate) struct InForce(Vec<Setting>);

/// A setting that is in force.
#[derive(Clone, Serialize)]
pub(crate) struct Setting {
    /// The key in the settings file.
    pub(crate) key: String,
    /// The value; `None` if there is no value and no default.
    pub(crate) value: Option<String>,
    pub(crate) origin: Origin,
    /// The flag, the variable, or the file that set the value.
    pub(crate) place: String,
    #[serde(skip)]
    pub(crate) is_secret: bool,
}

/// Where a value came from. A greater origin overrides a lesser one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    Default,
    File,
    Environment,
    Flag,
}

impl InForce {
    pub(super) fn new(command: &Command, matches: &ArgMatches, file: Option<&File>) -> Self {
        let matches = innermost(matches);
        let mut settings: Vec<Setting> = Vec::new();
        for argument in arguments(command) {
            let key = argument.get_id().as_str();
            let is_new = settings.iter().all(|setting| setting.key != key);
            // Other commands have arguments that this one lacks.
            if !is_new || matches.try_contains_id(key).is_err() {
                continue;
            }
            let flag = argument.get_long().unwrap_or_default();
            let (origin, place) = match (matches.value_source(key), file) {
                (Some(ValueSource::CommandLine), _) => (Origin::Flag, format!("--{flag}")),
                (Some(ValueSource::EnvVariable), _) => {
                    let variable = argument.get_env().unwrap_or_default();
                    (Origin::Environment, variable.to_string_lossy().into_owned())
                }
                (_, Some(file)) if file.has(key) => {
                    (Origin::File, file.path().display().to_string())
                }
                _ => (Origin::Default, String::new()),
            };
            let values = matches.get_raw(key).map(|values| {
                let values = values.map(OsStr::to_string_lossy);
                values.collect::<Vec<_>>().join(",")
            });
            let mut setting = Setting {
                key: key.to_owned(),
                value: values,
                origin,
                place,
                is_secret: argument.is_hide_env_values_set(),
            };
            // `--no-migrate` is `--migrate=false`.
            let no = format!("no_{flag}");
            if matches
                .try_get_one::<bool>(&no)
                .is_ok_and(|given| given == Some(&true))
            {
                setting.value = Some("false".to_owned());
                (setting.origin, setting.place) = (Origin::Flag, format!("--no-{flag}"));
            }
            settings.push(setting);
        }
        settings.extend(file.iter().flat_map(|file| of_endpoints(file)));
        settings.sort_by(|one, other| one.key.cmp(&other.key));
        Self(settings)
    }

    /// Returns a setting that has a value.
    pub(crate) fn get(&self, key: &str) -> Option<&Setting> {
        let mut settings = self.0.iter();
        settings.find(|setting| setting.key == key && setting.value.is_some())
    }

    /// Returns all settings in the order of their keys, secrets redacted.
    pub(crate) fn redacted(&self) -> Vec<Setting> {
        let mut settings = self.0.clone();
        for setting in settings.iter_mut().filter(|setting| setting.is_secret) {
            setting.value = setting.value.as_ref().map(|_| REDACTED.to_owned());
        }
        settings
    }
}

/// Returns the settings of the endpoints in a file. URLs and headers count as secrets, because they may contain tokens.
fn of_endpoints(file: &File) -> impl Iterator<Item = Setting> {
    let endpoints = file.endpoints().iter();
    endpoints.flat_map(move |(name, endpoint)| {
        let settings = endpoint.settings().into_iter();
        settings.map(move |(key, value)| Setting {
            is_secret: key == "url" || key.starts_with("headers."),
            key: format!("forward.endpoints.{name}.{key}"),
            value: Some(value),
            origin: Origin::File,
            place: file.path().display().to_string(),
        })
    })
}

pub(crate) const REDACTED: &str = "[redacted]";
