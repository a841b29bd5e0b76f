//! Whether the time of a comparison tells where two signatures differ: see README.md.

use std::hint::black_box;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dudect_bencher::rand::RngExt;
use dudect_bencher::{BenchRng, Class, CtRunner, ctbench_main};
use tower_pyannote::{Signature, SigningKey, Verifier, WebhookSecret};

const PAIRS: usize = 500_000;
const TIMESTAMP: &str = "1767225600";
const BODY: &[u8] = br#"{"jobId":"1","status":"succeeded"}"#;

/// The class, the position of the byte that is wrong, and by how much: in the left class it is the first, in the right
/// class the last.
fn forgeries(rng: &mut BenchRng, count: usize) -> Vec<(Class, usize, u8)> {
    let forgery = |_| match rng.random() {
        true => (Class::Left, 0, rng.random_range(1..=255)),
        false => (Class::Right, 31, rng.random_range(1..=255)),
    };
    (0..count).map(forgery).collect()
}

fn key() -> (WebhookSecret, SigningKey) {
    let secret = WebhookSecret::new("whs_example").expect("the secret is good");
    let key = SigningKey::new(&secret);
    (secret, key)
}

fn digest() -> [u8; 32] {
    let hex = key().1.sign(TIMESTAMP, BODY).to_hex();
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("two digits"))
}

fn forged(at: usize, by: u8) -> [u8; 32] {
    let mut digest = digest();
    digest[at] ^= by;
    digest
}

fn hex(digest: [u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `Signature::matches`.
fn matches(runner: &mut CtRunner, rng: &mut BenchRng) {
    let good = key().1.sign(TIMESTAMP, BODY);
    for (class, at, by) in forgeries(rng, PAIRS) {
        let forged = hex(forged(at, by));
        let forged = Signature::parse(forged.as_bytes()).expect("it is well formed");
        runner.run_one(class, || black_box(&good).matches(black_box(&forged)));
    }
}

/// All of `Verifier::verify`, from the headers to the refusal.
fn verify(runner: &mut CtRunner, rng: &mut BenchRng) {
    let verifier = Verifier::new(key().0);
    let now: SystemTime = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    for (class, at, by) in forgeries(rng, PAIRS) {
        let forged = hex(forged(at, by));
        runner.run_one(class, || {
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
    for (class, at, by) in forgeries(rng, PAIRS) {
        let forged = forged(at, by);
        runner.run_one(class, || {
            let pairs = black_box(&good).iter().zip(black_box(&forged));
            pairs.into_iter().all(|(good, forged)| good == forged)
        });
    }
}

ctbench_main!(matches, verify, naive);
