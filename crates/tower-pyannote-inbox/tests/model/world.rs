//! An inbox, two workers, and the test between them and their database.

use std::{sync::mpsc, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinHandle,
    time,
};
use tower_pyannote::{WebhookEvent, event::Delivery};
use tower_pyannote_inbox::{Commit, Inbox, InboxError, Replay, StoreFault, StoreFaults, StoreStep};

use crate::{
    command::{Command, LATER, Loss, Verdict},
    database::{Database, Event, Snapshot, Tables},
    gate::{Call, Waiting},
    model::{Cause, MAX_ATTEMPTS, Model},
};

/// Everything, on one thread whose time moves only when the test says so.
pub(crate) struct World {
    /// The time of tokio stands still while a blocking task runs, which ends when this is dropped: before the runtime, which
    /// waits for the task.
    _still: mpsc::Sender<()>,
    state: Option<State>,
    runtime: Runtime,
}

struct State {
    database: Database,
    tables: Tables,
    last: Snapshot,
    model: Model,
    waiting: Waiting,
    door: (Inbox, StoreFaults),
    inboxes: [Inbox; 2],
    workers: [Option<Worker>; 2],
    started: usize,
    /// Claims that have had their effect, and whose worker does not know yet.
    unanswered: Vec<(usize, Vec<(i64, Event)>)>,
}

struct Worker {
    number: usize,
    task: JoinHandle<Result<(), InboxError>>,
    stop: Option<oneshot::Sender<()>>,
}

impl World {
    pub(crate) fn new(database: Database) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (still, end) = mpsc::channel::<()>();
        let state = runtime.block_on(async {
            time::pause();
            tokio::task::spawn_blocking(move || end.recv());
            let mut state = State::new(database).await;
            state.start(0).await;
            state.start(1).await;
            state
        });
        Self {
            _still: still,
            state: Some(state),
            runtime,
        }
    }

    pub(crate) fn apply(&mut self, command: &Command) {
        if let Some(state) = &mut self.state {
            self.runtime.block_on(state.apply(command));
        }
    }

    /// Lets a new worker handle what is left, whatever happened before.
    pub(crate) fn comes_to_rest(mut self) {
        if let Some(state) = &mut self.state {
            self.runtime.block_on(state.come_to_rest());
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The pools are closed by tasks.
        let _runtime = self.runtime.enter();
        drop(self.state.take());
    }
}

impl State {
    async fn new(database: Database) -> Self {
        let inboxes = [database.open().await, database.open().await];
        let mut tables = database.tables().await;
        Self {
            door: StoreFaults::under(&inboxes[0]),
            last: tables.read().await,
            tables,
            database,
            model: Model::default(),
            waiting: Waiting::default(),
            inboxes,
            workers: [None, None],
            started: 0,
            unanswered: Vec::new(),
        }
    }

    async fn apply(&mut self, command: &Command) {
        match *command {
            Command::Deliver {
                event,
                other_body,
                loss,
            } => self.deliver(event, other_body, loss).await,
            Command::Start(worker) => self.start(worker).await,
            Command::Stop(worker) => {
                if let Some(worker) = self.worker(worker) {
                    worker.stop = None;
                }
                self.nothing_changes().await;
            }
            Command::Kill(worker) => self.kill(worker).await,
            Command::Restart => {
                self.kill(0).await;
                self.kill(1).await;
                self.inboxes = [self.database.open().await, self.database.open().await];
                self.door = StoreFaults::under(&self.inboxes[0]);
                self.nothing_changes().await;
            }
            Command::Go(number) => {
                if let Some(call) = self.waiting.call(number, |_| true) {
                    self.go(call).await;
                }
            }
            Command::Fail(number) => {
                if let Some(call) = self.waiting.call(number, |_| true) {
                    self.unanswered.retain(|(worker, _)| {
                        (*worker, "claim", true) != (call.worker, call.name, call.has_effect)
                    });
                    self.waiting.answer(call, StoreStep::Fails);
                    self.nothing_changes().await;
                }
            }
            Command::Die { call, polls } => self.die(call, polls).await,
            Command::Both(one, other) => self.both(one, other).await,
            Command::Calm => self.calm().await,
            Command::Work => self.work().await,
            Command::End { run, verdict } => self.end(run, verdict).await,
            Command::Tick { seconds } => self.tick(seconds.into()).await,
            Command::Clock { minutes } => {
                self.tables.move_clock(minutes.into()).await;
                // Not a change of the inbox.
                self.last = self.tables.read().await;
            }
            Command::LoseLease(worker) => {
                let number = self.worker(worker).map(|worker| worker.number);
                let name = number.and_then(|number| self.model.names.get(&number));
                if let Some(name) = name {
                    self.tables.drop_lease(name).await;
                    self.last = self.tables.read().await;
                }
            }
            Command::Replay { event, all } => self.replay(event, all).await,
            Command::Prune { hours } => {
                let age = Duration::from_secs(u64::from(hours) * 3_600);
                self.door.0.prune(age).await.unwrap();
                let hours = hours.into();
                self.changed_whole(Cause::Prune { hours }).await;
            }
        }
    }

    async fn deliver(&mut self, number: u8, other_body: bool, loss: Option<Loss>) {
        let (job, status) = EVENTS[usize::from(number)];
        let rest = if other_body { r#","output":null"# } else { "" };
        let body = format!(r#"{{"jobId":"{job}","status":"{status}"{rest}}}"#);
        let delivery = Delivery::at(std::time::SystemTime::now());
        let event = WebhookEvent::new(body.into(), delivery).unwrap();
        let stored = self.event(number);
        match loss {
            None => self.door.1.end(),
            Some(Loss::Request) => self.door.1.begin(StoreFault::Fails),
            Some(Loss::Answer) => self.door.1.begin(StoreFault::LosesAnswers),
        }
        let commit = self.door.0.commit(&event).await;
        self.door.1.end();
        let cause = match loss {
            Some(Loss::Request) => Cause::Nothing,
            _ => Cause::Delivery {
                key: (job, status),
                other_body,
            },
        };
        self.changed(&[cause]).await;
        assert_eq!(commit.is_ok(), loss.is_none());
        if let Ok(commit) = commit {
            let expected = match stored {
                None => Commit::New,
                Some(id) if self.model.has_body(id, other_body) => Commit::Duplicate,
                Some(_) => Commit::Conflict,
            };
            assert_eq!(commit, expected);
            assert!(self.event(number).is_some(), "acknowledged, and not there");
        }
    }

    async fn start(&mut self, slot: u8) {
        if self.worker(slot).is_some() {
            return;
        }
        self.started += 1;
        let number = self.started;
        let inbox = StoreFaults::gated(&self.inboxes[usize::from(slot)], self.waiting.gate(number));
        let worker = inbox.worker(self.waiting.handlers(number));
        let worker = worker
            .with_concurrency(2)
            .and_then(|worker| worker.with_max_attempts(u32::try_from(MAX_ATTEMPTS).unwrap()))
            .and_then(|worker| worker.with_backoff(Duration::ZERO, Duration::ZERO))
            .and_then(|worker| worker.with_lease(Duration::from_secs(3_600)))
            .unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            // Dropped to stop the worker.
            let stopped = async { drop(stopped.await) };
            worker.run_until(stopped).await
        });
        self.workers[usize::from(slot)] = Some(Worker {
            number,
            task,
            stop: Some(stop),
        });
        self.nothing_changes().await;
    }

    async fn kill(&mut self, slot: u8) {
        if let Some(worker) = self.workers[usize::from(slot)].take() {
            self.waiting.kill(worker.number);
            self.unanswered
                .retain(|(number, _)| *number != worker.number);
            worker.task.abort();
            self.nothing_changes().await;
        }
    }

    /// Lets a call have its effect, or be answered.
    async fn go(&mut self, call: Call) {
        let (worker, name) = (call.worker, call.name);
        if call.has_effect {
            if name == "claim" {
                let place = self
                    .unanswered
                    .iter()
                    .position(|(number, _)| *number == worker);
                let claimed = place.map(|place| self.unanswered.remove(place).1);
                self.model.begins(worker, claimed.unwrap_or_default());
            }
            self.waiting.answer(call, StoreStep::GoesOn);
            return self.nothing_changes().await;
        }
        self.waiting.answer(call, StoreStep::GoesOn);
        self.changed_whole(Cause::Call { worker, name }).await;
    }

    async fn calm(&mut self) {
        for _ in 0..40 {
            let Some(call) = self.waiting.call(0, |_| true) else {
                break;
            };
            self.go(call).await;
        }
    }

    async fn work(&mut self) {
        for _ in 0..8 {
            self.calm().await;
            self.end(0, Verdict::Done).await;
        }
    }

    async fn end(&mut self, run: u8, verdict: Verdict) {
        if let Some(run) = self.waiting.running(run) {
            self.model.ends(run.id, verdict);
            run.end(verdict);
            self.nothing_changes().await;
        }
    }

    /// Kills a worker in the middle of a call.
    async fn die(&mut self, number: u8, polls: u8) {
        let Some(call) = self.waiting.call(number, |call| !call.has_effect) else {
            return;
        };
        let (worker, name) = (call.worker, call.name);
        let polls = polls.into();
        self.waiting.answer(call, StoreStep::Dies { polls });
        self.waiting.settle().await;
        let slot = self
            .workers
            .iter()
            .position(|slot| slot.as_ref().is_some_and(|slot| slot.number == worker));
        let killed = self.workers[slot.unwrap()].take().unwrap();
        self.waiting.kill(worker);
        self.unanswered.retain(|(number, _)| *number != worker);
        killed.task.abort();
        self.waiting.settle().await;
        self.tables.are_quiet().await;
        self.changed(&[Cause::Call { worker, name }]).await;
    }

    async fn both(&mut self, one: u8, other: u8) {
        let Some(one) = self
            .waiting
            .call(one, |call| !call.has_effect && call.name != "release")
        else {
            return;
        };
        let other = self.waiting.call(other, |call| {
            !call.has_effect && call.worker != one.worker && call.name != "release"
        });
        let Some(other) = other else {
            return self.go(one).await;
        };
        let causes = [&one, &other].map(|call| Cause::Call {
            worker: call.worker,
            name: call.name,
        });
        if causes.iter().any(|cause| !self.is_known(*cause)) {
            self.go(one).await;
            return self.go(other).await;
        }
        self.waiting.answer(one, StoreStep::GoesOn);
        self.waiting.answer(other, StoreStep::GoesOn);
        self.changed(&causes).await;
    }

    async fn replay(&mut self, number: u8, all: bool) {
        let Some(event) = self.event(number) else {
            return;
        };
        let replay = if all { Replay::All } else { Replay::Unfinished };
        let runs = self.last.events[&event].state == "running";
        let replayed = self.door.0.replay(&event.to_string(), replay).await;
        assert_eq!(replayed.unwrap(), !runs);
        let cause = match runs {
            true => Cause::Nothing,
            false => Cause::Replay { event, all },
        };
        self.changed(&[cause]).await;
    }

    /// Handles what is left, and checks that nothing waits for more than its own delay.
    async fn come_to_rest(&mut self) {
        self.kill(0).await;
        self.kill(1).await;
        self.start(0).await;
        let longest = i64::try_from(LATER).unwrap() + 1;
        for round in 0.. {
            for _ in 0..2 {
                self.work().await;
            }
            let is_over = |event: &Event| matches!(&*event.state, "handled" | "dead");
            if self.last.events.values().all(is_over) {
                break;
            }
            assert!(round < 40, "no rest: {:#?}", self.last.events);
            self.tick(1).await;
            if round == 5 {
                self.tables.move_clock(longest).await;
                self.last = self.tables.read().await;
                // Leases are renewed and lost ones found.
                self.tick(1_200).await;
            }
        }
        self.kill(0).await;
        self.tables.are_removed().await;
    }

    async fn tick(&mut self, seconds: u64) {
        time::advance(Duration::from_secs(seconds)).await;
        self.nothing_changes().await;
    }

    async fn nothing_changes(&mut self) {
        self.changed(&[Cause::Nothing]).await;
    }

    async fn changed_whole(&mut self, cause: Cause<'_>) {
        let before = self.last.clone();
        self.changed(&[cause]).await;
        self.model.check_whole(&before, &self.last, cause);
    }

    /// Waits until everything waits, and checks what has changed.
    async fn changed(&mut self, causes: &[Cause<'_>]) {
        self.waiting.settle().await;
        let before = std::mem::replace(&mut self.last, self.tables.read().await);
        for cause in causes {
            self.learn_name(&before, *cause);
        }
        self.model.check(&before, &self.last, causes);
        for cause in causes {
            let Cause::Call {
                worker,
                name: "claim",
            } = *cause
            else {
                continue;
            };
            let claims = |(id, event): (&i64, &Event)| {
                let is_new = before.events[id].claims != event.claims;
                let is_own = event.worker.as_ref() == self.model.names.get(&worker);
                (is_new && is_own && event.state == "running").then(|| (*id, event.clone()))
            };
            let claimed: Vec<_> = self.last.events.iter().filter_map(claims).collect();
            self.unanswered.retain(|(number, _)| *number != worker);
            self.unanswered.push((worker, claimed));
        }
        for news in self.waiting.news() {
            self.model.hears(news, &self.last);
        }
        self.note_ends().await;
    }

    /// The first call of a worker makes its lease.
    fn learn_name(&mut self, before: &Snapshot, cause: Cause<'_>) {
        let Cause::Call {
            worker,
            name: "keep_alive",
        } = cause
        else {
            return;
        };
        if !self.model.names.contains_key(&worker) {
            let mut leases = self.last.leases.keys();
            let new = leases.find(|name| !before.leases.contains_key(*name));
            if let Some(new) = new {
                self.model.names.insert(worker, new.clone());
            }
        }
    }

    fn is_known(&self, cause: Cause<'_>) -> bool {
        matches!(cause, Cause::Call { worker, .. } if self.model.names.contains_key(&worker))
    }

    /// A worker that has ended by itself holds nothing.
    async fn note_ends(&mut self) {
        for slot in &mut self.workers {
            let Some(mut worker) = slot.take_if(|worker| worker.task.is_finished()) else {
                continue;
            };
            let ended = (&mut worker.task).await.unwrap();
            let name = self.model.names.get(&worker.number);
            let mut events = self.last.events.values();
            let holds =
                events.any(|event| event.state == "running" && event.worker.as_ref() == name);
            assert!(ended.is_err() || !holds, "the worker ended, and has events");
            self.waiting.kill(worker.number);
        }
    }

    fn worker(&mut self, slot: u8) -> Option<&mut Worker> {
        self.workers[usize::from(slot)].as_mut()
    }

    /// The id of an event that is stored.
    fn event(&self, number: u8) -> Option<i64> {
        let (job, status) = EVENTS[usize::from(number)];
        let mut events = self.last.events.iter();
        let found = events.find(|(_, event)| (&*event.job, &*event.status) == (job, status));
        found.map(|(id, _)| *id)
    }
}

const EVENTS: [(&str, &str); 6] = [
    ("a", "succeeded"),
    ("a", "failed"),
    ("b", "succeeded"),
    ("b", "failed"),
    ("c", "succeeded"),
    ("c", "failed"),
];
