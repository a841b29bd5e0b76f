use std::hint::black_box;

use tower_pyannote::{SigningKey, Verifier, WebhookSecret};
use tower_pyannote_benches::bodies::sized;
use tower_pyannote_benches::limit::BareHmac;
use tower_pyannote_benches::rounds::{Rounds, Table, time, way};
use tower_pyannote_benches::{SECRET, TIMESTAMP, peers, then};

/// Compares a verification (headers, freshness, decoding, HMAC, comparison) with HMAC alone.
pub(crate) fn over_hmac(rounds: Rounds) {
    let (verifier, key) = keys();
    let bare = BareHmac::new();
    let mut table = Table::new("Verify over bare HMAC", "verify | bare HMAC | ratio");
    for (size, target) in sizes(rounds) {
        let body = sized(size);
        let signature = key.sign(TIMESTAMP, &body).to_hex();
        let ours = way(|| {
            let (timestamp, signature) = black_box((TIMESTAMP.as_bytes(), signature.as_bytes()));
            let verified = verifier.verify([timestamp], [signature], &body, then());
            verified.expect("it is signed")
        });
        let bare = way(|| bare.digest(black_box(TIMESTAMP.as_bytes()), &body));
        let [ours, bare] = rounds.medians([ours, bare]);
        let figures = format!("{} | {}", time(ours), time(bare));
        table.at_most(&format!("{size} B"), &figures, ours / bare, target);
    }
}

/// Compares other crates with this one.
pub(crate) fn peers(rounds: Rounds) {
    let (verifier, key) = keys();
    let mut table = Table::new("Peers over verify", "peer | verify | ratio");
    for (size, _) in sizes(rounds) {
        let body = sized(size);
        let signature = key.sign(TIMESTAMP, &body).to_hex();
        let ours = || {
            way(|| {
                let (timestamp, signature) =
                    black_box((TIMESTAMP.as_bytes(), signature.as_bytes()));
                let verified = verifier.verify([timestamp], [signature], &body, then());
                verified.expect("it is signed")
            })
        };
        for peer in peers::all(&body) {
            assert!((peer.verify)(), "{} verifies it", peer.name);
            let target = ["standardwebhooks", "svix"]
                .contains(&peer.name)
                .then_some(5.0);
            let [peers, ours] = rounds.medians([way(&peer.verify), ours()]);
            let figures = format!("{} | {}", time(peers), time(ours));
            table.at_least(
                &format!("{} {size} B", peer.name),
                &figures,
                peers / ours,
                target,
            );
        }
    }
}

fn keys() -> (Verifier, SigningKey) {
    let secret = WebhookSecret::new(SECRET).expect("the secret is valid");
    (Verifier::new(secret.clone()), SigningKey::new(&secret))
}

fn sizes(rounds: Rounds) -> Vec<(usize, Option<f64>)> {
    let mut sizes = vec![
        (200, Some(1.45)),
        (1 << 10, Some(1.15)),
        (2 << 10, Some(1.08)),
        (64 << 10, Some(1.01)),
        (300 << 10, Some(1.01)),
        (16 << 20, Some(1.01)),
    ];
    if rounds.are_quick() {
        sizes.truncate(2);
    }
    sizes
}
