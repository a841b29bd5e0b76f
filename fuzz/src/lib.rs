//! What the targets judge by: a naive reading of the contract, and an HMAC that shares no code with the crate's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arbitrary::Arbitrary;

pub const SECRETS: [&str; 2] = ["whs_00112233445566778899aabbccddeeff", "whs_old"];
pub const NOW: u64 = 1_767_225_600;
pub const TOLERANCE: u64 = 600;

pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

pub fn secrets() -> tower_pyannote::SecretSet {
    tower_pyannote::SecretSet::from_list(&SECRETS.join(",")).expect("the secrets are good")
}

/// What a sender puts into the timestamp's header.
#[derive(Arbitrary, Debug)]
pub enum Timestamp<'a> {
    /// Seconds before or after now.
    Near(i16),
    Any(&'a [u8]),
}

impl Timestamp<'_> {
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Near(offset) => NOW
                .saturating_add_signed((*offset).into())
                .to_string()
                .into_bytes(),
            Self::Any(bytes) => bytes.to_vec(),
        }
    }
}

/// The digest that a sender with this secret makes.
pub fn digest(secret: &str, timestamp: &[u8], body: &[u8]) -> [u8; 32] {
    let message = [b"v0:", timestamp, b":", body].concat();
    hmac_sha256::HMAC::mac(message, secret.as_bytes())
}

pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn base64(digest: &[u8]) -> String {
    let bits: String = digest.iter().map(|byte| format!("{byte:08b}")).collect();
    let mut text: String = bits
        .as_bytes()
        .chunks(6)
        .map(|six| {
            let six = std::str::from_utf8(six).expect("digits");
            let value = usize::from_str_radix(&format!("{six:0<6}"), 2).expect("six bits");
            char::from(ALPHABET[value])
        })
        .collect();
    while text.len() % 4 != 0 {
        text.push('=');
    }
    text
}

/// Whether a receiver that reads the contract word for word accepts this delivery.
pub fn accepts(timestamps: &[&[u8]], signatures: &[&[u8]], body: &[u8]) -> bool {
    let ([timestamp], [signature]) = (timestamps, signatures) else {
        return false;
    };
    let read = read(signature);
    is_fresh(timestamp)
        && SECRETS
            .iter()
            .any(|secret| Some(digest(secret, timestamp, body)) == read)
}

pub fn is_fresh(timestamp: &[u8]) -> bool {
    let is_number = (1..=19).contains(&timestamp.len()) && timestamp.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(timestamp)
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    is_number && number.is_some_and(|seconds| seconds.abs_diff(NOW) <= TOLERANCE)
}

/// The digest that a signature header's value is a writing of.
pub fn read(signature: &[u8]) -> Option<[u8; 32]> {
    let value = signature.strip_prefix(b"v0=").unwrap_or(signature);
    let (digits, width) = match value.len() {
        64 => (value.to_ascii_lowercase(), 4),
        44 => (value.strip_suffix(b"=")?.to_vec(), 6),
        43 => (value.to_vec(), 6),
        _ => return None,
    };
    let alphabet: &[u8] = if width == 4 {
        b"0123456789abcdef"
    } else {
        ALPHABET
    };
    let mut bits = String::new();
    for digit in digits {
        let value = alphabet.iter().position(|&known| known == digit)?;
        bits += &format!("{value:0width$b}");
    }
    let (bytes, rest) = bits.split_at(256);
    let byte = |at: usize| u8::from_str_radix(&bytes[8 * at..8 * at + 8], 2).expect("eight bits");
    (!rest.contains('1')).then(|| std::array::from_fn(byte))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
