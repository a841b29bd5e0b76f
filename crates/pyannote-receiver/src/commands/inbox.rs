//! The inbox of the server, and `server inbox`: what an operator does with it.

use std::{
    io::{self, Write},
    path::Path,
    time::{Duration, SystemTime},
};

use clap::{Subcommand, ValueEnum};
use tower_pyannote_inbox::{Inbox, InboxEntry, InboxError, InboxFilter, InboxState, Replay};

use pyannote_cli::{Failure, plain};

/// Looks into an inbox that is there and sets right what is in it; the server may run meanwhile
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists events, the last received first
    List {
        /// Only those in this state
        #[arg(long)]
        state: Option<State>,

        /// Only those of this job
        #[arg(long, value_name = "ID")]
        job_id: Option<String>,

        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Shows one event
    Show {
        /// Its id, as the list tells it
        id: String,

        /// Writes the body as it was received, and nothing else
        #[arg(long)]
        body: bool,
    },
    /// Has events handled again, by the handlers of the server that runs on this inbox, or of the next one
    Replay {
        /// Their ids, as the list tells them
        #[arg(required_unless_present = "dead")]
        ids: Vec<String>,

        /// All that are dead
        #[arg(long, conflicts_with = "ids")]
        dead: bool,

        /// By all handlers, not only by those that did not succeed
        #[arg(long)]
        all_handlers: bool,
    },
    /// Removes handled events before their time
    Prune {
        /// Those that were handled so many days ago
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

/// Opens the inbox that was asked for, or a file in the data directory; makes it if it is not there.
pub(crate) async fn open(address: Option<&str>, data_dir: &Path) -> Result<Inbox, Failure> {
    let opened = match address {
        Some(address) => Inbox::open(address).await,
        None => Inbox::sqlite(data_dir.join(FILE)).await,
    };
    named(opened, address, data_dir)
}

/// As [`open`] does, but makes nothing: an operator who mistypes a place must not find an empty inbox there.
pub(crate) async fn open_existing(
    address: Option<&str>,
    data_dir: &Path,
) -> Result<Inbox, Failure> {
    let opened = match address {
        Some(address) => Inbox::open_existing(address).await,
        None => Inbox::sqlite_existing(data_dir.join(FILE)).await,
    };
    named(opened, address, data_dir)
}

/// Names the setting in the error. The address is not repeated, because it may hold a password.
fn named(
    opened: Result<Inbox, InboxError>,
    address: Option<&str>,
    data_dir: &Path,
) -> Result<Inbox, Failure> {
    let setting = match address {
        Some(_) => "--database-url (or DATABASE_URL)".to_owned(),
        None => format!("--data-dir {}", data_dir.display()),
    };
    opened.map_err(|error| Failure::run(format!("{setting}: {}", in_full(&error))))
}

pub(crate) async fn run(command: &Command, inbox: &Inbox) -> Result<(), Failure> {
    let failed = |error: InboxError| Failure::run(in_full(&error));
    let mut out = io::stdout();
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
            print(&mut out, &list(&entries))
        }
        Command::Show { id, body: false } => {
            let filter = InboxFilter::new().with_id(id);
            let entries = inbox.list(&filter).await.map_err(failed)?;
            let entry = entries.first().ok_or_else(|| unknown(id))?;
            print(&mut out, &describe(entry))
        }
        Command::Show { id, body: true } => {
            let event = inbox.event(id).await.map_err(failed)?;
            let event = event.ok_or_else(|| unknown(id))?;
            out.write_all(event.raw()).map_err(Failure::run)
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
                    // Replayed by another hand, or pruned, since they were listed.
                    false if *dead => {}
                    false => return Err(unknown(id)),
                }
            }
            print(&mut out, &format!("{replayed} to be handled again\n"))
        }
        Command::Prune { days } => {
            let age = Duration::from_secs(u64::from(*days) * 24 * 60 * 60);
            let pruned = inbox.prune(age).await.map_err(failed)?;
            print(&mut out, &format!("{pruned} removed\n"))
        }
    }
}

/// An error with what caused it, in one line.
pub(crate) fn in_full(error: &InboxError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
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

pub(crate) fn print(out: &mut impl Write, text: &str) -> Result<(), Failure> {
    match out.write_all(text.as_bytes()) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Failure::run),
    }
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

const FILE: &str = "inbox.sqlite";
