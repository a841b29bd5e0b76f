//! Header parsing takes exactly what a naive reading of the contract takes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_pyannote::{Signature, Verifier, VerifyError};
use tower_pyannote_fuzz::{hex, is_fresh, now, read, secrets};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (timestamp, signature) = input;

    let parsed = Signature::parse(signature).ok();
    assert_eq!(
        parsed.map(|parsed| parsed.to_hex()),
        read(signature).map(|digest| hex(&digest))
    );

    let good = "0".repeat(64);
    let started = Verifier::new(secrets()).start([timestamp], [good.as_bytes()], now());
    match started.map(drop) {
        Ok(()) => assert!(is_fresh(timestamp)),
        Err(error) => {
            assert!(!is_fresh(timestamp));
            let is_number =
                (1..=19).contains(&timestamp.len()) && timestamp.iter().all(u8::is_ascii_digit);
            assert_eq!(error == VerifyError::MalformedTimestamp, !is_number);
        }
    }
});
