//! The settings file. Its values become the defaults of the arguments, so that they are checked as flags are.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::{Arg, Command};
use pyannote_cli::Failure;
use toml::{Table, Value};

use crate::forward::Endpoint;

/// A settings file.
pub(crate) struct File {
    path: PathBuf,
    /// The values by key, such as `server.port`.
    values: BTreeMap<String, Vec<String>>,
    /// The tables `[forward.endpoints.NAME]`, by name.
    endpoints: BTreeMap<String, Endpoint>,
}

impl File {
    /// Reads a file, of which `known` are the keys.
    pub(super) fn read(path: &Path, known: &Known) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::usage(format!("--config {}: {error}", path.display()))
        };
        let text = fs::read_to_string(path)
            .map_err(|error| failed(&format!("cannot be read: {error}")))?;
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map(|span| line(&text, span.start));
            let line = line.map_or(String::new(), |line| format!("line {line}: "));
            failed(&format!("{line}{}", error.message()))
        })?;
        let endpoints = endpoints(&mut table).map_err(|error| failed(&error))?;
        let mut values = BTreeMap::new();
        known
            .flatten("", table, &mut values)
            .map_err(|error| failed(&error))?;
        Ok(Self {
            path: path.to_owned(),
            values,
            endpoints,
        })
    }

    /// Makes the values the defaults of the arguments of a command and its subcommands.
    pub(super) fn defaults_of(&self, command: Command) -> Command {
        let command =
            command.mut_args(
                |argument| match self.values.get(argument.get_id().as_str()) {
                    Some(values) => argument.default_values(values),
                    None => argument,
                },
            );
        command.mut_subcommands(|command| self.defaults_of(command))
    }

    pub(super) fn endpoints(&self) -> &BTreeMap<String, Endpoint> {
        &self.endpoints
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where the file sets an argument.
    pub(super) fn place(&self, argument: &Arg) -> Option<String> {
        let key = argument.get_id().as_str();
        let sets = self.has(key);
        sets.then(|| format!("{key} in {}", self.path.display()))
    }
}

/// Takes the endpoints out of a file. They have names of the operator's, so no argument stands for them.
fn endpoints(table: &mut Table) -> Result<BTreeMap<String, Endpoint>, String> {
    let forward = table.get_mut("forward").and_then(Value::as_table_mut);
    let Some(endpoints) = forward.and_then(|forward| forward.remove("endpoints")) else {
        return Ok(BTreeMap::new());
    };
    let Value::Table(endpoints) = endpoints else {
        return Err("forward.endpoints: expected a table for each endpoint".to_owned());
    };
    let endpoints = endpoints.into_iter().map(|(name, endpoint)| {
        let parsed = endpoint.try_into::<Endpoint>();
        match parsed {
            Ok(endpoint) => Ok((name, endpoint)),
            Err(error) => {
                let error = without_value(error.message());
                Err(format!("forward.endpoints.{name}: {error}"))
            }
        }
    });
    endpoints.collect()
}

/// Returns the message of an error without the value in it, which may be a secret.
fn without_value(message: &str) -> String {
    match (message.find('"'), message.rfind("\", expected ")) {
        (Some(begin), Some(end)) if begin < end => {
            let (what, expected) = (&message[..begin], &message[end + 1..]);
            format!("{}{expected}", what.trim_end())
        }
        _ => message.to_owned(),
    }
}

/// The keys that a file may have, and whether each takes a list.
pub(super) struct Known(BTreeMap<String, bool>);

impl Known {
    /// Takes the keys from the arguments of a command: their ids with a dot.
    pub(super) fn of(command: &Command) -> Self {
        let settings = super::arguments(command);
        let known = settings.map(|argument| {
            let key = argument.get_id().to_string();
            (key, argument.get_value_delimiter().is_some())
        });
        Self(known.collect())
    }

    fn flatten(
        &self,
        prefix: &str,
        table: Table,
        values: &mut BTreeMap<String, Vec<String>>,
    ) -> Result<(), String> {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            let section = format!("{key}.");
            let is_section = self.0.keys().any(|known| known.starts_with(&section));
            let value = match (value, self.0.get(&key)) {
                (Value::Table(table), None) if is_section => {
                    self.flatten(&section, table, values)?;
                    continue;
                }
                (_, None) => return Err(self.unknown(&key)),
                (Value::Array(list), Some(true)) => {
                    let list = list.into_iter().map(text).collect::<Option<_>>();
                    list.ok_or_else(|| format!("{key}: expected a list of texts"))?
                }
                (value, Some(_)) => match text(value) {
                    Some(value) => vec![value],
                    None => return Err(format!("{key}: expected a text, a number or a boolean")),
                },
            };
            values.insert(key, value);
        }
        Ok(())
    }

    /// Suggests the keys with the same name in another section, or else the most similar key.
    fn unknown(&self, key: &str) -> String {
        let name = name_of(key);
        let mut same: Vec<_> = self.0.keys().filter(|key| name_of(key) == name).collect();
        if same.is_empty() {
            // A key without a section is compared with the names alone.
            let likeness = |known: &&String| match key.contains('.') {
                true => strsim::jaro_winkler(known, key),
                false => strsim::jaro_winkler(name_of(known), key),
            };
            let nearest = self
                .0
                .keys()
                .max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
            same.extend(nearest.filter(|nearest| likeness(nearest) > 0.8));
        }
        match same.as_slice() {
            [] => format!("unknown key {key}; `pyannote-receiver config` lists all keys"),
            [one] => format!("unknown key {key}; did you mean {one}?"),
            [first @ .., last] => {
                let first: Vec<_> = first.iter().map(|key| key.as_str()).collect();
                let first = first.join(", ");
                format!("unknown key {key}; did you mean {first} or {last}?")
            }
        }
    }
}

/// Returns the last part of a key, without its section.
fn name_of(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

fn line(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    before.matches('\n').count() + 1
}
