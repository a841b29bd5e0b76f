//! Only the right HMAC passes, with the body whole or in pieces, and every signed delivery is verified.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tower_pyannote::{SigningKey, Verifier, WebhookSecret, verify::VerifyError};
use tower_pyannote_fuzz::{
    NOW, SECRETS, TOLERANCE, Timestamp, accepts, base64, digest, hex, now, secrets,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    signer: Signer<'a>,
    signed_body: Option<&'a [u8]>,
    timestamp: Timestamp<'a>,
    form: Form,
    prefix: bool,
    flipped: Option<(u8, u8)>,
    again: bool,
    body: &'a [u8],
    cut: u16,
}

#[derive(Arbitrary, Debug)]
enum Signer<'a> {
    First,
    Second,
    Stranger(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
enum Form {
    Hex,
    UpperHex,
    Base64,
    Unpadded,
}

fuzz_target!(|input: Input<'_>| {
    let timestamp = input.timestamp.bytes();
    let signed_body = input.signed_body.unwrap_or(input.body);
    let digest = match input.signer {
        Signer::First => digest(SECRETS[0], &timestamp, signed_body),
        Signer::Second => digest(SECRETS[1], &timestamp, signed_body),
        Signer::Stranger(key) => hmac_sha256::HMAC::mac(signed_body, key),
    };
    let mut signature = match input.form {
        Form::Hex => hex(&digest),
        Form::UpperHex => hex(&digest).to_uppercase(),
        Form::Base64 => base64(&digest),
        Form::Unpadded => base64(&digest).trim_end_matches('=').to_owned(),
    }
    .into_bytes();
    if let Some((at, mask)) = input.flipped {
        let at = usize::from(at) % signature.len();
        signature[at] ^= mask;
    }
    if input.prefix {
        signature.splice(0..0, *b"v0=");
    }
    let mut signatures = vec![&signature[..]];
    if input.again {
        signatures.push(&signature);
    }

    let verifier = Verifier::new(secrets());
    let expected = accepts(&[&timestamp], &signatures, input.body);
    let whole = verifier.verify(
        [&timestamp[..]],
        signatures.iter().copied(),
        input.body,
        now(),
    );
    assert_eq!(whole.is_ok(), expected, "{whole:?}");
    if let Ok(verified) = whole {
        assert!(verified.timestamp().abs_diff(NOW) <= TOLERANCE);
    }

    let (one, two) = input
        .body
        .split_at(usize::from(input.cut).min(input.body.len()));
    let pieces = verifier
        .start([&timestamp[..]], signatures.iter().copied(), now())
        .and_then(|mut verification| {
            loop {
                verification.update(one);
                verification.update(two);
                match verification.finish() {
                    Ok(verified) => break Ok(verified),
                    Err(mismatch) => verification = mismatch.next_secret()?,
                }
            }
        });
    assert_eq!(pieces, whole, "pieces are judged like the whole");

    let secret = WebhookSecret::new(SECRETS[0]).expect("the secret is valid");
    let ours = SigningKey::new(&secret).sign(&timestamp, input.body);
    assert_eq!(
        ours.to_hex(),
        hex(&tower_pyannote_fuzz::digest(
            SECRETS[0], &timestamp, input.body
        ))
    );
    let round_trip = verifier.verify(
        [&timestamp[..]],
        [ours.to_base64().as_bytes()],
        input.body,
        now(),
    );
    assert_ne!(round_trip.map(drop), Err(VerifyError::SignatureMismatch));
});
