//! `pyannote-receiver config`: prints the settings that are in force.

use clap::Args;
use pyannote_cli::{Failure, print};

use super::json;
use crate::{
    secrets::Secrets,
    settings::{InForce, Listen, Origin, Private, REDACTED, Setting, Settings},
};

/// Print the settings that are in force, and where each came from; secrets are redacted
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Config {
    #[command(flatten)]
    settings: Settings,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Config {
    pub(crate) fn listen(&self) -> &Listen {
        &self.settings.listen
    }
}

pub(crate) fn run(
    config: &Config,
    in_force: &InForce,
    secrets: &Secrets,
    private: &Private,
) -> Result<(), Failure> {
    let mut settings = in_force.redacted();
    // Its default depends on the port.
    let mut all = settings.iter_mut();
    if let Some(listen) = all.find(|setting| setting.key == "server.private_listen") {
        listen.value = Some(private.to_string());
    }
    for (key, place) in secrets.places() {
        settings.push(Setting {
            key: key.to_owned(),
            value: place.as_ref().map(|_| REDACTED.to_owned()),
            origin: place
                .as_ref()
                .map_or(Origin::Default, |_| Origin::Environment),
            place: place.unwrap_or_default(),
            is_secret: true,
        });
    }
    settings.sort_by(|one, other| one.key.cmp(&other.key));
    print(match config.json {
        true => json(&settings)?,
        false => settings.iter().map(line).collect(),
    })
}

fn line(setting: &Setting) -> String {
    let value = setting.value.as_deref().unwrap_or("-");
    let place = match setting.origin {
        Origin::Default => "default",
        _ => &setting.place,
    };
    format!("{:<24}  {value:<24}  {place}\n", setting.key)
}

const AFTER_HELP: &str = "\
Examples:
  pyannote-receiver config --config /etc/pyannote-receiver.toml
  pyannote-receiver config --json";
