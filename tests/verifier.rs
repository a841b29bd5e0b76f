//! The verifier: malformed headers, bounds of the tolerance, rotation, and vectors made by other programs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use tower_pyannote::{
    ConfigError, HandlerRegistry, SecretSet, Signature, SigningKey, Verifier, WebhookSecret,
    verify::{ParseSignatureError, SecretErrorKind, SignatureEncoding, VerifyError},
};

const SECRET: &str = "whs_00112233445566778899aabbccddeeff";
const BODY: &[u8] = include_bytes!("vectors/delivery.json");

/// 2026-01-01T00:00:00Z.
const SIGNED_AT: u64 = 1_767_225_600;

fn secret(value: &str) -> WebhookSecret {
    WebhookSecret::new(value).unwrap()
}

fn verifier() -> Verifier {
    Verifier::new(secret(SECRET))
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn sign(timestamp: &[u8], body: &[u8]) -> Signature {
    SigningKey::new(&secret(SECRET)).sign(timestamp, body)
}

fn verify(timestamps: &[&[u8]], signatures: &[&[u8]]) -> Result<SignatureEncoding, VerifyError> {
    verifier()
        .verify(
            timestamps.iter().copied(),
            signatures.iter().copied(),
            BODY,
            at(SIGNED_AT),
        )
        .map(|verified| verified.encoding())
}

#[test]
fn vectors_of_openssl_and_python_are_accepted_in_every_encoding() {
    // openssl dgst -sha256 -hmac $SECRET over `v0:1767225600:` and the body, with -r and with -binary | openssl base64 -A;
    // Python: hmac.new(secret, b"v0:1767225601:" + body, sha256), hexdigest() and base64.b64encode(digest()).
    let vectors = [
        (
            "openssl hex",
            "1767225600",
            include_str!("vectors/openssl.hex"),
        ),
        (
            "openssl base64",
            "1767225600",
            include_str!("vectors/openssl.base64"),
        ),
        (
            "python hex",
            "1767225601",
            include_str!("vectors/python.hex"),
        ),
        (
            "python base64",
            "1767225601",
            include_str!("vectors/python.base64"),
        ),
    ];
    for (name, timestamp, signature) in vectors {
        let encoding = match signature.len() {
            64 => SignatureEncoding::Hex,
            _ => SignatureEncoding::Base64,
        };
        let forms = [
            signature.to_owned(),
            format!("v0={signature}"),
            signature.trim_end_matches('=').to_owned(),
            format!("v0={}", signature.trim_end_matches('=')),
        ];
        for form in forms {
            assert_eq!(
                verify(&[timestamp.as_bytes()], &[form.as_bytes()]),
                Ok(encoding),
                "{name}: {form}"
            );
        }
        if encoding == SignatureEncoding::Hex {
            let upper = signature.to_uppercase();
            assert_eq!(
                verify(&[timestamp.as_bytes()], &[upper.as_bytes()]),
                Ok(encoding),
                "{name}, upper case"
            );
        }
    }
}

#[test]
fn signatures_equal_those_of_openssl() {
    let signature = sign(b"1767225600", BODY);
    assert_eq!(signature.to_hex(), include_str!("vectors/openssl.hex"));
    assert_eq!(
        signature.to_base64(),
        include_str!("vectors/openssl.base64")
    );
}

#[test]
fn malformed_timestamps_are_refused() {
    let table: &[(&str, &[u8])] = &[
        ("empty", b""),
        ("blank", b" "),
        ("leading blank", b" 1767225600"),
        ("trailing blank", b"1767225600 "),
        ("tab", b"1767225600\t"),
        ("plus sign", b"+1767225600"),
        ("minus sign", b"-1767225600"),
        ("decimal point", b"1767225600.0"),
        ("exponent", b"17672256e2"),
        ("hexadecimal", b"0x69564e80"),
        ("underscore", b"1_767_225_600"),
        ("comma", b"1767225600,1767225600"),
        ("a letter", b"176722560O"),
        ("a date", b"2026-01-01T00:00:00Z"),
        ("digits that are not ASCII", "١٧٦٧٢٢٥٦٠٠".as_bytes()),
        ("bytes that are not UTF-8", b"\xff\xfe"),
        ("NUL", b"1767225600\0"),
        ("20 digits", b"00000000001767225600"),
        ("a thousand digits", &[b'1'; 1000]),
    ];
    for (name, timestamp) in table {
        let signature = sign(timestamp, BODY).to_hex();
        assert_eq!(
            verify(&[timestamp], &[signature.as_bytes()]),
            Err(VerifyError::MalformedTimestamp),
            "{name}"
        );
    }
}

#[test]
fn leading_zeros_are_hashed_as_sent() {
    let timestamp = b"0000000001767225600";
    let signature = sign(timestamp, BODY).to_hex();
    assert_eq!(
        verify(&[timestamp], &[signature.as_bytes()]),
        Ok(SignatureEncoding::Hex)
    );
    assert_eq!(
        verify(&[b"1767225600"], &[signature.as_bytes()]),
        Err(VerifyError::SignatureMismatch)
    );
}

#[test]
fn largest_timestamp_is_in_the_future_without_overflow() {
    let timestamp = b"9999999999999999999";
    let signature = sign(timestamp, BODY).to_hex();
    assert_eq!(
        verify(&[timestamp], &[signature.as_bytes()]),
        Err(VerifyError::FutureTimestamp)
    );
}

#[test]
fn malformed_signatures_are_refused() {
    let signature = sign(b"1767225600", BODY);
    let (hex, base64) = (signature.to_hex(), signature.to_base64());
    let unpadded = base64.trim_end_matches('=');
    let url_safe = sign_with_url_characters();
    let table = [
        ("empty", String::new()),
        ("prefix alone", "v0=".to_owned()),
        ("another version", format!("v1={hex}")),
        ("upper-case prefix", format!("V0={hex}")),
        ("prefix twice", format!("v0=v0={hex}")),
        ("prefix of another scheme", format!("sha256={hex}")),
        ("63 digits", hex[1..].to_owned()),
        ("65 digits", format!("{hex}0")),
        ("leading blank", format!(" {}", &hex[1..])),
        ("trailing blank", format!("{} ", &hex[1..])),
        ("surrounding blanks", format!(" {hex} ")),
        ("a letter that is no digit", format!("g{}", &hex[1..])),
        ("a byte before 0", format!("/{}", &hex[1..])),
        ("a byte after 9", format!(":{}", &hex[1..])),
        ("0x", format!("0x{}", &hex[2..])),
        ("42 characters of base64", unpadded[1..].to_owned()),
        ("45 characters of base64", format!("{base64}=")),
        (
            "padding within",
            format!("{}={}", &unpadded[..20], &unpadded[21..]),
        ),
        (
            "padding where 44 characters need none",
            format!("{}A", unpadded),
        ),
        ("padding twice", format!("{}==", &unpadded[..42])),
        (
            "a line break within",
            format!("{}\n{}", &unpadded[..20], &unpadded[21..]),
        ),
        ("the URL-safe alphabet", url_safe),
        ("two values in one header", format!("{hex},{hex}")),
        ("a list of schemes", format!("v0={hex},v1={hex}")),
        ("not ASCII", "é".repeat(32)),
        ("a megabyte", "0".repeat(1 << 20)),
    ];
    for (name, malformed) in table {
        assert_eq!(
            verify(&[b"1767225600"], &[malformed.as_bytes()]),
            Err(VerifyError::MalformedSignature),
            "{name}"
        );
    }
    let not_utf8 = [0xff; 64];
    assert_eq!(
        verify(&[b"1767225600"], &[&not_utf8]),
        Err(VerifyError::MalformedSignature)
    );
}

/// Returns a signature whose base64 has a `+` or `/`, written with `-` and `_` instead.
fn sign_with_url_characters() -> String {
    (0..)
        .map(|n: u32| sign(n.to_string().as_bytes(), BODY).to_base64())
        .find(|base64| base64.contains(['+', '/']))
        .map(|base64| base64.replace('+', "-").replace('/', "_"))
        .unwrap()
}

#[test]
fn base64_with_nonzero_trailing_bits_is_malformed() {
    let base64 = sign(b"1767225600", BODY).to_base64();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let last = alphabet.find(&base64[42..43]).unwrap();
    let sibling = &alphabet[last + 1..last + 2];
    let twin = format!("{}{sibling}=", &base64[..42]);
    assert_eq!(
        verify(&[b"1767225600"], &[twin.as_bytes()]),
        Err(VerifyError::MalformedSignature)
    );
}

#[test]
fn missing_header_is_named() {
    let signature = sign(b"1767225600", BODY).to_hex();
    assert_eq!(
        verify(&[], &[signature.as_bytes()]),
        Err(VerifyError::MissingTimestamp)
    );
    assert_eq!(
        verify(&[b"1767225600"], &[]),
        Err(VerifyError::MissingSignature)
    );
    assert_eq!(verify(&[], &[]), Err(VerifyError::MissingTimestamp));
}

#[test]
fn duplicate_header_is_refused_even_if_both_are_valid() {
    let signature = sign(b"1767225600", BODY).to_hex();
    let (timestamp, signature): (&[u8], &[u8]) = (b"1767225600", signature.as_bytes());
    assert_eq!(
        verify(&[timestamp, timestamp], &[signature]),
        Err(VerifyError::DuplicateTimestamp)
    );
    assert_eq!(
        verify(&[timestamp], &[signature, signature]),
        Err(VerifyError::DuplicateSignature)
    );
}

#[test]
fn digest_with_a_changed_digit_is_refused() {
    let hex = sign(b"1767225600", BODY).to_hex();
    for position in 0..hex.len() {
        let mut forged = hex.clone().into_bytes();
        forged[position] = if forged[position] == b'0' { b'1' } else { b'0' };
        assert_eq!(
            verify(&[b"1767225600"], &[&forged]),
            Err(VerifyError::SignatureMismatch),
            "digit {position}"
        );
    }
}

#[test]
fn changed_timestamp_is_refused() {
    let hex = sign(b"1767225600", BODY).to_hex();
    assert_eq!(
        verify(&[b"1767225601"], &[hex.as_bytes()]),
        Err(VerifyError::SignatureMismatch)
    );
}

#[test]
fn tolerance_includes_its_bounds() {
    let nanosecond = Duration::from_nanos(1);
    let minute = Duration::from_secs(60);
    let defaults = verifier();
    let tight = verifier().with_tolerance(minute);
    let split = verifier()
        .with_past_tolerance(minute)
        .with_future_tolerance(Duration::ZERO);
    let signed = at(SIGNED_AT);
    let ten = Duration::from_secs(600);
    let table = [
        ("at once", &defaults, signed, Ok(())),
        ("600 s old", &defaults, signed + ten, Ok(())),
        (
            "just over 600 s old",
            &defaults,
            signed + ten + nanosecond,
            Err(VerifyError::StaleTimestamp),
        ),
        ("600 s ahead", &defaults, signed - ten, Ok(())),
        (
            "just over 600 s ahead",
            &defaults,
            signed - ten - nanosecond,
            Err(VerifyError::FutureTimestamp),
        ),
        ("a minute old", &tight, signed + minute, Ok(())),
        (
            "just over a minute old",
            &tight,
            signed + minute + nanosecond,
            Err(VerifyError::StaleTimestamp),
        ),
        ("a minute ahead", &tight, signed - minute, Ok(())),
        (
            "just over a minute ahead",
            &tight,
            signed - minute - nanosecond,
            Err(VerifyError::FutureTimestamp),
        ),
        ("past alone: a minute old", &split, signed + minute, Ok(())),
        ("no future: at once", &split, signed, Ok(())),
        (
            "no future: just ahead",
            &split,
            signed - nanosecond,
            Err(VerifyError::FutureTimestamp),
        ),
        (
            "a clock before 1970",
            &defaults,
            UNIX_EPOCH - minute,
            Err(VerifyError::FutureTimestamp),
        ),
    ];
    let signature = sign(b"1767225600", BODY).to_hex();
    for (name, verifier, now, expected) in table {
        let outcome = verifier.verify([&b"1767225600"[..]], [signature.as_bytes()], BODY, now);
        assert_eq!(outcome.map(drop), expected, "{name}");
    }
}

#[test]
fn last_retry_of_a_sender_that_signed_once_is_fresh() {
    // Attempts at 0, 10, 80 and 390 s, each with a timeout of 10 s.
    let signature = sign(b"1767225600", BODY).to_hex();
    let outcome = verifier().verify(
        [&b"1767225600"[..]],
        [signature.as_bytes()],
        BODY,
        at(SIGNED_AT + 400),
    );
    assert_eq!(outcome.map(|verified| verified.timestamp()), Ok(SIGNED_AT));
}

#[test]
fn index_of_the_matching_secret_is_returned() {
    let secrets = SecretSet::new(secret("whs_new"))
        .add_secret(secret("whs_old"))
        .add_secret(secret("whs_older"));
    let verifier = Verifier::new(secrets);
    for (name, expected) in [
        ("whs_new", Ok(0)),
        ("whs_old", Ok(1)),
        ("whs_older", Ok(2)),
        ("whs_oldest", Err(VerifyError::SignatureMismatch)),
    ] {
        let signature = SigningKey::new(&secret(name)).sign("1767225600", BODY);
        let outcome = verifier.verify(
            [&b"1767225600"[..]],
            [signature.to_base64().as_bytes()],
            BODY,
            at(SIGNED_AT),
        );
        assert_eq!(
            outcome.map(|verified| verified.secret_index()),
            expected,
            "{name}"
        );
    }
}

#[test]
fn invalid_secrets_are_refused() {
    let table = [
        ("", SecretErrorKind::Empty),
        (" ", SecretErrorKind::Blank),
        ("\r\n", SecretErrorKind::Blank),
        ("\u{a0}", SecretErrorKind::Blank),
        (" whs_1", SecretErrorKind::SurroundingWhitespace),
        ("whs_1\n", SecretErrorKind::SurroundingWhitespace),
        ("whs_1\u{a0}", SecretErrorKind::SurroundingWhitespace),
    ];
    for (value, kind) in table {
        assert_eq!(
            WebhookSecret::new(value).unwrap_err().kind(),
            kind,
            "{value:?}"
        );
    }
    assert_eq!(
        WebhookSecret::new(b"\xff \n".to_vec()).unwrap_err().kind(),
        SecretErrorKind::SurroundingWhitespace
    );
}

#[test]
fn list_of_secrets_names_the_invalid_one() {
    assert_eq!(SecretSet::from_list("whs_1").unwrap().len(), 1);
    assert_eq!(SecretSet::from_list("whs_1,whs_2,whs_3").unwrap().len(), 3);
    let error = SecretSet::from_list("whs_1, whs_2").unwrap_err();
    assert_eq!(
        error.to_string(),
        "webhook secret 2 of the list begins or ends with white space; remove the white space"
    );
    let error = SecretSet::from_list("whs_1,").unwrap_err();
    assert_eq!(error.kind(), SecretErrorKind::Empty);
}

#[test]
fn missing_variable_is_named_with_the_place_of_the_secret() {
    let error = WebhookSecret::from_env("TOWER_PYANNOTE_NOT_SET").unwrap_err();
    assert_eq!(error.kind(), SecretErrorKind::NotSet);
    assert_eq!(
        error.to_string(),
        "environment variable TOWER_PYANNOTE_NOT_SET: the webhook secret is not set; copy it from the pyannoteAI dashboard"
    );
    let set = SecretSet::from_env("TOWER_PYANNOTE_NOT_SET").unwrap_err();
    assert_eq!(set, error);
}

#[test]
fn debug_of_setup_errors_is_their_message() {
    let error = WebhookSecret::new("").unwrap_err();
    let message = "the webhook secret is empty; copy it from the pyannoteAI dashboard";
    assert_eq!(
        format!("{error}\n{error:?}"),
        format!("{message}\n{message}")
    );
    let error = HandlerRegistry::new().with_handler_timeout(Duration::ZERO);
    let error: ConfigError = error.unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
    assert!(error.to_string().contains("is zero"), "{error}");
}

#[test]
fn parse_error_of_a_signature_becomes_malformed_signature() {
    let error: ParseSignatureError = Signature::parse(b"5f").unwrap_err();
    assert_eq!(VerifyError::from(error), VerifyError::MalformedSignature);
    assert_eq!(
        error.to_string(),
        "the signature is neither 64 hex digits nor 44 or 43 characters of base64"
    );
}

#[test]
fn debug_output_holds_no_secret_and_no_signature() {
    let key = SigningKey::new(&secret(SECRET));
    let signature = key.sign("1767225600", BODY);
    let verification = verifier()
        .start(
            [&b"1767225600"[..]],
            [signature.to_hex().as_bytes()],
            at(SIGNED_AT),
        )
        .unwrap();
    let printed = [
        format!("{:?}", secret(SECRET)),
        format!("{:?}", SecretSet::new(secret(SECRET))),
        format!("{key:?}"),
        format!("{:?}", key.start(b"1767225600")),
        format!("{signature:?}"),
        format!("{:?}", verifier()),
        format!("{verification:?}"),
        format!("{:?}", verification.finish().unwrap_err()),
    ];
    // Debug of bytes prints them as numbers in a list.
    let digest = format!("{:?}", &hex_bytes(&signature.to_hex())[..4]);
    let digest = digest.trim_matches(['[', ']']);
    for text in printed {
        assert!(!text.contains(&SECRET[4..]), "{text}");
        assert!(!text.contains(&signature.to_hex()[..8]), "{text}");
        assert!(!text.contains(digest), "{text}");
    }
}

fn hex_bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn types_are_send_and_sync() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<WebhookSecret>();
    shared::<SecretSet>();
    shared::<SigningKey>();
    shared::<Signature>();
    shared::<Verifier>();
}

proptest! {
    #[test]
    fn body_in_pieces_verifies_like_the_whole(body: Vec<u8>, cuts: Vec<prop::sample::Index>) {
        let signature = sign(b"1767225600", &body).to_hex();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let mut verification = verifier()
            .start([&b"1767225600"[..]], [signature.as_bytes()], at(SIGNED_AT))
            .unwrap();
        for pair in cuts.windows(2) {
            verification.update(&body[pair[0]..pair[1]]);
        }
        prop_assert!(verification.finish().is_ok());
    }

    #[test]
    fn any_signed_body_is_verified_and_any_other_is_refused(body: Vec<u8>, other: Vec<u8>, timestamp in "[0-9]{1,19}") {
        let now = at(timestamp.parse::<u64>().unwrap().min(u64::from(u32::MAX)));
        let verifier = verifier().with_tolerance(Duration::MAX);
        let signature = sign(timestamp.as_bytes(), &body).to_base64();
        let verify = |body: &[u8]| verifier.verify([timestamp.as_bytes()], [signature.as_bytes()], body, now).map(drop);
        prop_assert_eq!(verify(&body), Ok(()));
        let expected = if body == other { Ok(()) } else { Err(VerifyError::SignatureMismatch) };
        prop_assert_eq!(verify(&other), expected);
    }
}
