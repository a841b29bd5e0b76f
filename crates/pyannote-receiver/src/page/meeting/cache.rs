use std::sync::Arc;

use tokio::{sync::Mutex, task};
use tower_pyannote_inbox::{Inbox, InboxError};

use super::Meeting;
use crate::page::room::{NoRoom, Room};

/// The meetings that were shown last. Reading a day's scores takes a second, and zooming shows them many times.
#[derive(Debug, Default)]
pub(crate) struct Meetings {
    /// The last used meeting is the last.
    held: Mutex<Vec<(String, Arc<Meeting>)>>,
}

/// Why there is no meeting to show.
#[derive(Debug)]
pub(crate) enum NoMeeting {
    /// No event has the id.
    NoEvent,
    /// The event has no turns.
    NoTurns,
    Inbox(InboxError),
    /// Other reads used the memory for too long.
    NoRoom(NoRoom),
    /// Reading panicked.
    Broken,
}

impl Meetings {
    /// Returns the meeting of an event. Only one meeting is read at a time, because a body and its output take memory.
    pub(in crate::page) async fn get(
        &self,
        inbox: &Inbox,
        room: &Room,
        id: &str,
    ) -> Result<Arc<Meeting>, NoMeeting> {
        let mut held = self.held.lock().await;
        if let Some(index) = held.iter().position(|(known, _)| known == id) {
            let entry = held.remove(index);
            let meeting = Arc::clone(&entry.1);
            held.push(entry);
            return Ok(meeting);
        }
        let details = inbox.details(id).await.map_err(NoMeeting::Inbox)?;
        let details = details.ok_or(NoMeeting::NoEvent)?;
        let reserved = room.reserve(details.entry.bytes).await;
        let reserved = reserved.map_err(NoMeeting::NoRoom)?;
        let event = inbox.event(id).await.map_err(NoMeeting::Inbox)?;
        let event = event.ok_or(NoMeeting::NoEvent)?;
        let read = task::spawn_blocking(move || {
            let meeting = event.output().and_then(Meeting::read);
            drop((event, reserved));
            meeting
        });
        let read = read.await.map_err(|_| NoMeeting::Broken)?;
        let meeting = Arc::new(read.ok_or(NoMeeting::NoTurns)?);
        held.push((id.to_owned(), Arc::clone(&meeting)));
        let mut bytes: usize = held.iter().map(|(_, meeting)| meeting.bytes()).sum();
        while (bytes > MOST_BYTES || held.len() > MOST_MEETINGS) && held.len() > 1 {
            bytes -= held.remove(0).1.bytes();
        }
        Ok(meeting)
    }
}

/// The memory of all meetings but the last.
const MOST_BYTES: usize = 64 << 20;
const MOST_MEETINGS: usize = 16;
