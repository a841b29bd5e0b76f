//! Whether the time of a comparison tells where two signatures differ: see README.md.

use std::hint::black_box;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dudect_bencher::rand::RngExt;
use dudect_bencher::{BenchRng, Class, CtRunner, ctbench_main};
use tower_pyannote::{Signature, SigningKey, Verifier, WebhookSecret};

const FORGERIES: usize = 500_000;
const TIMESTAMP: &str = "1767225600";
const BODY: &[u8] = br#"{"jobId":"1","status":"succeeded"}"#;

fn key() -> (WebhookSecret, SigningKey) {
    let secret = WebhookSecret::new("whs_example").expect("the secret is good");
    let key = SigningKey::new(&secret);
    (secret, key)
}

fn digest() -> [u8; 32] {
    let hex = key().1.sign(TIMESTAMP, BODY).to_hex();
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("two digits"))
}

/// Forgeries of the digest, all made before any is timed, so that what made them leaves no trace in their times: in the
/// left class the first byte is wrong, in the right class the last.
fn forgeries<T>(rng: &mut BenchRng, make: fn([u8; 32]) -> T) -> Vec<(Class, T)> {
    let good = digest();
    let forgery = |_| {
        let (class, at) = match rng.random() {
            true => (Class::Left, 0),
            false => (Class::Right, 31),
        };
        let mut forged = good;
        forged[at] ^= rng.random_range(1..=255);
        (class, make(forged))
    };
    (0..FORGERIES).map(forgery).collect()
}

fn hex(digest: [u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parsed(digest: [u8; 32]) -> Signature {
    Signature::parse(hex(digest).as_bytes()).expect("it is well formed")
}

/// `Signature::matches`.
fn matches(runner: &mut CtRunner, rng: &mut BenchRng) {
    let good = key().1.sign(TIMESTAMP, BODY);
    for (class, forged) in &forgeries(rng, parsed) {
        runner.run_one(*class, || black_box(&good).matches(black_box(forged)));
    }
}

/// All of `Verifier::verify`, from the headers to the refusal.
fn verify(runner: &mut CtRunner, rng: &mut BenchRng) {
    let verifier = Verifier::new(key().0);
    let now: SystemTime = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    for (class, forged) in &forgeries(rng, hex) {
        runner.run_one(*class, || {
            let signatures = [black_box(forged.as_bytes())];
            verifier
                .verify([TIMESTAMP.as_bytes()], signatures, BODY, now)
                .is_ok()
        });
    }
}

/// The control, which must be found: a comparison that ends at the first difference.
fn naive(runner: &mut CtRunner, rng: &mut BenchRng) {
    let good = digest();
    for (class, forged) in &forgeries(rng, |digest| digest) {
        runner.run_one(*class, || {
            let mut pairs = black_box(&good).iter().zip(black_box(forged));
            pairs.all(|(good, forged)| good == forged)
        });
    }
}

ctbench_main!(matches, verify, naive);
