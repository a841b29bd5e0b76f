//! Tests of the client against servers on loopback: requests, responses, retries, limits and secrets.

mod errors;
mod media;
mod rate;
mod requests;
mod retries;
mod server;
mod settings;
mod submissions;
#[cfg(all(feature = "metrics", feature = "tracing"))]
mod telemetry;
mod waiter;

use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pyannoteai_client::{Client, ClientBuilder, DiarizeRequest};
use tower_pyannote::clock::Clock;

use self::server::Server;

const KEY: &str = "sk_0123456789abcdef";
const AUDIO: &str = "https://example.com/a.wav";

/// 2026-01-15T12:00:00Z.
const NOW: u64 = 1_768_478_400;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn builder_at(url: impl AsRef<str>) -> ClientBuilder {
    Client::builder(KEY).with_base_url(url).unwrap()
}

/// Returns a builder for a client of the server, and its clock, whose sleeps take no time.
fn builder(server: &Server) -> (SkippingClock, ClientBuilder) {
    let clock = SkippingClock::default();
    let builder = builder_at(server.url());
    (clock.clone(), builder.with_clock(clock))
}

fn client(server: &Server) -> Client {
    builder(server).1.build().unwrap()
}

fn diarize() -> DiarizeRequest {
    DiarizeRequest::new(AUDIO).unwrap()
}

/// Waits until another task has met the condition.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("timed out waiting for {what}");
}

/// A clock whose sleeps return at once and advance its time.
#[derive(Clone, Default)]
struct SkippingClock(Arc<Mutex<Vec<Duration>>>);

impl SkippingClock {
    fn sleeps(&self) -> Vec<Duration> {
        self.0.lock().unwrap().clone()
    }
}

impl Clock for SkippingClock {
    type Sleep = Ready<()>;

    fn now(&self) -> SystemTime {
        now() + self.sleeps().iter().sum::<Duration>()
    }

    fn sleep(&self, duration: Duration) -> Ready<()> {
        self.0.lock().unwrap().push(duration);
        ready(())
    }
}
