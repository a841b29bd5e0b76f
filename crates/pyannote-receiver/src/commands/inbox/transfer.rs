//! `inbox export` and `inbox import`: all events as JSON, one a line.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use indicatif::{ProgressBar, ProgressStyle};
use pyannote_cli::Failure;
use serde::Deserialize;
use tower_pyannote_inbox::{Commit, Inbox, InboxFilter};

use super::{super::line_of, failed, line::Line};
use crate::error::in_full;

/// Appends all events to a file. If the file has events, continues after the last one. Returns the number of new lines.
pub(super) async fn export(inbox: &Inbox, path: &Path) -> Result<u64, Failure> {
    let cannot =
        |error: io::Error| Failure::run(format!("{}: cannot be written: {error}", path.display()));
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(cannot)?;
    let mut last = resume(&mut file).map_err(cannot)?;
    let mut file = BufWriter::new(file);
    let stats = inbox.stats().await.map_err(failed)?;
    let events = stats.waiting + stats.running + stats.handled + stats.dead + stats.unknown;
    let bar = bar(
        events,
        "{bar:40} {human_pos} of {human_len} events, {eta} left",
    );
    let mut written = 0;
    loop {
        let page = inbox.list(&InboxFilter::new().with_id_above(&last)).await;
        let page = page.map_err(failed)?;
        let Some(end) = page.last() else {
            break;
        };
        last = end.id.clone();
        for entry in &page {
            // A worker may have pruned the event meanwhile.
            let event = inbox.event(&entry.id).await;
            let event = event.map_err(|error| {
                Failure::run(format!("event {}: {}", entry.id, in_full(&error)))
            })?;
            if let Some(event) = event {
                let line = line_of(&Line::new(entry, &event))?;
                file.write_all(line.as_bytes()).map_err(cannot)?;
                written += 1;
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let file = file
        .into_inner()
        .map_err(|error| cannot(error.into_error()))?;
    file.sync_all().map_err(cannot)?;
    Ok(written)
}

/// Imports all events of a file. Returns the number of new events, and of those that the inbox has.
pub(super) async fn import(inbox: &Inbox, path: &Path) -> Result<(u64, u64), Failure> {
    let cannot =
        |error: io::Error| Failure::run(format!("{}: cannot be read: {error}", path.display()));
    let file = File::open(path).map_err(cannot)?;
    let length = file.metadata().map_err(cannot)?.len();
    let mut file = BufReader::new(file);
    let bar = bar(length, "{bar:40} {bytes} of {total_bytes}, {eta} left");
    let (mut new, mut known) = (0, 0);
    let mut text = Vec::new();
    for number in 1_u64.. {
        text.clear();
        let read = read_line(&mut file, &mut text).map_err(cannot)?;
        if read == 0 {
            break;
        }
        let at_line = |error: &dyn std::error::Error| {
            let error = in_full(error);
            Failure::run(format!("{} line {number}: {error}", path.display()))
        };
        let line: Line<'_> = serde_json::from_slice(&text).map_err(|error| at_line(&error))?;
        let (event, state) = line.read().map_err(|error| at_line(&*error))?;
        match inbox
            .import(&event, &state)
            .await
            .map_err(|error| at_line(&error))?
        {
            Commit::New => new += 1,
            _ => known += 1,
        }
        bar.inc(u64::try_from(read).unwrap_or_default());
    }
    bar.finish_and_clear();
    Ok((new, known))
}

/// Moves to the end of the last complete line of a file, and returns the id in it, or `0`.
fn resume(file: &mut File) -> io::Result<String> {
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }

    let mut last = "0".to_owned();
    let mut end = 0;
    let mut reader = BufReader::new(&mut *file);
    let mut text = Vec::new();
    for number in 1_u64.. {
        text.clear();
        let read = read_line(&mut reader, &mut text)?;
        // Only the last line can be incomplete, because an export was cut off in it.
        if !text.ends_with(b"\n") {
            break;
        }
        let line = serde_json::from_slice::<Id>(&text).map_err(|_| {
            let error = format!("line {number} is not an exported event; choose another file");
            io::Error::other(error)
        })?;
        last = line.id;
        end += u64::try_from(read).unwrap_or_default();
    }
    if !text.is_empty() && end == 0 {
        let error = "the file has something else than exported events; choose another file";
        return Err(io::Error::other(error));
    }
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    Ok(last)
}

/// Reads a line with its end. Returns the number of bytes, 0 at the end of the file.
fn read_line(file: &mut impl BufRead, text: &mut Vec<u8>) -> io::Result<usize> {
    let read = file.take(LONGEST_LINE).read_until(b'\n', text)?;
    if !text.ends_with(b"\n") && u64::try_from(read).is_ok_and(|read| read == LONGEST_LINE) {
        return Err(io::Error::other("a line is longer than any exported event"));
    }
    Ok(read)
}

/// Returns a progress bar on stderr, which is hidden unless stderr is a terminal.
fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("a valid template");
    ProgressBar::new(length).with_style(style)
}

/// Several times the largest body, whose quotes an export escapes.
const LONGEST_LINE: u64 = 1 << 30;
