//! Measures the peak heap of one body, without the body itself, and the number of allocations.

use bytes::Bytes;
use dhat::{HeapStats, Profiler};
use tower_pyannote::{WebhookEvent, event::Delivery};
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

    hostile(if quick { 1 << 20 } else { 16 << 20 });

    let size = if quick { 2 << 10 } else { 16 << 20 };
    let sent = Sent::new(bodies::sized(size)).in_frames(64 << 10);
    let body = sent.body.clone();
    // The frames are slices of an existing body, so the layer's own buffer is all that is counted.
    peak(&format!("layer, {size} B in frames"), &body, || {
        let mut receiver = receiver();
        answer(&mut receiver, sent.request())
    });
}

/// Types outputs that are built to take the most memory for their length. That memory is bounded.
fn hostile(size: usize) {
    let item = |text: &'static str| move |_| text.to_owned();
    let curves = r#"{"diarization":[],"speakerProbability":{"score":{"#;
    type Item = Box<dyn Fn(usize) -> String>;
    let outputs: [(&str, &str, Item, &str); 13] = [
        ("turns", r#"{"diarization":["#, Box::new(item("{}")), "]}"),
        (
            "words",
            r#"{"diarization":[],"wordLevelTranscription":["#,
            Box::new(item("{}")),
            "]}",
        ),
        (
            "identified",
            r#"{"identification":["#,
            Box::new(item("{}")),
            "]}",
        ),
        (
            "labels",
            r#"{"identification":["#,
            Box::new(item(r#"{"speaker":"x","match":"y"}"#)),
            "]}",
        ),
        (
            "texts",
            r#"{"diarization":[],"wordLevelTranscription":["#,
            Box::new(item(r#"{"text":"twenty-four bytes of it."}"#)),
            "]}",
        ),
        (
            "maps",
            r#"{"voiceprints":["#,
            Box::new(|number| format!(r#"{{"confidence":{{"{}":0}}}}"#, number % 7)),
            "]}",
        ),
        (
            "one map",
            r#"{"diarization":[{"confidence":{"#,
            Box::new(|number| format!(r#""{number}":0"#)),
            "}}]}",
        ),
        (
            "nulls",
            r#"{"diarization":[{"confidence":{"#,
            Box::new(|number| format!(r#""{number}":null"#)),
            "}}]}",
        ),
        (
            "no scores",
            curves,
            Box::new(|number| format!(r#""{number}":[]"#)),
            "}}}",
        ),
        (
            "a score",
            curves,
            Box::new(|number| format!(r#""{number}":[0]"#)),
            "}}}",
        ),
        (
            "zeros",
            r#"{"diarization":[],"confidence":{"score":["#,
            Box::new(item("0")),
            "]}}",
        ),
        (
            "escapes",
            r#"{"diarization":[],"error":""#,
            Box::new(item(r"\ud800\ud800\n")),
            r#""}"#,
        ),
        (
            "a long label",
            r#"{"diarization":[{"speaker":""#,
            Box::new(item("xxxxxxxx")),
            r#""}]}"#,
        ),
    ];
    for (name, open, item, close) in outputs {
        for padding in [0, size / 4 * 3] {
            let mut output = format!(r#"{{"grown":"{}",{}"#, "x".repeat(padding), &open[1..]);
            for number in 0.. {
                output += &item(number);
                if output.len() >= size {
                    break;
                }
                output.push(',');
            }
            output += close;
            let body = format!(r#"{{"jobId":"a","status":"succeeded","output":{output}}}"#).into();
            let event = event(&body);
            let beyond = peak(
                &format!("hostile, {name}, after {} KiB", padding >> 10),
                &body,
                || event.output().is_some(),
            );
            let most = 4 * output.len() + (64 << 10);
            assert!(
                beyond <= most,
                "{name}: {beyond} bytes for {}",
                output.len()
            );
        }
    }
}

fn peak<T>(name: &str, body: &Bytes, run: impl FnOnce() -> T) -> usize {
    let before = HeapStats::get();
    let highest_before = before.max_bytes;
    // One allocation fills the heap up to the peak so far, so that every later allocation raises the peak.
    let filling = vec![0_u8; highest_before - before.curr_bytes];
    let start = HeapStats::get();
    let made = run();
    let end = HeapStats::get();
    // Subtracts the filling and the heap before the run.
    let beyond = end.max_bytes - start.curr_bytes;
    println!(
        "| {name:<34} | {:>16} KiB | {:>11.3} | {:>11} |",
        beyond >> 10,
        beyond as f64 / body.len() as f64,
        end.total_blocks - start.total_blocks
    );
    drop((made, filling));
    beyond
}

fn event(body: &Bytes) -> WebhookEvent {
    WebhookEvent::new(body.clone(), Delivery::at(then())).expect("the body is an event")
}
