use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::Body;
use pin_project_lite::pin_project;

use super::budget::{Acquire, ByteBudget};
use super::buffer::Buffer;
use super::limits::Limits;
use super::pace::Pace;
use super::rejection::Rejection;
use super::reservation::Reservation;
use super::telemetry::{self, Stopwatch};
use crate::clock::Clock;
use crate::verifier::{Verification, Verified};

pin_project! {
    /// Buffers a body and hashes it while it arrives, within its limits and its share of the budget.
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
        verification: Option<Verification>,
        limits: Limits,
        budget: ByteBudget,
        reservation: Reservation,
        waiting: Option<WaitingFrame<B::Data>>,
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
    /// Creates a receiver. `announced` is the announced length of the body, if it is known.
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
            verification: Some(verification),
            limits,
            budget,
            reservation: Reservation::default(),
            waiting: None,
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
        let mut slice = HASH_SLICE;

        loop {
            // The slice is used up: let other tasks run.
            if slice == 0 {
                if this.pace.as_mut().poll_deadline(cx).is_ready() {
                    return Poll::Ready(Err(Rejection::BodyTimeout));
                }
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }

            // Hash the received bytes before polling for more.
            let unhashed = &this.buffer.as_slice()[*this.hashed..];
            if !unhashed.is_empty() {
                let piece = &unhashed[..unhashed.len().min(slice)];
                let verification = this.verification.as_mut().expect(NOT_COMPLETED);
                this.stopwatch.time(|| verification.update(piece));
                *this.hashed += piece.len();
                slice -= piece.len();
                continue;
            }

            if *this.ended {
                match this.verification.take().expect(NOT_COMPLETED).finish() {
                    Ok(verified) => {
                        telemetry::verified(verified, this.buffer.len(), *this.stopwatch);
                        return Poll::Ready(Ok(Received {
                            bytes: mem::take(this.buffer).into_bytes(),
                            verified,
                            reservation: mem::take(this.reservation),
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

            if let Some(waiting) = this.waiting {
                if let Poll::Ready(permit) = waiting.acquire.as_mut().poll(cx) {
                    this.reservation.add(permit);
                    this.budget_wait.set(None);
                    this.pace.as_mut().excuse();
                    if let Some(WaitingFrame { data, size, .. }) = this.waiting.take() {
                        this.reservation.push(data, size, this.buffer);
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
                    // Count each frame, so that endless empty frames let other tasks run.
                    slice = slice.saturating_sub(FRAME);
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    let length = this.buffer.len().saturating_add(data.remaining());
                    if length > this.limits.body {
                        return Poll::Ready(Err(Rejection::BodyTooLarge));
                    }
                    // Growing copies the buffer and faults in new pages, so reserve the announced length if there is
                    // ample room.
                    let more = data.remaining();
                    let announced = this.buffer.size_with(more, true);
                    let reservation = &mut *this.reservation;
                    let size = match reservation.try_grow_with_ample_room(announced, this.budget) {
                        true => announced,
                        false => this.buffer.size_with(more, false),
                    };
                    match reservation.grow(size, this.budget) {
                        Some(acquire) => {
                            *this.waiting = Some(WaitingFrame {
                                data,
                                size,
                                acquire,
                            });
                        }
                        None => reservation.push(data, size, this.buffer),
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Rejection::BodyBroken)),
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending => {
                    ready!(this.pace.poll_timeout(cx, this.buffer.len()));
                    return Poll::Ready(Err(Rejection::BodyTimeout));
                }
            }
        }
    }
}

/// A body whose signature matched.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    pub(super) verified: Verified,
    pub(super) reservation: Reservation,
}

/// A frame that waits for the budget. The layer reads no other frame meanwhile, so TCP holds the sender back.
struct WaitingFrame<D> {
    data: D,
    /// The size of the body's buffer with this frame.
    size: usize,
    acquire: Acquire,
}

const NOT_COMPLETED: &str = "a receiver is not polled after it completed";

/// The bytes that each frame counts in a slice, besides its own.
const FRAME: usize = 512;

/// The number of bytes that are hashed before other tasks run. One slice takes about 1 ms with SHA instructions, and 5
/// ms without.
const HASH_SLICE: usize = 2 << 20;
