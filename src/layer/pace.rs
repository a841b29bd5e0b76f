use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::clock::Clock;

pin_project! {
    /// Times out a body that takes too long in total, or that is under the least rate in any [`WINDOW`].
    ///
    /// The timers start when the body is first pending, so that most bodies need no timer.
    pub(super) struct Pace<C>
    where
        C: Clock,
    {
        clock: C,
        timeout: Duration,
        least_rate: u32,
        #[pin]
        deadline: Option<C::Sleep>,
        #[pin]
        window: Option<Window<C::Sleep>>,
    }
}

pin_project! {
    struct Window<T> {
        #[pin]
        sleep: T,
        received_before: usize,
        excused: bool,
    }
}

impl<C> Pace<C>
where
    C: Clock,
{
    pub(super) fn new(clock: C, timeout: Duration, least_rate: u32) -> Self {
        Self {
            clock,
            timeout,
            least_rate,
            deadline: None,
            window: None,
        }
    }

    pub(super) fn clock(&self) -> &C {
        &self.clock
    }

    /// Accepts any rate in the current window, because the layer kept the sender waiting.
    pub(super) fn excuse(self: Pin<&mut Self>) {
        if let Some(window) = self.project().window.as_pin_mut() {
            *window.project().excused = true;
        }
    }

    /// Completes when the read timeout is over. The timeout includes waits for the budget.
    pub(super) fn poll_deadline(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.deadline.is_none() {
            this.deadline.set(Some(this.clock.sleep(*this.timeout)));
        }
        match this.deadline.as_pin_mut() {
            Some(deadline) => deadline.poll(cx),
            None => Poll::Pending,
        }
    }

    /// Completes when the body is too slow, in total or in this window. `received` is the number of bytes so far.
    pub(super) fn poll_timeout(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        received: usize,
    ) -> Poll<()> {
        if self.as_mut().poll_deadline(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut this = self.project();
        loop {
            if let Some(window) = this.window.as_mut().as_pin_mut() {
                let window = window.project();
                ready!(window.sleep.poll(cx));
                let due = WINDOW.as_secs() * u64::from(*this.least_rate);
                let new = u64::try_from(received - *window.received_before).unwrap_or(u64::MAX);
                if new < due && !*window.excused {
                    return Poll::Ready(());
                }
            }
            this.window.set(Some(Window {
                sleep: this.clock.sleep(WINDOW),
                received_before: received,
                excused: false,
            }));
        }
    }
}

const WINDOW: Duration = Duration::from_secs(5);
