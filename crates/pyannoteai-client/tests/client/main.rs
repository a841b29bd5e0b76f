//! What the client sends, what it makes of answers, and what it never does, against servers on loopback.

mod errors;
mod media;
mod rate;
mod requests;
mod retries;
mod server;
mod settings;
mod submissions;
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

/// A client of the server whose sleeps take no time.
fn builder(server: &Server) -> (Jump, ClientBuilder) {
    let jump = Jump::default();
    let builder = Client::builder(KEY).with_base_url(server.url());
    (jump.clone(), builder.with_clock(jump))
}

fn client(server: &Server) -> Client {
    builder(server).1.build().unwrap()
}

fn diarize() -> DiarizeRequest {
    DiarizeRequest::new(AUDIO).unwrap()
}

/// Waits for what another task is about to do.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("in vain: {what}");
}

/// A clock on which who sleeps wakes at once, that much later.
#[derive(Clone, Default)]
struct Jump(Arc<Mutex<Vec<Duration>>>);

impl Jump {
    fn sleeps(&self) -> Vec<Duration> {
        self.0.lock().unwrap().clone()
    }
}

impl Clock for Jump {
    type Sleep = Ready<()>;

    fn now(&self) -> SystemTime {
        now() + self.sleeps().iter().sum::<Duration>()
    }

    fn sleep(&self, duration: Duration) -> Ready<()> {
        self.0.lock().unwrap().push(duration);
        ready(())
    }
}
