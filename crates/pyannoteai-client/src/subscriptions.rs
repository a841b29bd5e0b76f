use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tower_pyannote::WebhookEvent;
use tower_pyannote::event::Text;

use crate::shared_clock::SharedClock;

/// Passes the events of webhooks on to the pending jobs that wait for them.
///
/// A webhook may arrive before the response to its submission, which has the job's id. While a submission is in flight,
/// events without a subscription are therefore kept, within limits.
pub(crate) struct Subscriptions {
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: HashMap<Text, Vec<(u64, oneshot::Sender<WebhookEvent>)>>,
    next_id: u64,
    in_flight: usize,
    /// Events without a subscription and their times of arrival, oldest first.
    early: VecDeque<(Duration, WebhookEvent)>,
    early_bytes: usize,
}

impl Subscriptions {
    pub(crate) fn new(clock: SharedClock) -> Self {
        let state = Mutex::default();
        Self { clock, state }
    }

    /// Keeps early events until the guard is dropped.
    pub(crate) fn begin_submission(self: &Arc<Self>) -> SubmissionInFlight {
        self.lock().in_flight += 1;
        SubmissionInFlight(Arc::clone(self))
    }

    /// Waits for the event of a job, which may have arrived already.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        job_id: Text,
    ) -> (Subscription, oneshot::Receiver<WebhookEvent>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        match state.take_early(&job_id) {
            // Never an error, because the receiver exists.
            Some(event) => drop(sender.send(event)),
            None => {
                let waiting = state.waiting.entry(job_id.clone());
                waiting.or_default().push((id, sender));
            }
        }
        drop(state);
        let subscriptions = Arc::clone(self);
        let subscription = Subscription {
            subscriptions,
            job_id,
            id,
        };
        (subscription, receiver)
    }

    /// Passes an event to all subscriptions of its job.
    pub(crate) fn publish(&self, event: &WebhookEvent) {
        if !event.status().is_terminal() {
            return;
        }
        let now = self.clock.elapsed();
        let mut state = self.lock();
        match state.waiting.remove(event.job_id()) {
            Some(waiting) => waiting.into_iter().for_each(|(_, sender)| {
                // An error means that this subscription ended.
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
            state.early.len() > MAX_EARLY
                || state.early_bytes > MAX_EARLY_BYTES
                || oldest.is_some_and(|(arrived, _)| now.saturating_sub(*arrived) > MAX_EARLY_AGE)
        };
        while over(self) {
            self.remove_early(0);
        }
    }

    fn take_early(&mut self, job_id: &str) -> Option<WebhookEvent> {
        let of_job = |(_, event): &(Duration, WebhookEvent)| event.job_id() == job_id;
        let index = self.early.iter().position(of_job)?;
        self.remove_early(index)
    }

    fn remove_early(&mut self, index: usize) -> Option<WebhookEvent> {
        let (_, event) = self.early.remove(index)?;
        self.early_bytes -= event.raw().len();
        Some(event)
    }
}

impl fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Subscriptions")
            .field("waiting", &state.waiting.len())
            .field("early", &state.early.len())
            .finish_non_exhaustive()
    }
}

/// A submission without a response yet.
pub(crate) struct SubmissionInFlight(Arc<Subscriptions>);

impl Drop for SubmissionInFlight {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_flight -= 1;
        if state.in_flight == 0 {
            state.early = VecDeque::new();
            state.early_bytes = 0;
        }
    }
}

/// Ends the subscription when it is dropped.
pub(crate) struct Subscription {
    subscriptions: Arc<Subscriptions>,
    job_id: Text,
    id: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.subscriptions.lock();
        let Some(waiting) = state.waiting.get_mut(&self.job_id) else {
            return;
        };
        waiting.retain(|(id, _)| *id != self.id);
        if waiting.is_empty() {
            state.waiting.remove(&self.job_id);
        }
    }
}

const MAX_EARLY: usize = 1024;
const MAX_EARLY_BYTES: usize = 64 * 1024 * 1024;
const MAX_EARLY_AGE: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use tower_pyannote::clock::ManualClock;
    use tower_pyannote::event::Delivery;

    use super::*;

    fn subscriptions() -> (ManualClock, Arc<Subscriptions>) {
        let clock = ManualClock::new(UNIX_EPOCH);
        (
            clock.clone(),
            Arc::new(Subscriptions::new(SharedClock::new(clock))),
        )
    }

    fn event(job_id: &str, padding: usize) -> WebhookEvent {
        let padding = " ".repeat(padding);
        let body = format!(r#"{{"jobId":"{job_id}","status":"succeeded"}}{padding}"#);
        WebhookEvent::new(body.into(), Delivery::at(UNIX_EPOCH)).unwrap()
    }

    fn early(subscriptions: &Subscriptions) -> usize {
        subscriptions.lock().early.len()
    }

    #[test]
    fn an_early_event_is_kept_only_while_a_submission_is_in_flight() {
        let (_, subscriptions) = subscriptions();
        subscriptions.publish(&event("a", 0));
        assert_eq!(early(&subscriptions), 0);
        let first = subscriptions.begin_submission();
        let second = subscriptions.begin_submission();
        subscriptions.publish(&event("a", 0));
        drop(first);
        assert_eq!(early(&subscriptions), 1);
        drop(second);
        assert_eq!(
            (early(&subscriptions), subscriptions.lock().early_bytes),
            (0, 0)
        );
    }

    #[test]
    fn early_events_are_bounded_in_count_bytes_and_age() {
        let (clock, subscriptions) = subscriptions();
        let _in_flight = subscriptions.begin_submission();
        for number in 0..MAX_EARLY + 5 {
            subscriptions.publish(&event(&number.to_string(), 0));
        }
        assert_eq!(early(&subscriptions), MAX_EARLY);
        assert_eq!(subscriptions.lock().early[0].1.job_id(), "5");

        subscriptions.publish(&event("big", MAX_EARLY_BYTES - 100));
        assert_eq!(
            early(&subscriptions),
            2,
            "the large event and one small event"
        );
        subscriptions.publish(&event("too big", MAX_EARLY_BYTES));
        assert_eq!(
            (early(&subscriptions), subscriptions.lock().early_bytes),
            (0, 0)
        );

        subscriptions.publish(&event("old", 0));
        clock.advance(MAX_EARLY_AGE);
        subscriptions.publish(&event("young", 0));
        assert_eq!(early(&subscriptions), 2);
        clock.advance(Duration::from_secs(1));
        subscriptions.publish(&event("younger", 0));
        assert_eq!(subscriptions.lock().early[0].1.job_id(), "young");
    }

    #[test]
    fn a_dropped_subscription_leaves_nothing() {
        let (_, subscriptions) = subscriptions();
        let (first, _) = subscriptions.subscribe("a".into());
        let (second, mut arrival) = subscriptions.subscribe("a".into());
        drop(first);
        subscriptions.publish(&event("a", 0));
        assert_eq!(arrival.try_recv().unwrap().job_id(), "a");
        assert!(subscriptions.lock().waiting.is_empty());
        drop(second);
        drop(subscriptions.subscribe("b".into()));
        assert!(subscriptions.lock().waiting.is_empty());
    }
}
