use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::sync::OwnedSemaphorePermit;

use super::budget::{ByteBudget, Draw, FREE};
use super::buffer::Buffer;
use super::limits::Limits;
use super::pace::Pace;
use super::rejection::Rejection;
use crate::clock::Clock;
use crate::event::EnvelopeScan;
use crate::telemetry::{InFlight, Stopwatch};
use crate::verifier::{Verification, Verified};

pin_project! {
    /// Buffers a body and hashes it as it arrives, within its limits and its share of the budget.
    pub(super) struct Receive<B, C>
    where
        B: Body,
        C: Clock,
    {
        #[pin]
        body: B,
        ended: bool,
        buffer: Buffer,
        hashed: usize,
        scan: Option<Box<EnvelopeScan>>,
        verification: Option<Verification>,
        limits: Limits,
        budget: ByteBudget,
        hold: Hold,
        held_back: Option<HeldBack<B::Data>>,
        #[pin]
        budget_wait: Option<C::Sleep>,
        #[pin]
        pace: Pace<C>,
        stopwatch: Stopwatch,
    }
}

impl<B, C> Receive<B, C>
where
    B: Body,
    C: Clock,
{
    /// `announced` is how many bytes the head says the body has, if it does.
    pub(super) fn new(
        body: B,
        announced: Option<usize>,
        verification: Verification,
        limits: Limits,
        budget: ByteBudget,
        clock: C,
    ) -> Self {
        Self {
            body,
            ended: false,
            buffer: Buffer::new(announced, limits.body),
            hashed: 0,
            scan: None,
            verification: Some(verification),
            limits,
            budget,
            hold: Hold::default(),
            held_back: None,
            budget_wait: None,
            pace: Pace::new(clock, limits.read_timeout, limits.least_rate),
            stopwatch: Stopwatch::default(),
        }
    }
}

impl<B, C> Future for Receive<B, C>
where
    B: Body,
    C: Clock,
{
    type Output = Result<Received, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut stretch = STRETCH;

        loop {
            // Others wait for this thread.
            if stretch == 0 {
                if this.pace.as_mut().poll_deadline(cx).is_ready() {
                    return Poll::Ready(Err(Rejection::BodyTimeout));
                }
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }

            // What has come is hashed before more is asked for.
            let unhashed = &this.buffer.as_slice()[*this.hashed..];
            if !unhashed.is_empty() {
                let piece = &unhashed[..unhashed.len().min(stretch)];
                let verification = this.verification.as_mut().expect(ONCE);
                this.stopwatch.time(|| verification.update(piece));
                *this.hashed += piece.len();
                stretch -= piece.len();
                continue;
            }

            if *this.ended {
                match this.verification.take().expect(ONCE).finish() {
                    Ok(verified) => {
                        return Poll::Ready(Ok(Received {
                            bytes: mem::take(this.buffer).into_bytes(),
                            scan: this.scan.take(),
                            verified,
                            hold: mem::take(this.hold),
                            stopwatch: *this.stopwatch,
                        }));
                    }
                    Err(mismatch) => {
                        let next = mismatch.next_secret();
                        *this.verification = Some(next.map_err(Rejection::Unverified)?);
                        *this.hashed = 0;
                        continue;
                    }
                }
            }

            if let Some(held_back) = this.held_back {
                if let Poll::Ready(permit) = held_back.draw.as_mut().poll(cx) {
                    this.hold.add(permit);
                    this.budget_wait.set(None);
                    this.pace.as_mut().excuse();
                    if let Some(HeldBack { data, size, .. }) = this.held_back.take() {
                        this.hold.keep(data, size, this.buffer);
                    }
                    continue;
                }
                if this.budget_wait.is_none() {
                    let wait = this.pace.clock().sleep(this.limits.budget_wait);
                    this.budget_wait.set(Some(wait));
                }
                let waited = match this.budget_wait.as_mut().as_pin_mut() {
                    Some(wait) => wait.poll(cx).is_ready(),
                    None => true,
                };
                if waited || this.pace.as_mut().poll_deadline(cx).is_ready() {
                    return Poll::Ready(Err(Rejection::Overloaded));
                }
                return Poll::Pending;
            }

            match this.body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Or endless empty frames would never let go of the thread.
                    stretch = stretch.saturating_sub(FRAME);
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    let length = this.buffer.len().saturating_add(data.remaining());
                    if length > this.limits.body {
                        return Poll::Ready(Err(Rejection::BodyTooLarge));
                    }
                    // To grow is to copy, and to take new pages.
                    let more = data.remaining();
                    let trusting = this.buffer.size_with(more, true);
                    let size = match this.hold.draw_amply(trusting, this.budget) {
                        true => trusting,
                        false => this.buffer.size_with(more, false),
                    };
                    match this.hold.draw_up_to(size, this.budget) {
                        Some(draw) => *this.held_back = Some(HeldBack { data, size, draw }),
                        None => this.hold.keep(data, size, this.buffer),
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Rejection::BodyBroken)),
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending => {
                    // While the body keeps us waiting; one that never does is scanned once it is verified, so that junk
                    // that comes as fast as it is hashed costs no more than its hash.
                    let come = this.buffer.as_slice();
                    if !come.is_empty() {
                        let scan = this.scan.get_or_insert_default();
                        let end = come.len().min(scan.scanned() + SCANNED_AT_ONCE);
                        scan.advance(&come[..end]);
                        if end < come.len() {
                            cx.waker().wake_by_ref();
                        }
                    }
                    ready!(this.pace.poll_timeout(cx, this.buffer.len()));
                    return Poll::Ready(Err(Rejection::BodyTimeout));
                }
            }
        }
    }
}

/// A verified body.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    /// As far as it has come while the body kept us waiting, if it did.
    pub(super) scan: Option<Box<EnvelopeScan>>,
    pub(super) verified: Verified,
    pub(super) hold: Hold,
    pub(super) stopwatch: Stopwatch,
}

/// What a body holds of the budget and of the memory in flight, given back when dropped.
#[derive(Debug, Default)]
pub(super) struct Hold {
    permit: Option<OwnedSemaphorePermit>,
    in_flight: InFlight,
}

impl Hold {
    /// What a body that takes `size` bytes of memory needs beyond what it holds, if that is anything.
    fn need(&self, size: usize) -> Option<u32> {
        let held = self
            .permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let need = size.saturating_sub(FREE).saturating_sub(held);
        // The budget is at most 4 GiB and a body within it.
        (need > 0).then(|| u32::try_from(need).unwrap_or(u32::MAX))
    }

    /// Draws what is needed if enough of the budget stays free for others; says whether it did.
    fn draw_amply(&mut self, size: usize, budget: &ByteBudget) -> bool {
        let Some(need) = self.need(size) else {
            return true;
        };
        let permit = budget.draw_amply(need);
        let drawn = permit.is_some();
        self.add(permit);
        drawn
    }

    /// Draws what is needed; what must be waited for is returned.
    fn draw_up_to(&mut self, size: usize, budget: &ByteBudget) -> Option<Draw> {
        let need = self.need(size)?;
        match budget.draw(need) {
            Ok(permit) => {
                self.add(Some(permit));
                None
            }
            Err(draw) => Some(draw),
        }
    }

    fn keep(&mut self, data: impl Buf, size: usize, buffer: &mut Buffer) {
        self.in_flight.add(data.remaining());
        buffer.push(data, size);
    }

    fn add(&mut self, permit: Option<OwnedSemaphorePermit>) {
        match (&mut self.permit, permit) {
            (Some(held), Some(permit)) => held.merge(permit),
            (held @ None, permit) => *held = permit,
            (Some(_), None) => {}
        }
    }
}

/// A frame that waits for the budget; its sender is held back meanwhile, as no more is read.
struct HeldBack<D> {
    data: D,
    /// What the body takes with it.
    size: usize,
    draw: Draw,
}

const ONCE: &str = "a receiver that has completed is not polled again";

/// What a frame counts for beside its bytes.
const FRAME: usize = 512;

/// How much is hashed before other tasks are let on the thread: about 1 ms with SHA instructions, 5 ms without.
const STRETCH: usize = 2 << 20;

/// How much is scanned before the body is asked again whether it goes on: about half a millisecond.
const SCANNED_AT_ONCE: usize = 256 << 10;
