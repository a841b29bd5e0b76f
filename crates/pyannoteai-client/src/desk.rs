use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::time::Time;
use tower_pyannote::WebhookEvent;
use tower_pyannote::event::Text;

/// Where webhooks and those who wait for them find each other.
pub(crate) struct Desk {
    time: Time,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: HashMap<Text, Vec<(u64, oneshot::Sender<WebhookEvent>)>>,
    next_id: u64,
    in_flight: usize,
    /// Webhooks that nobody waits for, and that may be of a submission in flight, the oldest first.
    early: VecDeque<(Duration, WebhookEvent)>,
    early_bytes: usize,
}

impl Desk {
    pub(crate) fn new(time: Time) -> Self {
        let state = Mutex::default();
        Self { time, state }
    }

    /// Keeps webhooks that nobody waits for, until the guard is dropped.
    pub(crate) fn expect_webhook(self: &Arc<Self>) -> InFlight {
        self.lock().in_flight += 1;
        InFlight(Arc::clone(self))
    }

    /// Waits for the webhook of a job, which may have come already.
    pub(crate) fn claim(
        desk: &Arc<Self>,
        job_id: Text,
    ) -> (Claim, oneshot::Receiver<WebhookEvent>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = desk.lock();
        let id = state.next_id;
        state.next_id += 1;
        match state.take_early(&job_id) {
            // It can't fail: the receiver is right here.
            Some(event) => drop(sender.send(event)),
            None => {
                let waiting = state.waiting.entry(job_id.clone());
                waiting.or_default().push((id, sender));
            }
        }
        drop(state);
        let desk = Arc::clone(desk);
        (Claim { desk, job_id, id }, receiver)
    }

    pub(crate) fn arrived(&self, event: &WebhookEvent) {
        if !event.status().is_terminal() {
            return;
        }
        let now = self.time.elapsed();
        let mut state = self.lock();
        match state.waiting.remove(event.job_id()) {
            Some(waiting) => waiting.into_iter().for_each(|(_, sender)| {
                // Whoever waits no longer needs no event.
                drop(sender.send(event.clone()));
            }),
            None if state.in_flight > 0 => state.keep_early(now, event.clone()),
            None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep_early(&mut self, now: Duration, event: WebhookEvent) {
        self.early_bytes += event.raw().len();
        self.early.push_back((now, event));
        let over = |state: &Self| {
            let oldest = state.early.front();
            state.early.len() > MOST_EARLY
                || state.early_bytes > MOST_EARLY_BYTES
                || oldest.is_some_and(|(came, _)| now.saturating_sub(*came) > OLDEST_EARLY)
        };
        while over(self) {
            self.forget(0);
        }
    }

    fn take_early(&mut self, job_id: &str) -> Option<WebhookEvent> {
        let ours = |(_, event): &(Duration, WebhookEvent)| event.job_id() == job_id;
        let index = self.early.iter().position(ours)?;
        self.forget(index)
    }

    fn forget(&mut self, index: usize) -> Option<WebhookEvent> {
        let (_, event) = self.early.remove(index)?;
        self.early_bytes -= event.raw().len();
        Some(event)
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Desk")
            .field("waiting", &state.waiting.len())
            .field("early", &state.early.len())
            .finish_non_exhaustive()
    }
}

/// A submission whose answer has not come yet.
pub(crate) struct InFlight(Arc<Desk>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_flight -= 1;
        if state.in_flight == 0 {
            state.early = VecDeque::new();
            state.early_bytes = 0;
        }
    }
}

/// Somebody's place at the desk.
pub(crate) struct Claim {
    desk: Arc<Desk>,
    job_id: Text,
    id: u64,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.desk.lock();
        let Some(waiting) = state.waiting.get_mut(&self.job_id) else {
            return;
        };
        waiting.retain(|(id, _)| *id != self.id);
        if waiting.is_empty() {
            state.waiting.remove(&self.job_id);
        }
    }
}

const MOST_EARLY: usize = 1024;
const MOST_EARLY_BYTES: usize = 64 * 1024 * 1024;
const OLDEST_EARLY: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use tower_pyannote::clock::ManualClock;
    use tower_pyannote::event::Delivery;

    fn desk() -> (ManualClock, Arc<Desk>) {
        let clock = ManualClock::new(UNIX_EPOCH);
        (clock.clone(), Arc::new(Desk::new(Time::new(clock))))
    }

    fn event(job_id: &str, padding: usize) -> WebhookEvent {
        let padding = " ".repeat(padding);
        let body = format!(r#"{{"jobId":"{job_id}","status":"succeeded"}}{padding}"#);
        WebhookEvent::new(body.into(), Delivery::at(UNIX_EPOCH)).unwrap()
    }

    fn early(desk: &Desk) -> usize {
        desk.lock().early.len()
    }

    #[test]
    fn an_early_webhook_is_kept_only_while_a_submission_is_in_flight() {
        let (_, desk) = desk();
        desk.arrived(&event("a", 0));
        assert_eq!(early(&desk), 0);
        let first = desk.expect_webhook();
        let second = desk.expect_webhook();
        desk.arrived(&event("a", 0));
        drop(first);
        assert_eq!(early(&desk), 1);
        drop(second);
        assert_eq!((early(&desk), desk.lock().early_bytes), (0, 0));
    }

    #[test]
    fn early_webhooks_are_bounded_in_count_bytes_and_age() {
        let (clock, desk) = desk();
        let _in_flight = desk.expect_webhook();
        for number in 0..MOST_EARLY + 5 {
            desk.arrived(&event(&number.to_string(), 0));
        }
        assert_eq!(early(&desk), MOST_EARLY);
        assert_eq!(desk.lock().early[0].1.job_id(), "5");

        desk.arrived(&event("big", MOST_EARLY_BYTES - 100));
        assert_eq!(early(&desk), 2, "the big one and one small");
        desk.arrived(&event("too big", MOST_EARLY_BYTES));
        assert_eq!((early(&desk), desk.lock().early_bytes), (0, 0));

        desk.arrived(&event("old", 0));
        clock.advance(OLDEST_EARLY);
        desk.arrived(&event("young", 0));
        assert_eq!(early(&desk), 2);
        clock.advance(Duration::from_secs(1));
        desk.arrived(&event("younger", 0));
        assert_eq!(desk.lock().early[0].1.job_id(), "young");
    }

    #[test]
    fn whoever_waits_no_longer_leaves_nothing() {
        let (_, desk) = desk();
        let (first, _) = Desk::claim(&desk, "a".into());
        let (second, mut arrival) = Desk::claim(&desk, "a".into());
        drop(first);
        desk.arrived(&event("a", 0));
        assert_eq!(arrival.try_recv().unwrap().job_id(), "a");
        assert!(desk.lock().waiting.is_empty());
        drop(second);
        drop(Desk::claim(&desk, "b".into()));
        assert!(desk.lock().waiting.is_empty());
    }
}
