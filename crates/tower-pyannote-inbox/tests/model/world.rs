//! An inbox, two workers, and the test between them and their database.

use std::{sync::mpsc, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinHandle,
    time,
};
use tower_pyannote_inbox::{
    Commit, Inbox, InboxError, Replay, StoreCall, StoreFault, StoreFaults, StoreStep,
};

use crate::{
    command::{Command, LATER, Loss, Verdict},
    database::{Database, Event, Snapshot, Tables},
    delivery::Delivery,
    gate::{Call, Waiting},
    model::{CONCURRENCY, Cause, MAX_ATTEMPTS, Model, is_alive},
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
    sent: Vec<Sent>,
}

struct Worker {
    number: usize,
    inbox: Inbox,
    task: JoinHandle<Result<(), InboxError>>,
    stop: Option<oneshot::Sender<()>>,
}

/// A delivery to the inbox of a worker, which is not answered yet.
struct Sent {
    worker: usize,
    delivery: Delivery,
    /// The answers that fit the last transaction that committed it.
    expected: Vec<Commit>,
    task: JoinHandle<Result<Commit, InboxError>>,
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
            sent: Vec::new(),
        }
    }

    async fn apply(&mut self, command: &Command) {
        match *command {
            Command::Deliver {
                event,
                other_body,
                loss,
            } => self.deliver(event, other_body, loss).await,
            Command::Send {
                worker,
                event,
                other_body,
            } => self.send(worker, Delivery::new(event, other_body)).await,
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
                    if call.has_effect && call.holds.places > 0 {
                        self.unanswered.retain(|(worker, _)| *worker != call.worker);
                    }
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
        let delivery = Delivery::new(number, other_body);
        let event = delivery.event();
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
            _ => Cause::Delivery(delivery),
        };
        self.changed(&[cause]).await;
        assert_eq!(commit.is_ok(), loss.is_none());
        if let Ok(commit) = commit {
            let expected = match stored {
                None => Commit::New,
                Some(id) if delivery.has_body_of(&self.last.events[&id]) => Commit::Duplicate,
                Some(_) => Commit::Conflict,
            };
            assert_eq!(commit, expected);
            assert!(self.event(number).is_some(), "acknowledged, and not there");
        }
    }

    /// Hands a delivery to the inbox of a worker, which commits it once the test lets its transaction go on.
    async fn send(&mut self, slot: u8, delivery: Delivery) {
        let Some(worker) = self.worker(slot) else {
            return;
        };
        let (number, inbox) = (worker.number, worker.inbox.clone());
        let mut sent = self.sent.iter();
        let is_sent = sent.any(|sent| (sent.worker, sent.delivery) == (number, delivery));
        // Two transactions with the same body could not be told apart.
        if is_sent || self.waiting.holds_body(number, &delivery.body()) {
            return;
        }
        self.sent.push(Sent {
            worker: number,
            delivery,
            expected: Vec::new(),
            task: tokio::spawn(async move { inbox.commit(&delivery.event()).await }),
        });
        self.nothing_changes().await;
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
            .with_concurrency(CONCURRENCY)
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
            inbox,
            task,
            stop: Some(stop),
        });
        self.nothing_changes().await;
    }

    async fn kill(&mut self, slot: u8) {
        if let Some(worker) = self.workers[usize::from(slot)].take() {
            self.forget(worker.number);
            worker.task.abort();
            self.nothing_changes().await;
        }
    }

    /// A process has ended: none of its calls has an effect, and none of its deliveries is answered.
    fn forget(&mut self, number: usize) {
        self.waiting.kill(number);
        self.unanswered.retain(|(worker, _)| *worker != number);
        for sent in self.sent.extract_if(.., |sent| sent.worker == number) {
            sent.task.abort();
        }
    }

    /// Lets a call have its effect, or be answered.
    async fn go(&mut self, call: Call) {
        let (worker, holds) = (call.worker, call.holds.clone());
        if call.has_effect {
            if holds.places > 0 {
                let mut unanswered = self.unanswered.iter();
                let place = unanswered.position(|(number, _)| *number == worker);
                let claimed = place.map(|place| self.unanswered.remove(place).1);
                // A worker that is stopped does not wait for its claim.
                if self.is_running(worker) {
                    self.model.begins(worker, claimed.unwrap_or_default());
                }
            }
            self.waiting.answer(call, StoreStep::GoesOn);
            return self.nothing_changes().await;
        }
        self.waiting.answer(call, StoreStep::GoesOn);
        let holds = &holds;
        self.changed_whole(Cause::Call { worker, holds }).await;
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

    /// Kills a worker in the middle of a call, which then has its whole effect or none.
    async fn die(&mut self, number: u8, polls: u8) {
        let Some(call) = self.waiting.call(number, |call| !call.has_effect) else {
            return;
        };
        let (worker, holds) = (call.worker, call.holds.clone());
        let polls = polls.into();
        self.waiting.answer(call, StoreStep::Dies { polls });
        self.waiting.settle().await;
        let slot = self
            .workers
            .iter()
            .position(|slot| slot.as_ref().is_some_and(|slot| slot.number == worker));
        let killed = self.workers[slot.unwrap()].take().unwrap();
        self.forget(worker);
        killed.task.abort();
        self.waiting.settle().await;
        self.tables.are_quiet().await;
        let holds = &holds;
        let cause = Cause::Call { worker, holds };
        let before = self.last.clone();
        self.changed(&[cause]).await;
        if self.last.events != before.events {
            self.model.check_whole(&before, &self.last, cause);
        }
    }

    async fn both(&mut self, one: u8, other: u8) {
        let fits = |call: &Call| !call.has_effect && call.holds.name != "release";
        let Some(one) = self.waiting.call(one, fits) else {
            return;
        };
        let worker = one.worker;
        let other = self
            .waiting
            .call(other, |call| fits(call) && call.worker != worker);
        let Some(other) = other else {
            return self.go(one).await;
        };
        if !self.may_overlap(&one, &other) || !self.may_overlap(&other, &one) {
            self.go(one).await;
            return self.go(other).await;
        }
        let (worker, holds) = (other.worker, other.holds.clone());
        let other_cause = Cause::Call {
            worker,
            holds: &holds,
        };
        let (worker, holds) = (one.worker, one.holds.clone());
        let one_cause = Cause::Call {
            worker,
            holds: &holds,
        };
        let causes = [one_cause, other_cause];
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
            let Cause::Call { worker, holds } = *cause else {
                continue;
            };
            self.expect_answers(&before, worker, holds, causes);
            if holds.places > 0 {
                let claimed = self.model.claimed(worker, &before, &self.last);
                self.unanswered.retain(|(number, _)| *number != worker);
                self.unanswered.push((worker, claimed));
            }
        }
        for news in self.waiting.news() {
            self.model.hears(news, &self.last);
        }
        self.check_answers().await;
        self.note_ends().await;
    }

    /// Notes how the deliveries of a transaction that has had its effect may be answered.
    fn expect_answers(
        &mut self,
        before: &Snapshot,
        worker: usize,
        holds: &StoreCall,
        causes: &[Cause<'_>],
    ) {
        for body in &holds.bodies {
            let mut sent = self.sent.iter_mut();
            let fits =
                |sent: &&mut Sent| sent.worker == worker && sent.delivery.body().as_bytes() == body;
            let Some(sent) = sent.find(fits) else {
                continue;
            };
            let stored = |tables: &Snapshot| {
                let mut events = tables.events.values();
                events.find(|event| sent.delivery.is_of(event)).cloned()
            };
            let commits = |cause: &&Cause<'_>| matches!(cause, Cause::Call { holds, .. } if holds.bodies.contains(body));
            let is_contended = causes.iter().filter(commits).count() > 1;
            sent.expected = match (stored(before), stored(&self.last)) {
                (_, None) => Vec::new(),
                (_, Some(stored)) if !sent.delivery.has_body_of(&stored) => vec![Commit::Conflict],
                (Some(_), Some(_)) => vec![Commit::Duplicate],
                (None, Some(_)) if is_contended => vec![Commit::New, Commit::Duplicate],
                (None, Some(_)) => vec![Commit::New],
            };
        }
    }

    async fn check_answers(&mut self) {
        for sent in self.sent.extract_if(.., |sent| sent.task.is_finished()) {
            if let Ok(commit) = sent.task.await.unwrap() {
                let Sent {
                    delivery, expected, ..
                } = sent;
                assert!(
                    expected.contains(&commit),
                    "{delivery:?} is answered {commit:?} instead of {expected:?}"
                );
            }
        }
    }

    /// The first call of a worker makes its lease.
    fn learn_name(&mut self, before: &Snapshot, cause: Cause<'_>) {
        let Cause::Call { worker, holds } = cause else {
            return;
        };
        if holds.name == "keep_alive" && !self.model.names.contains_key(&worker) {
            let mut leases = self.last.leases.keys();
            let new = leases.find(|name| !before.leases.contains_key(*name));
            if let Some(new) = new {
                self.model.names.insert(worker, new.clone());
            }
        }
    }

    /// Whether the model can tell the effects of two calls apart. A claim of a worker without a lease may be taken over at once.
    fn may_overlap(&self, one: &Call, other: &Call) -> bool {
        let Some(name) = self.model.names.get(&one.worker) else {
            return false;
        };
        let is_taker = other.holds.name == "keep_alive";
        one.holds.places == 0 || !is_taker || is_alive(&self.last, Some(name))
    }

    fn is_running(&self, worker: usize) -> bool {
        let mut workers = self.workers.iter().flatten();
        workers.any(|running| running.number == worker && running.stop.is_some())
    }

    /// A worker that has ended by itself holds nothing.
    async fn note_ends(&mut self) {
        for slot in 0..self.workers.len() {
            let worker = self.workers[slot].take_if(|worker| worker.task.is_finished());
            let Some(mut worker) = worker else {
                continue;
            };
            let ended = (&mut worker.task).await.unwrap();
            let name = self.model.names.get(&worker.number);
            let mut events = self.last.events.values();
            let holds =
                events.any(|event| event.state == "running" && event.worker.as_ref() == name);
            assert!(ended.is_err() || !holds, "the worker ended, and has events");
            self.forget(worker.number);
        }
    }

    fn worker(&mut self, slot: u8) -> Option<&mut Worker> {
        self.workers[usize::from(slot)].as_mut()
    }

    /// The id of an event that is stored.
    fn event(&self, number: u8) -> Option<i64> {
        let delivery = Delivery::new(number, false);
        let mut events = self.last.events.iter();
        let found = events.find(|(_, event)| delivery.is_of(event));
        found.map(|(id, _)| *id)
    }
}
