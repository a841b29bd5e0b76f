use std::cmp::Ordering;
use std::io::{self, Read, Write};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};

use super::Finding;
use super::causes::*;
use super::json::Json;
use super::text::base64_decoded;

/// A body as it was received.
pub(super) struct Body<'a> {
    pub(super) bytes: &'a [u8],
    text: Option<&'a str>,
    pub(super) json: Option<Json<'a>>,
    announced: Option<usize>,
    is_encoded: bool,
}

/// Something that may have happened to the body, the longest body that undoing it may write, and how to undo it.
pub(super) type Suspect<'a> = (Finding, usize, Undo<'a>);

/// Writes the body as it was signed, or fails where that is impossible.
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

    /// Returns what may have happened to the body and can be undone, the likeliest first.
    pub(super) fn suspects(&self) -> Vec<Suspect<'_>> {
        let (body, trimmed) = (self.bytes, self.bytes.trim_ascii());
        let mut suspects: Vec<Suspect<'_>> = Vec::new();
        let mut add = |cause, undo| {
            suspects.push((Finding::of("the body", cause), MOST_DECODED, undo));
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
            add(BODY_GZIP, unpacked(move || MultiGzDecoder::new(body)));
            add(BODY_ZLIB, unpacked(move || ZlibDecoder::new(body)));
            add(BODY_DEFLATE, unpacked(move || DeflateDecoder::new(body)));
        }
        let most = body.len().saturating_mul(MOST_REWRITTEN);
        for style in self.json.iter().flat_map(Json::styles) {
            suspects.push((style.finding(), most, Box::new(move |out| style.write(out))));
        }
        let whole = self.announced.and_then(|length| body.get(..length));
        if let (Some(finding), Some(whole)) = (self.wrong_length(), whole) {
            suspects.insert(0, (finding, usize::MAX, copy(whole)));
        }
        suspects
    }

    /// Returns what is conspicuous about the body, but cannot be undone.
    pub(super) fn hints(&self) -> Vec<Finding> {
        let is_encoded = self.is_encoded && self.json.is_some();
        let has_lost = self.text.is_some_and(|text| text.contains('\u{fffd}'));
        let hints = [
            self.bytes.is_empty().then_some(BODY_EMPTY),
            is_encoded.then_some(BODY_DECOMPRESSED),
            has_lost.then_some(BODY_CHARACTERS_LOST),
        ];
        let hints = hints.into_iter().flatten();
        let hints = hints.map(|cause| Finding::of("the body", cause));
        self.wrong_length().into_iter().chain(hints).collect()
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
    Box::new(move |out| match decode(body) {
        Some(decoded) => out.write_all(&decoded),
        None => Err(io::ErrorKind::InvalidData.into()),
    })
}

fn json_string(body: &[u8]) -> Option<Vec<u8>> {
    Some(serde_json::from_slice::<String>(body).ok()?.into_bytes())
}

fn base64(body: &[u8]) -> Option<Vec<u8>> {
    let text: String = std::str::from_utf8(body).ok()?.split_whitespace().collect();
    base64_decoded(&text).filter(|decoded| !decoded.is_empty())
}

fn dechunked(body: &[u8]) -> Option<Vec<u8>> {
    let mut rest = body;
    let mut whole = Vec::new();
    loop {
        let head = rest.iter().take(MOST_CHUNK_HEAD);
        let (line, after) = rest.split_at(head.copied().position(|byte| byte == b'\n')?);
        let size = std::str::from_utf8(line).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return (!whole.is_empty()).then_some(whole);
        }
        let (chunk, after) = after.strip_prefix(b"\n")?.split_at_checked(size)?;
        whole.extend_from_slice(chunk);
        let after = after.strip_prefix(b"\r").unwrap_or(after);
        rest = after.strip_prefix(b"\n")?;
    }
}

const MOST_CHUNK_HEAD: usize = 256;

/// More than a receiver takes.
const MOST_DECODED: usize = 128 << 20;

/// How many times longer than the body JSON may become; a blank per level grows with the square of the depth.
const MOST_REWRITTEN: usize = 16;
