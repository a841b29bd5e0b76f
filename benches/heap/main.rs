//! The most memory that one body takes, beyond the body itself, and how often it is allocated.

use bytes::Bytes;
use dhat::{HeapStats, Profiler};
use tower_pyannote::{Delivery, WebhookEvent};
use tower_pyannote_benches::delivery::{Sent, answer, receiver};
use tower_pyannote_benches::exact::{self, Body};
use tower_pyannote_benches::{bodies, then};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() {
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let _profiler = Profiler::builder().testing().build();
    println!(
        "| {:<34} | peak beyond the body | of the body | allocations |",
        ""
    );
    let mut kinds = bodies::kinds();
    if quick {
        kinds.retain(|(_, body)| body.len() < 10_000);
    }
    for (name, body) in &kinds {
        peak(&format!("{name}: envelope"), body, || event(body));
        if event(body)
            .output()
            .is_some_and(|output| output.as_diarization().is_some())
        {
            let event = event(body);
            peak(&format!("{name}: typed output"), body, || {
                event.output().is_some()
            });
            peak(&format!("{name}: exact struct of Strings"), body, || {
                serde_json::from_slice::<Body<exact::Diarization>>(body).expect("it fits")
            });
        }
    }

    let size = if quick { 2 << 10 } else { 16 << 20 };
    let sent = Sent::new(bodies::sized(size)).in_frames(64 << 10);
    let body = sent.body.clone();
    // The frames are slices of a body that is there already, so what the layer holds comes on top, once.
    peak(&format!("layer, {size} B in frames"), &body, || {
        let mut receiver = receiver();
        answer(&mut receiver, sent.request())
    });
}

fn peak<T>(name: &str, body: &Bytes, run: impl FnOnce() -> T) {
    let before = HeapStats::get();
    let highest_before = before.max_bytes;
    // What raises the peak is measured from here on: the peak so far is filled up with one allocation first.
    let filling = vec![0_u8; highest_before - before.curr_bytes];
    let start = HeapStats::get();
    let made = run();
    let end = HeapStats::get();
    // Without the filling, as it stood before the run.
    let beyond = end.max_bytes - start.curr_bytes;
    println!(
        "| {name:<34} | {:>16} KiB | {:>11.3} | {:>11} |",
        beyond >> 10,
        beyond as f64 / body.len() as f64,
        end.total_blocks - start.total_blocks
    );
    drop((made, filling));
}

fn event(body: &Bytes) -> WebhookEvent {
    WebhookEvent::new(body.clone(), Delivery::at(then())).expect("it is one")
}
