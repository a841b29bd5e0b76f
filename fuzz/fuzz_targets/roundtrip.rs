//! A signed delivery verifies in every encoding, whole and in pieces, only under its secret, and not with a changed bit.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tower_pyannote::{
    SecretSet, Signature, SigningKey, Verifier, WebhookSecret, verify::VerifyError,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    secret: &'a [u8],
    other: &'a [u8],
    seconds: u32,
    body: &'a [u8],
    cuts: Vec<u8>,
    changed: Changed,
    bit: u16,
}

#[derive(Arbitrary, Debug)]
enum Changed {
    Body,
    Timestamp,
    Secret,
    Signature,
}

fuzz_target!(|input: Input<'_>| {
    let (Ok(secret), Ok(other)) = (
        WebhookSecret::new(input.secret),
        WebhookSecret::new(input.other),
    ) else {
        return;
    };
    let timestamp = input.seconds.to_string();
    let now = UNIX_EPOCH + Duration::from_secs(input.seconds.into());
    let signature = SigningKey::new(&secret).sign(&timestamp, input.body);
    assert!(!format!("{signature:?}{secret:?}").contains(&signature.to_hex()));

    let mut signer = SigningKey::new(&secret).start(timestamp.as_bytes());
    let mut rest = input.body;
    for cut in input.cuts {
        let (piece, after) = rest.split_at(usize::from(cut).min(rest.len()));
        signer.update(piece);
        rest = after;
    }
    signer.update(rest);
    assert!(
        signer.finish().matches(&signature),
        "pieces are signed like the whole"
    );

    let secrets = SecretSet::new(other).add_secret(secret.clone());
    let verify = |secrets: SecretSet, timestamp: &str, signature: &str, body: &[u8]| {
        Verifier::new(secrets)
            .verify([timestamp.as_bytes()], [signature.as_bytes()], body, now)
            .map(|verified| verified.secret_index())
    };
    let (hex, base64) = (signature.to_hex(), signature.to_base64());
    for written in [
        hex.clone(),
        hex.to_uppercase(),
        base64.clone(),
        base64.trim_end_matches('=').to_owned(),
        format!("v0={hex}"),
        format!("v0={base64}"),
    ] {
        let index = verify(secrets.clone(), &timestamp, &written, input.body);
        // HMAC pads a short key with zeros and hashes a long one, so other bytes can be the same key.
        assert!(matches!(index, Ok(0 | 1)), "{index:?}");
        let parsed = Signature::parse(written.as_bytes()).expect("the signature is well formed");
        assert_eq!(
            (parsed.to_hex(), parsed.to_base64()),
            (hex.clone(), base64.clone())
        );
    }

    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let at = usize::from(input.bit / 8) % bytes.len().max(1);
        bytes
            .get_mut(at)
            .map(|byte| *byte ^= 1 << (input.bit % 8))?;
        Some(bytes)
    };
    let refused = match input.changed {
        Changed::Body => {
            flipped(input.body).map(|body| verify(secret.into(), &timestamp, &hex, &body))
        }
        Changed::Timestamp => flipped(timestamp.as_bytes())
            .and_then(|timestamp| String::from_utf8(timestamp).ok())
            .map(|timestamp| verify(secret.into(), &timestamp, &hex, input.body)),
        Changed::Secret => flipped(input.secret)
            .filter(|changed| *changed != key(input.secret) && key(changed) != key(input.secret))
            .and_then(|changed| WebhookSecret::new(changed).ok())
            .map(|changed| verify(changed.into(), &timestamp, &hex, input.body)),
        Changed::Signature => {
            let digits: String = hex
                .chars()
                .enumerate()
                .map(|(at, digit)| {
                    if at == usize::from(input.bit) % 64 {
                        if digit == '0' { '1' } else { '0' }
                    } else {
                        digit
                    }
                })
                .collect();
            Some(verify(secret.into(), &timestamp, &digits, input.body))
        }
    };
    if let Some(refused) = refused {
        let error = refused.expect_err("a changed bit was not signed");
        assert!(
            error == VerifyError::SignatureMismatch || matches!(input.changed, Changed::Timestamp)
        );
    }
});

/// Returns a short key without the zeros that HMAC pads it with.
fn key(secret: &[u8]) -> &[u8] {
    let zeros = secret.iter().rev().take_while(|byte| **byte == 0).count();
    &secret[..secret.len() - zeros]
}
