//! What happens to an inbox.

use proptest::{
    prelude::{Just, Strategy, any as anything},
    prop_oneof,
    strategy::BoxedStrategy,
};

/// Generates commands.
pub(crate) struct Commands;

/// Numbers select among what there is, modulo its count.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Delivers one of six events of three jobs. The same body again is a repeat, and the other body a conflict.
    Deliver {
        event: u8,
        other_body: bool,
        loss: Option<Loss>,
    },
    /// Delivers to the inbox of a worker, where deliveries may share a transaction with results and claims.
    Send {
        worker: u8,
        event: u8,
        other_body: bool,
    },
    /// Starts one of two workers.
    Start(u8),
    /// Stops a worker gracefully.
    Stop(u8),
    Kill(u8),
    /// Kills both workers, and opens the database again.
    Restart,
    /// Lets a call of a worker to its database have its effect, or be answered.
    Go(u8),
    /// Has such a call fail: without effect, or its answer is lost.
    Fail(u8),
    /// Kills a worker in the middle of a call.
    Die {
        call: u8,
        polls: u8,
    },
    /// Two calls at the same time.
    Both(u8, u8),
    /// Lets all calls go on, until none is left.
    Calm,
    /// Lets all calls go on, and all handlers succeed.
    Work,
    /// Ends a running handler.
    End {
        run: u8,
        verdict: Verdict,
    },
    /// Time passes in the process: retries, timeouts and renewals are due.
    Tick {
        seconds: u16,
    },
    /// The database's clock is moved.
    Clock {
        minutes: i16,
    },
    LoseLease(u8),
    Replay {
        event: u8,
        all: bool,
    },
    Prune {
        hours: u8,
    },
}

/// What a delivery meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    Request,
    Answer,
}

/// How a handler ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    Retry,
    /// With [`LATER`] as its delay.
    RetryLater,
    Permanent,
}

/// Minutes.
pub(crate) const LATER: u64 = 120;

pub(crate) fn any() -> BoxedStrategy<Command> {
    let loss = prop_oneof![
        6 => Just(None),
        1 => Just(Some(Loss::Request)),
        1 => Just(Some(Loss::Answer)),
    ];
    let verdict = prop_oneof![
        6 => Just(Verdict::Done),
        2 => Just(Verdict::Retry),
        1 => Just(Verdict::RetryLater),
        2 => Just(Verdict::Permanent),
    ];
    let number = anything::<u8>;
    prop_oneof![
        14 => (0..6_u8, anything::<bool>(), loss)
            .prop_map(|(event, other_body, loss)| Command::Deliver { event, other_body, loss }),
        8 => (0..2_u8, 0..6_u8, anything::<bool>())
            .prop_map(|(worker, event, other_body)| Command::Send { worker, event, other_body }),
        4 => (0..2_u8).prop_map(Command::Start),
        2 => (0..2_u8).prop_map(Command::Stop),
        1 => (0..2_u8).prop_map(Command::Kill),
        1 => Just(Command::Restart),
        16 => number().prop_map(Command::Go),
        4 => number().prop_map(Command::Fail),
        4 => (number(), 0..24_u8).prop_map(|(call, polls)| Command::Die { call, polls }),
        14 => (number(), number()).prop_map(|(one, other)| Command::Both(one, other)),
        24 => Just(Command::Calm),
        3 => Just(Command::Work),
        24 => (number(), verdict).prop_map(|(run, verdict)| Command::End { run, verdict }),
        10 => prop_oneof![4 => Just(1_u16), 1 => Just(11), 1 => Just(1_200)].prop_map(|seconds| Command::Tick { seconds }),
        3 => prop_oneof![Just(-180_i16), Just(-30), Just(30), Just(150)]
            .prop_map(|minutes| Command::Clock { minutes }),
        2 => (0..2_u8).prop_map(Command::LoseLease),
        4 => (0..6_u8, anything::<bool>()).prop_map(|(event, all)| Command::Replay { event, all }),
        2 => prop_oneof![2 => Just(0_u8), 1 => Just(2)].prop_map(|hours| Command::Prune { hours }),
    ]
    .boxed()
}
