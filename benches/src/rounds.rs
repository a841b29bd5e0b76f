//! Measures two or more candidates in turns, because the speed of a machine changes from minute to minute.
//!
//! tango-bench pairs two builds of one function, and criterion measures one function after another; neither pairs two
//! functions of one build.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::time::ClockId;

/// A candidate: runs the given number of times and returns the time that it took.
///
/// The time is CPU time, because other processes may run in between.
pub type Way<'a> = Box<dyn FnMut(usize) -> Duration + 'a>;

/// Returns a candidate without preparation.
pub fn way<'a, T>(mut run: impl FnMut() -> T + 'a) -> Way<'a> {
    Box::new(move |times| {
        let begun = thread_time();
        for _ in 0..times {
            black_box(run());
        }
        thread_time() - begun
    })
}

/// Returns a candidate whose preparation, and whose dropping of results, are not counted.
pub fn prepared_way<'a, I, T>(
    mut prepare: impl FnMut() -> I + 'a,
    mut run: impl FnMut(I) -> T + 'a,
) -> Way<'a> {
    Box::new(move |times| {
        let mut took = Duration::ZERO;
        let mut left = times;
        while left > 0 {
            // Small batches stay in the cache.
            let batch = left.min(16);
            left -= batch;
            let inputs: Vec<I> = (0..batch).map(|_| prepare()).collect();
            let mut made = Vec::with_capacity(batch);
            let begun = thread_time();
            for input in inputs {
                made.push(run(black_box(input)));
            }
            took += thread_time() - begun;
            drop(black_box(made));
        }
        took
    })
}

/// Returns the CPU time of this thread.
pub fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    let time = Duration::try_from(time);
    time.expect("it is not negative")
}

/// The length of a measurement.
#[derive(Clone, Copy)]
pub struct Rounds {
    pub rounds: usize,
    pub round: Duration,
}

impl Rounds {
    /// Long enough for figures under `cargo bench`; one round under `cargo test`.
    pub fn from_args() -> Self {
        match std::env::args().any(|argument| argument == "--bench") {
            true => Self {
                rounds: 201,
                round: Duration::from_micros(500),
            },
            false => Self {
                rounds: 1,
                round: Duration::ZERO,
            },
        }
    }

    pub fn are_quick(self) -> bool {
        self.rounds == 1
    }

    /// Returns the median seconds of each candidate.
    pub fn medians<const N: usize>(self, mut ways: [Way<'_>; N]) -> [f64; N] {
        let times = ways.each_mut().map(|way| {
            let once = (0..5).map(|_| way(1)).min().unwrap_or_default();
            let times = self.round.as_secs_f64() / once.as_secs_f64().max(1e-9);
            (times as usize).clamp(1, 20_000)
        });
        let mut rounds = self.rounds;
        let mut figures: [Vec<f64>; N] = [const { Vec::new() }; N];
        while rounds > 0 {
            let begun = Instant::now();
            for (index, way) in ways.iter_mut().enumerate() {
                figures[index].push(way(times[index]).as_secs_f64() / times[index] as f64);
            }
            // Slow candidates vary less, so they need fewer rounds.
            let weight = (begun.elapsed().as_secs_f64() / 0.025) as usize;
            rounds = rounds.saturating_sub(1 + weight);
        }
        figures.map(median)
    }
}

pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A table of results and their targets.
pub struct Table {
    missed: usize,
}

impl Table {
    pub fn new(title: &str, columns: &str) -> Self {
        println!("\n{title}\n");
        println!("| {:<28} | {columns} | target |  |", "");
        Self { missed: 0 }
    }

    pub fn at_most(&mut self, name: &str, figures: &str, ratio: f64, target: Option<f64>) {
        self.row(name, figures, ratio, "<=", target, |ratio, target| {
            ratio <= target
        });
    }

    pub fn at_least(&mut self, name: &str, figures: &str, ratio: f64, target: Option<f64>) {
        self.row(name, figures, ratio, ">=", target, |ratio, target| {
            ratio >= target
        });
    }

    fn row(
        &mut self,
        name: &str,
        figures: &str,
        ratio: f64,
        sign: &str,
        target: Option<f64>,
        holds: impl Fn(f64, f64) -> bool,
    ) {
        let (target, judged) = match target {
            None => (String::new(), ""),
            Some(target) if holds(ratio, target) => (format!("{sign} {target:.2}"), "ok"),
            Some(target) => {
                self.missed += 1;
                (format!("{sign} {target:.2}"), "MISSED")
            }
        };
        println!("| {name:<28} | {figures} | {ratio:>7.3} | {target:>7} | {judged} |");
    }
}

/// Formats a time in the unit that fits it.
pub fn time(seconds: f64) -> String {
    match seconds {
        ..1e-6 => format!("{:>7.1} ns", seconds * 1e9),
        ..1e-3 => format!("{:>7.2} us", seconds * 1e6),
        _ => format!("{:>7.2} ms", seconds * 1e3),
    }
}
