use tower_pyannote::{WebhookEvent, event::Delivery};
use tower_pyannote_benches::bodies::sized;
use tower_pyannote_benches::delivery::{Sent, answer, receiver};
use tower_pyannote_benches::limit::BareHmac;
use tower_pyannote_benches::rounds::{Rounds, Table, prepared_way, time, way};
use tower_pyannote_benches::{TIMESTAMP, then};

/// Compares the layer with HMAC and the envelope scan alone, for a body in memory: whole, and in frames as hyper reads them.
pub(crate) fn over_its_parts(rounds: Rounds) {
    let bare = BareHmac::new();
    let mut table = Table::new(
        "Layer over a body in memory, over HMAC + envelope scan",
        "layer | HMAC + scan | ratio",
    );
    let mut sizes = vec![2 << 10, 300 << 10, 16 << 20];
    if rounds.are_quick() {
        sizes.truncate(1);
    }
    for size in sizes {
        let sent = Sent::new(sized(size));
        for (name, frame) in [("whole", size), ("frames of 64 KiB", 64 << 10)] {
            let sent = sent.clone().in_frames(frame);
            let mut receiver = receiver();
            let ours = prepared_way(
                || sent.request(),
                |request| {
                    let response = answer(&mut receiver, request);
                    assert!(response.status().is_success());
                    response
                },
            );
            let parts = way(|| {
                let digest = bare.digest(TIMESTAMP.as_bytes(), &sent.body);
                let event = WebhookEvent::new(sent.body.clone(), Delivery::at(then()));
                (digest, event)
            });
            let [ours, parts] = rounds.medians([ours, parts]);
            let figures = format!("{} | {}", time(ours), time(parts));
            table.at_most(&format!("{size} B, {name}"), &figures, ours / parts, None);
        }
    }
}
