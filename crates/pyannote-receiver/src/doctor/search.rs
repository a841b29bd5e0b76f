use std::io::{self, Write};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::Finding;
use super::body::{Body, Suspect};
use super::causes::*;
use super::secret::Key;

/// A search for the causes that lead to one of the signatures.
pub(super) struct Search<'a> {
    pub(super) keys: &'a [Key],
    pub(super) digests: &'a [[u8; 32]],
    pub(super) body: &'a Body<'a>,
    /// How many bytes may still be hashed.
    pub(super) work: usize,
    /// Whether something was not tried.
    pub(super) is_short: bool,
}

/// The bytes that were signed before the body, and the cause if they are not the right ones.
type Head = (Option<Finding>, Vec<u8>);

/// A key and a head to try together.
type Pair<'a> = (&'a Key, &'a Head);

/// The causes that lead to the signature, and the index of the secret.
type Found = (Vec<Finding>, usize);

impl Search<'_> {
    pub(super) fn run(&mut self, timestamps: &[Vec<u8>], near: u64) -> Option<Found> {
        let (keys, suspects) = (self.keys, self.body.suspects());
        let heads = heads(timestamps);
        let nearest = altered(near, 1..=NEAREST);
        let hours = (1..=HOURS).map(|hours| hours * 3600);
        let others = altered(near, hours.chain(NEAREST + 1..=NEIGHBOURS));
        let [plain, single, double] = [0, 1, 2].map(|causes| pairs(keys, &heads, causes));
        // The work limit does not apply to the delivery as received.
        self.hash(&plain, None, 0)
            .or_else(|| self.attempt(&single, None))
            .or_else(|| self.attempt(&pairs(keys, &nearest, 1), None))
            .or_else(|| self.each(&suspects, &plain))
            .or_else(|| self.attempt(&pairs(keys, &others, 1), None))
            .or_else(|| self.attempt(&double, None))
            .or_else(|| self.each(&suspects, &single))
    }

    fn each(&mut self, suspects: &[Suspect<'_>], pairs: &[Pair<'_>]) -> Option<Found> {
        let mut suspects = suspects.iter();
        suspects.find_map(|suspect| self.attempt(pairs, Some(suspect)))
    }

    /// Tries as many of the pairs as the remaining work allows.
    fn attempt(&mut self, pairs: &[Pair<'_>], suspect: Option<&Suspect<'_>>) -> Option<Found> {
        let rewriting = suspect.map_or(0, |_| REWRITING);
        let affordable = self.work / (self.body.bytes.len() + OVERHEAD);
        let count = affordable.saturating_sub(rewriting).min(pairs.len());
        self.is_short |= count < pairs.len();
        let overhead = OVERHEAD.saturating_mul(count + rewriting);
        self.work = self.work.saturating_sub(overhead);
        self.hash(pairs.get(..count)?, suspect, count + rewriting)
    }

    /// Hashes one form of the body with all pairs at once. Each byte costs `price`.
    fn hash(
        &mut self,
        pairs: &[Pair<'_>],
        suspect: Option<&Suspect<'_>>,
        price: usize,
    ) -> Option<Found> {
        let hash = |(key, head): &Pair<'_>| key.hmac.clone().chain_update(&head.1);
        let mut hashes = Hashes {
            hashes: pairs.iter().map(hash).collect(),
            price,
            left: suspect.map_or(usize::MAX, |suspect| suspect.1),
            search: self,
        };
        match suspect {
            _ if pairs.is_empty() => return None,
            Some((_, _, undo)) => undo(&mut hashes).ok()?,
            None => hashes.write_all(hashes.search.body.bytes).ok()?,
        }
        let hashes = hashes.hashes;
        let mut newlines = [&b""[..], b"\n", b"\r\n"].into_iter();
        newlines.find_map(|newline| {
            let is_sent = |hash: &Hmac<Sha256>| {
                let hash = hash.clone().chain_update(newline);
                let mut digests = self.digests.iter();
                digests.any(|digest| hash.clone().verify_slice(digest).is_ok())
            };
            let (key, head) = pairs.get(hashes.iter().position(is_sent)?)?;
            let lost = (!newline.is_empty()).then(|| Finding::of("the body", BODY_NEWLINE_LOST));
            let rewritten = suspect.map(|suspect| suspect.0.clone());
            let findings = [key.cause.clone(), head.0.clone(), rewritten, lost];
            Some((findings.into_iter().flatten().collect(), key.index))
        })
    }
}

/// Returns the pairs with this number of causes.
fn pairs<'a>(keys: &'a [Key], heads: &'a [Head], causes: usize) -> Vec<Pair<'a>> {
    let of_key = |key| heads.iter().map(move |head| (key, head));
    let pairs = keys.iter().flat_map(of_key);
    let count = |(key, head): &Pair<'_>| key.cause.iter().count() + head.0.iter().count();
    pairs.filter(|pair| count(pair) == causes).collect()
}

fn heads(timestamps: &[Vec<u8>]) -> Vec<Head> {
    let other = |Cause(name, signed): Cause, head: Vec<u8>| {
        let text = format!("the sender signed {signed}: sign `v0:timestamp:body`");
        (Some(Finding::new(name, text)), head)
    };
    let mut heads = vec![
        other(SIGNED_BODY_ALONE, Vec::new()),
        other(SIGNED_WITHOUT_TIMESTAMP, b"v0:".to_vec()),
    ];
    for text in timestamps {
        let head = |before: &str, after: &str| [before.as_bytes(), text, after.as_bytes()].concat();
        heads.push((None, head("v0:", ":")));
        heads.extend(SCHEMES.map(|(cause, before, after)| other(cause, head(before, after))));
    }
    heads
}

/// Returns the heads with a timestamp this number of seconds earlier and later.
fn altered(near: u64, distances: impl Iterator<Item = i64>) -> Vec<Head> {
    let seconds = distances.flat_map(|distance| [(-distance, "earlier"), (distance, "later")]);
    let heads = seconds.filter_map(|(seconds, side)| {
        let time = near.checked_add_signed(seconds)?;
        let seconds = seconds.unsigned_abs();
        let advice = "find the program that sets x-request-timestamp";
        let text = format!("the timestamp that was signed is {seconds} s {side}: {advice}");
        let finding = Finding::new("timestamp_altered", text);
        Some((Some(finding), format!("v0:{time}:").into_bytes()))
    });
    heads.collect()
}

/// Hashes the bytes written to it, until the work limit is reached.
struct Hashes<'a, 'b> {
    hashes: Vec<Hmac<Sha256>>,
    price: usize,
    /// How many bytes may still be written.
    left: usize,
    search: &'a mut Search<'b>,
}

impl Write for Hashes<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = bytes.get(..PIECE).unwrap_or(bytes);
        let left = self.left.checked_sub(piece.len());
        let price = piece.len().saturating_mul(self.price);
        let work = self.search.work.checked_sub(price);
        let (Some(left), Some(work)) = (left, work) else {
            self.search.is_short = true;
            return Err(io::ErrorKind::WriteZero.into());
        };
        (self.left, self.search.work) = (left, work);
        self.hashes.iter_mut().for_each(|hash| hash.update(piece));
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes before and after the timestamp.
const SCHEMES: [(Cause, &str, &str); 5] = [
    (SIGNED_WITHOUT_VERSION, "", ":"),
    (SIGNED_WITH_DOTS, "", "."),
    (SIGNED_WITH_VERSION_AND_DOTS, "v0.", "."),
    (SIGNED_WITHOUT_SEPARATOR, "", ""),
    (SIGNED_WITH_OTHER_VERSION, "v1:", ":"),
];

const NEAREST: i64 = 10;
const NEIGHBOURS: i64 = 600;
const HOURS: i64 = 14;
const PIECE: usize = 16 << 10;

/// The price of rewriting a body, in hashes of the body.
const REWRITING: usize = 6;

/// The price of a hash besides the body, in bytes: the head, the newlines, and the outer hash of each.
const OVERHEAD: usize = 512;
