//! What bodies go through, undone.

use std::io::Read;

use base64ct::Encoding as _;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use percent_encoding::percent_decode;

use super::body::ContentCoding;

/// Takes a body piece by piece.
pub(super) type Out<'a> = &'a mut dyn FnMut(&[u8]);

pub(super) fn copy(body: &[u8], out: Out<'_>) -> bool {
    out(body);
    true
}

pub(super) fn without_carriage_returns(body: &[u8], out: Out<'_>) -> bool {
    let mut lines = body.split(|&byte| byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let is_last = lines.peek().is_none();
        if is_last {
            out(line);
        } else {
            out(line.strip_suffix(b"\r").unwrap_or(line));
            out(b"\n");
        }
    }
    true
}

pub(super) fn with_carriage_returns(body: &[u8], out: Out<'_>) -> bool {
    let mut lines = body.split(|&byte| byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        out(line);
        if lines.peek().is_some() {
            out(if line.ends_with(b"\r") {
                b"\n"
            } else {
                b"\r\n"
            });
        }
    }
    true
}

/// Gives up on what is damaged, and on what unpacks to more than a receiver takes.
pub(super) fn decompress(body: &[u8], coding: ContentCoding, out: Out<'_>) -> bool {
    match coding {
        ContentCoding::Gzip => unpack(MultiGzDecoder::new(body), out),
        ContentCoding::Zlib => unpack(ZlibDecoder::new(body), out),
        ContentCoding::Deflate => unpack(DeflateDecoder::new(body), out),
    }
}

fn unpack(mut body: impl Read, out: Out<'_>) -> bool {
    let mut buffer = [0; 16 << 10];
    let mut left = MOST_UNPACKED;
    loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => return left < MOST_UNPACKED,
            Ok(read) => read,
            Err(_) => return false,
        };
        let Some(rest) = left.checked_sub(read) else {
            return false;
        };
        left = rest;
        out(buffer.get(..read).unwrap_or_default());
    }
}

/// Undoes UTF-8 that was taken for Latin-1 or Windows-1252.
pub(super) fn decode_once(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    text.chars().map(windows_1252).collect()
}

pub(super) fn latin1_to_utf8(body: &[u8]) -> Option<Vec<u8>> {
    let decoded = |&byte: &u8| match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    };
    Some(body.iter().map(decoded).collect::<String>().into_bytes())
}

fn windows_1252(c: char) -> Option<u8> {
    if let Ok(byte) = u8::try_from(c) {
        return Some(byte);
    }
    let high = HIGH.iter().position(|&high| high == c)?;
    u8::try_from(high + 0x80).ok()
}

/// Takes the JSON out of a form: the name or the value of a field.
pub(super) fn form_field(body: &[u8]) -> Option<Vec<u8>> {
    let spaced: Vec<u8> = body
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    let fields = spaced.split(|&byte| byte == b'&');
    let mut texts = fields
        .flat_map(|field| field.splitn(2, |&byte| byte == b'='))
        .map(|text| percent_decode(text).collect::<Vec<u8>>());
    texts.find(|text| text.trim_ascii().starts_with(b"{"))
}

pub(super) fn base64(body: &[u8]) -> Option<Vec<u8>> {
    let mut text = std::str::from_utf8(body).ok()?.to_owned();
    text.retain(|c| !c.is_ascii_whitespace());
    let unpadded = text.trim_end_matches('=');
    base64ct::Base64Unpadded::decode_vec(unpadded)
        .or_else(|_| base64ct::Base64UrlUnpadded::decode_vec(unpadded))
        .ok()
        .filter(|decoded| !decoded.is_empty())
}

pub(super) fn dechunked(body: &[u8]) -> Option<Vec<u8>> {
    let mut rest = body;
    let mut whole = Vec::new();
    loop {
        let end = rest
            .iter()
            .take(MOST_CHUNK_HEAD)
            .position(|&byte| byte == b'\n')?;
        let (line, after) = rest.split_at(end);
        let line = std::str::from_utf8(line).ok()?;
        let digits = line.split(';').next()?.trim();
        let length = usize::from_str_radix(digits, 16).ok()?;
        let after = after.strip_prefix(b"\n")?;
        if length == 0 {
            return (!whole.is_empty()).then_some(whole);
        }
        let (chunk, after) = after.split_at_checked(length)?;
        whole.extend_from_slice(chunk);
        let after = after.strip_prefix(b"\r").unwrap_or(after);
        rest = after.strip_prefix(b"\n")?;
    }
}

const MOST_UNPACKED: usize = 128 << 20;
const MOST_CHUNK_HEAD: usize = 256;

/// Windows-1252 from 0x80 to 0x9f, as the WHATWG's Encoding Standard has it.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];
