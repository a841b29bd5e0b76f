use std::cmp::Ordering;
use std::io::{self, Read, Write};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use httparse::{Status, parse_chunk_size};

use super::Finding;
use super::causes::*;
use super::json::Json;
use super::text::base64_decoded;

/// A body as received.
pub(super) struct Body<'a> {
    pub(super) bytes: &'a [u8],
    text: Option<&'a str>,
    pub(super) json: Option<Json<'a>>,
    announced: Option<usize>,
    is_encoded: bool,
}

/// A change that the body may have gone through, the maximum length of the body before it, and the function that reverts it.
pub(super) type Suspect<'a> = (Finding, usize, Undo<'a>);

/// Writes the body as it was signed. Fails if the change cannot have happened.
type Undo<'a> = Box<dyn Fn(&mut dyn Write) -> io::Result<()> + 'a>;

impl<'a> Body<'a> {
    pub(super) fn new(headers: &HeaderMap, bytes: &'a [u8]) -> Self {
        let text = std::str::from_utf8(bytes).ok();
        let length = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok());
        let coding = headers.get(CONTENT_ENCODING);
        Self {
            bytes,
            text,
            json: text.and_then(Json::parse),
            announced: length.and_then(|length| length.trim().parse().ok()),
            is_encoded: coding.is_some_and(|coding| coding != "identity"),
        }
    }

    /// Returns the changes that can be reverted, the most likely first.
    pub(super) fn suspects(&self) -> Vec<Suspect<'_>> {
        let (body, trimmed) = (self.bytes, self.bytes.trim_ascii());
        let mut suspects: Vec<Suspect<'_>> = Vec::new();
        let mut add = |cause, undo| {
            suspects.push((Finding::of("the body", cause), MAX_DECODED, undo));
        };
        if let Some(line) = body.strip_suffix(b"\n") {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            add(BODY_NEWLINE_ADDED, copy(line));
        }
        if trimmed.len() < body.len() {
            add(BODY_BLANKS_ADDED, copy(trimmed));
        }
        if let Some(rest) = body.strip_prefix("\u{feff}".as_bytes()) {
            add(BODY_BOM_ADDED, copy(rest));
        }
        if trimmed.starts_with(b"\"") {
            add(BODY_JSON_STRING, decoded(body, json_string));
        }
        if self.json.is_none() {
            add(BODY_BASE64, decoded(body, base64));
            add(BODY_CHUNKED, decoded(body, dechunked));
            add(BODY_COMPRESSED, unpacked(move || MultiGzDecoder::new(body)));
            add(BODY_COMPRESSED, unpacked(move || ZlibDecoder::new(body)));
            add(BODY_COMPRESSED, unpacked(move || DeflateDecoder::new(body)));
        }
        let max = body.len().saturating_mul(MAX_REWRITTEN);
        for style in self.json.iter().flat_map(Json::styles) {
            suspects.push((style.finding(), max, Box::new(move |out| style.write(out))));
        }
        let whole = self.announced.and_then(|length| body.get(..length));
        if let (Some(finding), Some(whole)) = (self.wrong_length(), whole) {
            suspects.insert(0, (finding, usize::MAX, copy(whole)));
        }
        suspects
    }

    /// Returns what looks wrong with the body but cannot be reverted.
    pub(super) fn hints(&self) -> Vec<Finding> {
        let is_encoded = self.is_encoded && self.json.is_some();
        let has_lost = self.text.is_some_and(|text| text.contains('\u{fffd}'));
        let mut hints = Vec::from_iter(self.wrong_length());
        for (shows, cause) in [
            (self.bytes.is_empty(), BODY_EMPTY),
            (is_encoded, BODY_DECOMPRESSED),
            (has_lost, BODY_CHARACTERS_LOST),
        ] {
            hints.extend(shows.then(|| Finding::of("the body", cause)));
        }
        hints
    }

    fn wrong_length(&self) -> Option<Finding> {
        let (announced, received) = (self.announced?, self.bytes.len());
        let (name, advice) = match received.cmp(&announced) {
            Ordering::Less => ("body_cut", "find what limits its size"),
            Ordering::Equal => return None,
            Ordering::Greater => ("body_extended", "find the program that adds to it"),
        };
        let text = format!("the body has {received} bytes of {announced} announced: {advice}");
        Some(Finding::new(name, text))
    }
}

fn copy(bytes: &[u8]) -> Undo<'_> {
    Box::new(move |out| out.write_all(bytes))
}

fn unpacked<'a, R: Read>(decoder: impl Fn() -> R + 'a) -> Undo<'a> {
    Box::new(move |mut out| io::copy(&mut decoder(), &mut out).map(drop))
}

fn decoded(body: &[u8], decode: fn(&[u8]) -> Option<Vec<u8>>) -> Undo<'_> {
    Box::new(move |out| out.write_all(&decode(body).ok_or(io::ErrorKind::InvalidData)?))
}

fn json_string(body: &[u8]) -> Option<Vec<u8>> {
    Some(serde_json::from_slice::<String>(body).ok()?.into_bytes())
}

fn base64(body: &[u8]) -> Option<Vec<u8>> {
    let text: String = std::str::from_utf8(body).ok()?.split_whitespace().collect();
    base64_decoded(&text).filter(|decoded| !decoded.is_empty())
}

fn dechunked(body: &[u8]) -> Option<Vec<u8>> {
    let (mut rest, mut whole) = (body, Vec::new());
    while let Ok(Status::Complete((head, size @ 1..))) = parse_chunk_size(rest) {
        let size = usize::try_from(size).ok()?;
        let (chunk, after) = rest.get(head..)?.split_at_checked(size)?;
        whole.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n")?;
    }
    (!whole.is_empty()).then_some(whole)
}

/// More than a receiver takes.
const MAX_DECODED: usize = 128 << 20;

/// How many times longer than the body JSON may become. Indentation grows with the square of the depth.
const MAX_REWRITTEN: usize = 16;
