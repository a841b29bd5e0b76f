use std::{
    collections::VecDeque,
    io, mem,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use object_store::{PutPayload, PutResult, Result};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
};

use super::{
    group::{self, Answer, Create},
    pace::Pace,
};

/// Queues creates, and starts the thread that writes them in groups.
#[derive(Debug)]
pub(super) struct Creates {
    queue: Arc<Mutex<Queue>>,
    /// Limits the content that waits or is being written, in KiB.
    room: Arc<Semaphore>,
    /// The number of files that are being created without a group.
    alone: AtomicU32,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Create>,
    /// Whether a thread writes groups.
    is_served: bool,
    pace: Pace,
}

impl Creates {
    /// Creates a file in a group. Returns `None` if the file must be created without a group.
    pub(super) async fn create(
        &self,
        path: &Path,
        payload: &PutPayload,
    ) -> Option<Result<PutResult>> {
        let runtime = Handle::try_current().ok()?;
        let (directory, name) = (path.parent()?, path.file_name()?);
        let kibibytes = payload.content_length().div_ceil(1 << 10).clamp(1, ROOM);
        let share = u32::try_from(kibibytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room)
            .acquire_many_owned(share)
            .await
            .ok()?;
        let (answer, answered) = oneshot::channel();
        let create = Create {
            directory: directory.to_owned(),
            name: name.to_owned(),
            payload: payload.clone(),
            answer,
            _room: room,
        };
        let was_served = {
            let mut queue = lock(&self.queue);
            queue.waiting.push_back(create);
            mem::replace(&mut queue.is_served, true)
        };
        if !was_served {
            let server = Server {
                queue: Arc::clone(&self.queue),
                is_done: false,
            };
            runtime.spawn_blocking(|| server.run());
        }
        match answered.await {
            Ok(Answer::Created) => Some(Ok(PutResult {
                e_tag: None,
                version: None,
                extensions: Default::default(),
            })),
            Ok(Answer::Failed(error)) => Some(Err(error)),
            Ok(Answer::Alone) => None,
            Err(_) => Some(Err(group::error(
                path,
                io::Error::other("the runtime shut down before the file was written"),
            ))),
        }
    }

    /// Runs a create without a group, and records its duration.
    pub(super) async fn alone(
        &self,
        create: impl Future<Output = Result<PutResult>>,
    ) -> Result<PutResult> {
        let at_once = Alone::begin(&self.alone);
        let begun = Instant::now();
        let created = create.await;
        if created.is_ok() {
            let mut queue = lock(&self.queue);
            queue.pace.note_alone(begun.elapsed(), at_once.number);
        }
        created
    }
}

/// Counts a file that is being created alone. The count goes down when the future is dropped, too.
struct Alone<'a> {
    all: &'a AtomicU32,
    number: u32,
}

impl<'a> Alone<'a> {
    fn begin(all: &'a AtomicU32) -> Self {
        let number = all.fetch_add(1, Ordering::Relaxed) + 1;
        Self { all, number }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Creates {
    fn default() -> Self {
        Self {
            queue: Arc::default(),
            room: Arc::new(Semaphore::new(ROOM)),
            alone: AtomicU32::new(0),
        }
    }
}

/// Writes groups, one after the other, until no create waits.
struct Server {
    queue: Arc<Mutex<Queue>>,
    is_done: bool,
}

impl Server {
    fn run(mut self) {
        loop {
            let begun = Instant::now();
            let (group, is_shared) = {
                let mut queue = lock(&self.queue);
                let group = next_group(&mut queue.waiting);
                if group.is_empty() {
                    queue.is_served = false;
                    self.is_done = true;
                    return;
                }
                let is_shared = queue.pace.shares(begun, group.len());
                (group, is_shared)
            };
            if is_shared {
                let files = group.len();
                group::commit(group);
                let mut queue = lock(&self.queue);
                queue.pace.note_shared(begun, begun.elapsed(), files);
            } else {
                group.into_iter().for_each(Create::leave);
            }
        }
    }
}

impl Drop for Server {
    /// Fails the creates that wait if the runtime shut down before the server ran. The next create starts a server.
    fn drop(&mut self) {
        if !self.is_done {
            let mut queue = lock(&self.queue);
            queue.is_served = false;
            queue.waiting.clear();
        }
    }
}

/// Takes the creates of the next group. Skips a create whose future was dropped.
fn next_group(waiting: &mut VecDeque<Create>) -> Vec<Create> {
    let (mut group, mut bytes) = (Vec::new(), 0);
    while group.len() < MOST_FILES && bytes < MOST_BYTES {
        let Some(create) = waiting.pop_front() else {
            break;
        };
        if !create.answer.is_closed() {
            bytes += create.payload.content_length();
            group.push(create);
        }
    }
    group
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The limit of content that waits or is being written, in KiB: two of the largest bodies.
const ROOM: usize = 256 << 10;

const MOST_FILES: usize = 64;
/// A group takes no further file after this many bytes.
const MOST_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds a create of some bytes to the queue.
    fn wait(waiting: &mut VecDeque<Create>, bytes: usize) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        waiting.push_back(Create {
            directory: "/".into(),
            name: waiting.len().to_string().into(),
            payload: vec![0; bytes].into(),
            answer,
            _room: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
        });
        answered
    }

    #[test]
    fn a_group_has_at_most_64_files_and_no_more_after_16_mib() {
        let rows = [(1, 200, [64, 64, 64, 8]), (5 << 20, 10, [4, 4, 2, 0])];
        for (bytes, creates, groups) in rows {
            let mut waiting = VecDeque::new();
            let answered = (0..creates).map(|_| wait(&mut waiting, bytes));
            let answered: Vec<_> = answered.collect();
            let taken = [(); 4].map(|()| next_group(&mut waiting).len());
            assert_eq!(taken, groups, "of {bytes} bytes");
            drop(answered);
        }
    }

    #[test]
    fn a_create_whose_future_was_dropped_is_skipped() {
        let mut waiting = VecDeque::new();
        let first = wait(&mut waiting, 1);
        drop(wait(&mut waiting, 1));
        let third = wait(&mut waiting, 1);
        let group = next_group(&mut waiting);
        assert_eq!([&group[0].name, &group[1].name], ["0", "2"]);
        assert_eq!(group.len(), 2);
        drop((first, third));
    }

    #[test]
    fn a_server_that_never_runs_fails_the_creates_that_wait() {
        let queue = Arc::new(Mutex::new(Queue::default()));
        let mut answered = wait(&mut lock(&queue).waiting, 1);
        lock(&queue).is_served = true;
        drop(Server {
            queue: Arc::clone(&queue),
            is_done: false,
        });
        let error = answered.try_recv().unwrap_err();
        assert_eq!(error, oneshot::error::TryRecvError::Closed);
        assert!(!lock(&queue).is_served, "the next create starts a server");
    }
}
