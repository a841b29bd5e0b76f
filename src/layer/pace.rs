use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::clock::Clock;

pin_project! {
    /// Tells when a body is too slow: over all, or in any stretch of [`WINDOW`] that it keeps us waiting.
    ///
    /// Its timers begin when a body does not come at once, not even when it is asked for again: servers read a head and hand
    /// on what came with it only then, and a timer costs a small body more than its hash.
    pub(super) struct Pace<C>
    where
        C: Clock,
    {
        clock: C,
        timeout: Duration,
        least_rate: u32,
        asked_again: bool,
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
        arrived_before: usize,
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
            asked_again: false,
            deadline: None,
            window: None,
        }
    }

    pub(super) fn clock(&self) -> &C {
        &self.clock
    }

    /// Lets the rate of the present window pass, as it was we who kept the sender waiting.
    pub(super) fn excuse(self: Pin<&mut Self>) {
        if let Some(window) = self.project().window.as_pin_mut() {
            *window.project().excused = true;
        }
    }

    /// Ready once the whole body has taken too long, whoever kept whom waiting.
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

    /// Ready once the body, of which `arrived` bytes have come, is too slow over all or of late.
    pub(super) fn poll_timeout(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        arrived: usize,
    ) -> Poll<()> {
        if !mem::replace(self.as_mut().project().asked_again, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.as_mut().poll_deadline(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut this = self.project();
        loop {
            if let Some(window) = this.window.as_mut().as_pin_mut() {
                let window = window.project();
                ready!(window.sleep.poll(cx));
                let due = WINDOW.as_secs() * u64::from(*this.least_rate);
                let came = u64::try_from(arrived - *window.arrived_before).unwrap_or(u64::MAX);
                if came < due && !*window.excused {
                    return Poll::Ready(());
                }
            }
            this.window.set(Some(Window {
                sleep: this.clock.sleep(WINDOW),
                arrived_before: arrived,
                excused: false,
            }));
        }
    }
}

const WINDOW: Duration = Duration::from_secs(5);
