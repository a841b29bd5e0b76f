//! `pyannote-receiver inbox`: lists, shows, replays and prunes events.

use std::time::{Duration, SystemTime};

use clap::{Subcommand, ValueEnum};
use pyannote_cli::{Failure, plain, print};
use tower_pyannote_inbox::{Inbox, InboxEntry, InboxError, InboxFilter, InboxState, Replay};

use crate::error::in_full;

/// List, show, replay or prune the events of an existing inbox; a server may run on it at the same time
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List events, the last received first
    List {
        /// Only events in this state
        #[arg(long)]
        state: Option<State>,

        /// Only events of this job
        #[arg(long, value_name = "ID")]
        job_id: Option<String>,

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
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum State {
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

pub(crate) async fn run(command: &Command, inbox: &Inbox) -> Result<(), Failure> {
    let failed = |error: InboxError| Failure::run(in_full(&error));
    match command {
        Command::List {
            state,
            job_id,
            limit,
        } => {
            let mut filter = InboxFilter::new().with_limit(*limit);
            if let Some(state) = state {
                filter = filter.with_state((*state).into());
            }
            if let Some(job_id) = job_id {
                filter = filter.with_job_id(job_id);
            }
            let entries = inbox.list(&filter).await.map_err(failed)?;
            print(list(&entries))
        }
        Command::Show { id, body: false } => {
            let filter = InboxFilter::new().with_id(id);
            let entries = inbox.list(&filter).await.map_err(failed)?;
            let entry = entries.first().ok_or_else(|| unknown(id))?;
            print(describe(entry))
        }
        Command::Show { id, body: true } => {
            let event = inbox.event(id).await.map_err(failed)?;
            let event = event.ok_or_else(|| unknown(id))?;
            print(event.raw())
        }
        Command::Replay {
            ids,
            dead,
            all_handlers,
        } => {
            let ids = match dead {
                true => dead_ids(inbox).await.map_err(failed)?,
                false => ids.clone(),
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
                    false if *dead => {}
                    false => return Err(unknown(id)),
                }
            }
            print(format!("{replayed} to be handled again\n"))
        }
        Command::Prune { days } => {
            let age = Duration::from_secs(u64::from(*days) * 24 * 60 * 60);
            let pruned = inbox.prune(age).await.map_err(failed)?;
            print(format!("{pruned} removed\n"))
        }
    }
}

async fn dead_ids(inbox: &Inbox) -> Result<Vec<String>, InboxError> {
    let dead = InboxFilter::new()
        .with_state(InboxState::Dead)
        .with_limit(u32::MAX);
    let entries = inbox.list(&dead).await?;
    Ok(entries.into_iter().map(|entry| entry.id).collect())
}

fn unknown(id: &str) -> Failure {
    Failure::run(format!("{id}: no such event, or a worker holds it"))
}

fn list(entries: &[InboxEntry]) -> String {
    let mut text = format!(
        "{:<26}  {:<7}  {:>8}  {:>11}  {:<20}  {:<14}  {:<9}  {}\n",
        "ID", "STATE", "ATTEMPTS", "BYTES", "RECEIVED", "KIND", "STATUS", "JOB"
    );
    for entry in entries {
        text += &format!(
            "{:<26}  {:<7}  {:>8}  {:>11}  {:<20}  {:<14}  {:<9}  {}\n",
            entry.id,
            entry.state,
            entry.attempts,
            entry.bytes,
            when(entry.received_at),
            entry.kind.map_or("-", |kind| kind.as_str()),
            plain(&entry.status),
            plain(&entry.job_id),
        );
    }
    text
}

fn describe(entry: &InboxEntry) -> String {
    let finished = entry.finished_at.map_or("-".to_owned(), when);
    let rows = [
        ("id", entry.id.clone()),
        ("job", plain(&entry.job_id)),
        ("status", plain(&entry.status)),
        (
            "kind",
            entry.kind.map_or("-", |kind| kind.as_str()).to_owned(),
        ),
        ("state", entry.state.to_string()),
        ("failed attempts", entry.attempts.to_string()),
        ("bytes", entry.bytes.to_string()),
        ("received", when(entry.received_at)),
        ("finished", finished),
        ("conflicts", entry.conflicts.to_string()),
        (
            "last error",
            entry.last_error.as_deref().map_or("-".to_owned(), plain),
        ),
    ];
    rows.iter()
        .map(|(name, value)| format!("{name:<16} {value}\n"))
        .collect()
}

fn when(time: SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => "-".to_owned(),
    }
}
