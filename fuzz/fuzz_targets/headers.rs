//! Header parsing accepts exactly the values that a naive parser accepts.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tower_pyannote::{Signature, Verifier, verify::VerifyError};
use tower_pyannote_fuzz::{Timestamp, base64, hex, is_fresh, now, read, secrets};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    timestamp: Timestamp<'a>,
    signature: Written<'a>,
    /// A byte to insert, replace or remove.
    edit: Option<(Edit, u8, u8)>,
}

#[derive(Arbitrary, Debug)]
enum Written<'a> {
    Any(&'a [u8]),
    Hex([u8; 32]),
    Base64([u8; 32]),
    Prefixed(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
enum Edit {
    Insert,
    Replace,
    Remove,
}

fuzz_target!(|input: Input<'_>| {
    let timestamp = &*input.timestamp.bytes();
    let mut signature = match input.signature {
        Written::Any(bytes) => bytes.to_vec(),
        Written::Hex(digest) => hex(&digest).into_bytes(),
        Written::Base64(digest) => base64(&digest).into_bytes(),
        Written::Prefixed(bytes) => [b"v0=", bytes].concat(),
    };
    if let (Some((edit, at, byte)), false) = (input.edit, signature.is_empty()) {
        let at = usize::from(at) % signature.len();
        match edit {
            Edit::Insert => signature.insert(at, byte),
            Edit::Replace => signature[at] = byte,
            Edit::Remove => drop(signature.remove(at)),
        }
    }

    let parsed = Signature::parse(&signature).ok();
    assert_eq!(
        parsed.map(|parsed| parsed.to_hex()),
        read(&signature).map(|digest| hex(&digest))
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
