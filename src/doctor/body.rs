use std::fmt;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};

use super::codings::{self, Out};
use super::json;
use super::style::{self, JsonStyle};
use super::{Finding, text};

/// What happened to a body between its signing and the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyFault {
    /// It is empty.
    Empty,
    /// It is shorter than `Content-Length`.
    #[non_exhaustive]
    Cut {
        /// What `Content-Length` says.
        announced: u64,
        /// How many bytes there are.
        received: u64,
    },
    /// It is longer than `Content-Length`.
    #[non_exhaustive]
    Extended {
        /// What `Content-Length` says.
        announced: u64,
        /// How many bytes there are.
        received: u64,
    },
    /// A line end was added to its end.
    NewlineAdded,
    /// A line end was taken from its end.
    NewlineLost,
    /// Blanks were added around it.
    BlanksAdded,
    /// Line ends became CR LF.
    CarriageReturnsAdded,
    /// Line ends were CR LF, and became LF.
    CarriageReturnsLost,
    /// A byte order mark was put before it.
    BomAdded,
    /// A byte order mark was taken from its beginning.
    BomLost,
    /// It was parsed and written again: it was signed in this style.
    Reserialised(JsonStyle),
    /// It is compressed, and was signed before that.
    Compressed(ContentCoding),
    /// `Content-Encoding` says that it is compressed, and it is not any more.
    Decompressed,
    /// Its UTF-8 was taken for Latin-1 or Windows-1252 and encoded once more.
    DoublyEncoded,
    /// It was written in Latin-1 or Windows-1252, and signed in UTF-8.
    Latin1,
    /// Characters of it were replaced by U+FFFD when it was decoded.
    CharactersLost,
    /// It is percent-encoded.
    PercentEncoded,
    /// It is a field of a form.
    Form,
    /// It is in base64.
    Base64,
    /// It is a JSON string that holds the body.
    JsonString,
    /// It still has the lengths of its chunks in it.
    Chunked,
}

impl BodyFault {
    /// A word for it in snake case, which does not change.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "body_empty",
            Self::Cut { .. } => "body_cut",
            Self::Extended { .. } => "body_extended",
            Self::NewlineAdded => "body_newline_added",
            Self::NewlineLost => "body_newline_lost",
            Self::BlanksAdded => "body_blanks_added",
            Self::CarriageReturnsAdded => "body_carriage_returns_added",
            Self::CarriageReturnsLost => "body_carriage_returns_lost",
            Self::BomAdded => "body_bom_added",
            Self::BomLost => "body_bom_lost",
            Self::Reserialised(_) => "body_reserialised",
            Self::Compressed(_) => "body_compressed",
            Self::Decompressed => "body_decompressed",
            Self::DoublyEncoded => "body_doubly_encoded",
            Self::Latin1 => "body_latin1",
            Self::CharactersLost => "body_characters_lost",
            Self::PercentEncoded => "body_percent_encoded",
            Self::Form => "body_form",
            Self::Base64 => "body_base64",
            Self::JsonString => "body_json_string",
            Self::Chunked => "body_chunked",
        }
    }

    /// Writes the body as it was signed; false if it cannot be told.
    pub(super) fn undo(self, body: &[u8], out: Out<'_>) -> bool {
        let undone = match self {
            Self::Extended { announced, .. } => {
                let whole = usize::try_from(announced).ok();
                return whole
                    .and_then(|length| body.get(..length))
                    .is_some_and(|whole| codings::copy(whole, out));
            }
            Self::NewlineAdded => {
                let rest = body.strip_suffix(b"\n");
                let Some(rest) = rest.map(|rest| rest.strip_suffix(b"\r").unwrap_or(rest)) else {
                    return false;
                };
                return codings::copy(rest, out);
            }
            Self::BlanksAdded => return codings::copy(body.trim_ascii(), out),
            Self::CarriageReturnsAdded => return codings::without_carriage_returns(body, out),
            Self::CarriageReturnsLost => return codings::with_carriage_returns(body, out),
            Self::BomAdded => {
                return body
                    .strip_prefix(BOM)
                    .is_some_and(|rest| codings::copy(rest, out));
            }
            Self::BomLost => {
                out(BOM);
                return codings::copy(body, out);
            }
            Self::Reserialised(style) => return json::write(body, style, out),
            Self::Compressed(coding) => return codings::decompress(body, coding, out),
            Self::DoublyEncoded => codings::decode_once(body),
            Self::Latin1 => codings::latin1_to_utf8(body),
            Self::PercentEncoded => text::percent_decoded(body),
            Self::Form => codings::form_field(body),
            Self::Base64 => codings::base64(body),
            Self::JsonString => serde_json::from_slice::<String>(body)
                .ok()
                .map(String::into_bytes),
            Self::Chunked => codings::dechunked(body),
            Self::Empty
            | Self::Cut { .. }
            | Self::NewlineLost
            | Self::Decompressed
            | Self::CharactersLost => None,
        };
        undone.is_some_and(|body| codings::copy(&body, out))
    }
}

impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the body is empty, which pyannoteAI never sends: find who reads it before the receiver",
            Self::Cut { announced, received } => {
                return write!(
                    f,
                    "the body has {received} bytes of the {announced} announced: see who cuts it, or what limits its size"
                );
            }
            Self::Extended { announced, received } => {
                return write!(f, "the body has {received} bytes where {announced} are announced: see who adds to it");
            }
            Self::NewlineAdded => "a line end was added to the body's end: keep its bytes as they come",
            Self::NewlineLost => "the line end at the body's end was taken off: keep its bytes as they come",
            Self::BlanksAdded => "blanks were added around the body: keep its bytes as they come",
            Self::CarriageReturnsAdded => "line ends of the body became CR LF: read and write it as bytes, not as text",
            Self::CarriageReturnsLost => "CR LF of the body became LF: read and write it as bytes, not as text",
            Self::BomAdded => "a byte order mark was put before the body: write it as bytes, not as text",
            Self::BomLost => "the byte order mark before the body was taken off: read it as bytes, not as text",
            Self::Reserialised(style) => {
                return write!(
                    f,
                    "the body was parsed and written again, and was signed {style}: verify the raw bytes, before any JSON parser"
                );
            }
            Self::Compressed(coding) => {
                let coding = coding.as_str();
                return write!(
                    f,
                    "the body is compressed ({coding}) and was signed before that: find who compresses it, or verify what it unpacks to"
                );
            }
            Self::Decompressed => {
                "content-encoding says that the body is compressed, and it is not: verify it before it is unpacked"
            }
            Self::DoublyEncoded => "the body's UTF-8 was taken for Latin-1 and encoded again: read it as bytes, not as text",
            Self::Latin1 => "the body was written in Latin-1, and signed in UTF-8: read and write it as bytes, not as text",
            Self::CharactersLost => {
                "the body has replacement characters (U+FFFD), so it was decoded with a loss: read it as bytes, not as text"
            }
            Self::PercentEncoded => "the body is percent-encoded: find who encodes it as a form",
            Self::Form => "the body came as a field of a form: find who wraps it",
            Self::Base64 => "the body is in base64, as a function's gateway hands it over: decode it before it is verified",
            Self::JsonString => "the body is a JSON string that holds the body: verify what it holds",
            Self::Chunked => "the body still has the lengths of its chunks in it: take it after the HTTP server has read it",
        })
    }
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentCoding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, which HTTP calls deflate.
    Zlib,
    /// RFC 1951, which some take deflate to be.
    Deflate,
}

impl ContentCoding {
    /// The lower-case word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zlib => "zlib",
            Self::Deflate => "deflate",
        }
    }
}

/// What may have happened to the body and can be undone, the likeliest first.
pub(super) fn suspects(headers: &HeaderMap, body: &[u8]) -> Vec<BodyFault> {
    let mut suspects = Vec::new();
    let mut add = |is_possible: bool, fault| {
        if is_possible {
            suspects.push(fault);
        }
    };
    let length = length(headers, body);
    let extended = length.filter(|fault| matches!(fault, BodyFault::Extended { .. }));
    extended.into_iter().for_each(|fault| add(true, fault));
    let trimmed = body.trim_ascii();
    add(body.ends_with(b"\n"), BodyFault::NewlineAdded);
    add(trimmed.len() < body.len(), BodyFault::BlanksAdded);
    let has_bom = body.starts_with(BOM);
    add(has_bom, BodyFault::BomAdded);
    add(!has_bom, BodyFault::BomLost);
    add(body.contains(&b'\r'), BodyFault::CarriageReturnsAdded);
    add(body.contains(&b'\n'), BodyFault::CarriageReturnsLost);
    match body {
        [0x1f, 0x8b, ..] => add(true, BodyFault::Compressed(ContentCoding::Gzip)),
        // The method is 8, and both bytes are a multiple of 31.
        [first, second, ..]
            if first & 15 == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0 =>
        {
            add(true, BodyFault::Compressed(ContentCoding::Zlib));
        }
        _ => {}
    }
    let is_text = std::str::from_utf8(body).is_ok();
    let is_json = is_text && json::is_json(body);
    add(!is_json, BodyFault::Compressed(ContentCoding::Deflate));
    add(is_text && !body.is_ascii(), BodyFault::DoublyEncoded);
    add(!is_text, BodyFault::Latin1);
    add(!is_json && body.contains(&b'%'), BodyFault::PercentEncoded);
    add(!is_json && body.contains(&b'='), BodyFault::Form);
    add(!is_json, BodyFault::Base64);
    add(trimmed.starts_with(b"\""), BodyFault::JsonString);
    add(!is_json, BodyFault::Chunked);
    if is_json {
        suspects.extend(style::styles(body).into_iter().map(BodyFault::Reserialised));
    }
    suspects
}

/// What is conspicuous about the body, though it cannot be undone.
pub(super) fn hints(headers: &HeaderMap, body: &[u8]) -> Vec<Finding> {
    let mut hints = Vec::new();
    hints.extend(length(headers, body));
    if body.is_empty() {
        hints.push(BodyFault::Empty);
    }
    let coding = headers.get(CONTENT_ENCODING);
    let says_compressed = coding.is_some_and(|coding| coding != "identity");
    if says_compressed && json::is_json(body) {
        hints.push(BodyFault::Decompressed);
    }
    if std::str::from_utf8(body).is_ok_and(|text| text.contains(char::REPLACEMENT_CHARACTER)) {
        hints.push(BodyFault::CharactersLost);
    }
    hints.into_iter().map(Finding::Body).collect()
}

fn length(headers: &HeaderMap, body: &[u8]) -> Option<BodyFault> {
    let announced = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    let announced = announced.trim().parse().ok()?;
    let received = u64::try_from(body.len()).ok()?;
    let fault = if received < announced {
        BodyFault::Cut {
            announced,
            received,
        }
    } else {
        BodyFault::Extended {
            announced,
            received,
        }
    };
    (received != announced).then_some(fault)
}

const BOM: &[u8] = "\u{feff}".as_bytes();
