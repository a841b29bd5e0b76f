//! `pyannote-receiver inbox`: lists, shows, replays and prunes events, migrates the tables, and moves events.

mod line;
mod transfer;
mod view;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use pyannote_cli::{Failure, print};
use serde_json::json;
use tower_pyannote_inbox::{self as inbox, InboxError, InboxFilter, InboxState, Replay};

use self::view::{Unanswered, View};
use super::json;
use crate::{database::Place, error::in_full, secrets::Secrets, settings::Database};

/// List, show, replay, prune, export or import the events of an existing inbox; a server may run on it at the same time
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Inbox {
    #[command(flatten)]
    database: Database,

    /// Print JSON
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List events, the last received first
    List {
        /// Only events in this state
        #[arg(long)]
        state: Option<State>,

        /// Only events of this job
        #[arg(long, value_name = "ID")]
        job_id: Option<String>,

        /// Only events of jobs that were submitted with this reference
        #[arg(long, value_name = "TEXT")]
        reference: Option<String>,

        /// The maximum number of events
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one event
    Show {
        /// The event's id, from `inbox list`
        id: String,

        /// Print only the body, byte for byte as received
        #[arg(long)]
        body: bool,
    },
    /// Handle events again, in the server that runs on this inbox or starts on it next
    Replay {
        /// The ids of the events, from `inbox list`
        #[arg(required_unless_present = "dead")]
        ids: Vec<String>,

        /// All dead events
        #[arg(long, conflicts_with = "ids")]
        dead: bool,

        /// Run all handlers again, not only those that have not succeeded
        #[arg(long)]
        all_handlers: bool,
    },
    /// Delete handled events early
    Prune {
        /// The minimum age, in days since the event was handled
        #[arg(long, value_name = "DAYS", default_value_t = 7)]
        days: u32,
    },
    /// List the submissions with a reference or metadata whose answer was lost
    Unanswered,
    /// Assign a job to a submission whose answer was lost; replay the job's event afterwards
    Answer {
        /// The submission's id, from `inbox unanswered`
        submission: String,

        /// The job's id
        job_id: String,
    },
    /// Create the inbox's tables, or bring them up to date
    Migrate,
    /// Write all events to a file, with their states, as JSON lines; continues a file that is there
    Export {
        /// The file
        file: PathBuf,
    },
    /// Read the events of an exported file into this inbox; events that it has stay as they are
    Import {
        /// The file
        file: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum State {
    Waiting,
    Running,
    Handled,
    Dead,
    Unknown,
}

impl From<State> for InboxState {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Running => Self::Running,
            State::Handled => Self::Handled,
            State::Dead => Self::Dead,
            State::Unknown => Self::Unknown,
        }
    }
}

pub(crate) async fn run(command: &Inbox, secrets: &Secrets) -> Result<(), Failure> {
    let as_json = command.json;
    let place = Place::new(&command.database, secrets)?;
    if let Command::Migrate = command.command {
        place.migrate().await?;
        return print(match as_json {
            true => json(&json!({ "migrated": true }))?,
            false => "the inbox's tables are up to date\n".to_owned(),
        });
    }
    let inbox = place.open_existing().await?;
    match &command.command {
        Command::List {
            state,
            job_id,
            reference,
            limit,
        } => {
            let mut filter = InboxFilter::new().with_limit(*limit);
            if let Some(state) = state {
                filter = filter.with_state((*state).into());
            }
            if let Some(job_id) = job_id {
                filter = filter.with_job_id(job_id);
            }
            if let Some(reference) = reference {
                filter = filter.with_reference(reference);
            }
            let entries = inbox.list(&filter).await.map_err(failed)?;
            print(match as_json {
                true => json(&entries.iter().map(View::new).collect::<Vec<_>>())?,
                false => view::table(&entries),
            })
        }
        Command::Show { id, body: false } => {
            let filter = InboxFilter::new().with_id(id);
            let entries = inbox.list(&filter).await.map_err(failed)?;
            let entry = entries.first().ok_or_else(|| no_event(id))?;
            print(match as_json {
                true => json(&View::new(entry))?,
                false => view::rows(entry),
            })
        }
        Command::Show { id, body: true } => {
            let event = inbox.event(id).await.map_err(failed)?;
            let event = event.ok_or_else(|| no_event(id))?;
            print(event.raw())
        }
        Command::Replay {
            ids,
            dead,
            all_handlers,
        } => {
            let replayed = replay(&inbox, ids, *dead, *all_handlers).await?;
            print(done("replayed", replayed, "to be handled again", as_json)?)
        }
        Command::Prune { days } => {
            let age = Duration::from_secs(u64::from(*days) * 24 * 60 * 60);
            let pruned = inbox.prune(age).await.map_err(failed)?;
            print(done("pruned", pruned, "removed", as_json)?)
        }
        Command::Export { file } => {
            let written = transfer::export(&inbox, file).await?;
            print(done("exported", written, "exported", as_json)?)
        }
        Command::Import { file } => {
            let (new, known) = transfer::import(&inbox, file).await?;
            print(match as_json {
                true => json(&json!({ "imported": new, "known": known }))?,
                false => format!("{new} imported, {known} were there before\n"),
            })
        }
        Command::Unanswered => {
            let found = inbox.unanswered_submissions().await.map_err(failed)?;
            print(match as_json {
                true => json(&found.iter().map(Unanswered::new).collect::<Vec<_>>())?,
                false => view::unanswered(&found),
            })
        }
        Command::Answer { submission, job_id } => {
            let answered = inbox.answer_submission(submission, job_id.as_str()).await;
            if !answered.map_err(failed)? {
                let unknown = format!("{submission}: no submission without an answer");
                return Err(Failure::run(unknown));
            }
            print(done("answered", 1, "assigned", as_json)?)
        }
        Command::Migrate => Ok(()),
    }
}

async fn replay(
    inbox: &inbox::Inbox,
    ids: &[String],
    dead: bool,
    all_handlers: bool,
) -> Result<u64, Failure> {
    let ids = match dead {
        true => dead_ids(inbox).await.map_err(failed)?,
        false => ids.to_vec(),
    };
    let replay = match all_handlers {
        true => Replay::All,
        false => Replay::Unfinished,
    };
    let mut replayed = 0;
    for id in &ids {
        match inbox.replay(id, replay).await.map_err(failed)? {
            true => replayed += 1,
            // The event was replayed or pruned since it was listed.
            false if dead => {}
            false => return Err(not_replayed(id)),
        }
    }
    Ok(replayed)
}

/// Returns how many events a command changed, as `{"name": count}` or as a line.
fn done(name: &str, count: u64, text: &str, as_json: bool) -> Result<String, Failure> {
    match as_json {
        true => json(&json!({ name: count })),
        false => Ok(format!("{count} {text}\n")),
    }
}

fn failed(error: InboxError) -> Failure {
    Failure::run(in_full(&error))
}

async fn dead_ids(inbox: &inbox::Inbox) -> Result<Vec<String>, InboxError> {
    let dead = InboxFilter::new()
        .with_state(InboxState::Dead)
        .with_limit(u32::MAX);
    let entries = inbox.list(&dead).await?;
    Ok(entries.into_iter().map(|entry| entry.id).collect())
}

fn no_event(id: &str) -> Failure {
    Failure::run(format!("{id}: no such event"))
}

fn not_replayed(id: &str) -> Failure {
    Failure::run(format!("{id}: no such event, or a worker handles it now"))
}

const AFTER_HELP: &str = "\
Examples:
  pyannote-receiver inbox list --state dead --json
  pyannote-receiver inbox show 42 --body > event.json
  pyannote-receiver inbox replay --dead
  pyannote-receiver inbox migrate --database-url postgres://owner@db/pyannote
  pyannote-receiver inbox export events.jsonl --data-dir /var/lib/pyannote-receiver
  pyannote-receiver inbox import events.jsonl --database-url postgres://receiver@db/pyannote";
