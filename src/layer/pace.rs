use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::clock::Clock;

pin_project! {
    /// Tells when a body that keeps us waiting is too slow: over all, or in any stretch of [`WINDOW`].
    pub(super) struct Pace<C>
    where
        C: Clock,
    {
        clock: C,
        left: Duration,
        least_rate: u32,
        #[pin]
        window: Option<Window<C::Sleep>>,
    }
}

pin_project! {
    struct Window<T> {
        #[pin]
        sleep: T,
        length: Duration,
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
            left: timeout,
            least_rate,
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

    /// Ready once the body, of which `arrived` bytes have come, is too slow.
    pub(super) fn poll_timeout(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        arrived: usize,
    ) -> Poll<()> {
        let mut this = self.project();
        loop {
            if let Some(window) = this.window.as_mut().as_pin_mut() {
                let window = window.project();
                ready!(window.sleep.poll(cx));
                *this.left = this.left.saturating_sub(*window.length);
                let due = window.length.as_secs_f64() * f64::from(*this.least_rate);
                let came = arrived - *window.arrived_before;
                // A body is at most 4 GiB; a float holds that exactly.
                let crawls = f64::from(u32::try_from(came).unwrap_or(u32::MAX)) < due;
                if this.left.is_zero() || (crawls && !*window.excused) {
                    return Poll::Ready(());
                }
            }
            let length = WINDOW.min(*this.left);
            this.window.set(Some(Window {
                sleep: this.clock.sleep(length),
                length,
                arrived_before: arrived,
                excused: false,
            }));
        }
    }
}

const WINDOW: Duration = Duration::from_secs(5);
