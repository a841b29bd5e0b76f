use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::scheme::Head;
use super::secret::Key;
use super::{BodyFault, Finding, TimestampFault, codings};
use crate::signature::Signature;

/// A search for what leads to one of the signatures that were sent.
pub(super) struct Search<'a> {
    pub(super) keys: &'a [Key],
    pub(super) heads: Vec<Head>,
    pub(super) digests: &'a [Signature],
    pub(super) body: &'a [u8],
    pub(super) work: Work,
}

/// What led to the signature.
pub(super) struct Found {
    pub(super) faults: Vec<Finding>,
    pub(super) secret_index: usize,
}

/// A key and a head to try, and which they are.
#[derive(Clone, Copy)]
struct Pair<'a> {
    key: &'a Key,
    head: &'a Head,
}

impl Pair<'_> {
    fn count_faults(self) -> usize {
        usize::from(self.key.fault.is_some()) + usize::from(self.head.fault.is_some())
    }

    fn found(self) -> Found {
        let index = self.key.index;
        let secret = self.key.fault.map(|fault| Finding::Secret { index, fault });
        let scheme = self.head.fault.map(Finding::Scheme);
        Found {
            faults: secret.into_iter().chain(scheme).collect(),
            secret_index: index,
        }
    }
}

impl Search<'_> {
    pub(super) fn run(&mut self, suspects: &[BodyFault], near: u64) -> Option<Found> {
        let heads = std::mem::take(&mut self.heads);
        let pairs = self
            .keys
            .iter()
            .flat_map(|key| heads.iter().map(move |head| Pair { key, head }));
        let (mut plain, mut single, mut double) = (Vec::new(), Vec::new(), Vec::new());
        for pair in pairs {
            match pair.count_faults() {
                0 => plain.push(pair),
                1 => single.push(pair),
                _ => double.push(pair),
            }
        }
        let as_it_is = self.attempt(&plain, None, Pay::Nothing);
        as_it_is
            .or_else(|| self.attempt(&single, None, Pay::ByByte))
            .or_else(|| self.other_times(near, (1..=NEAREST).collect()))
            .or_else(|| self.each(suspects, &plain))
            .or_else(|| {
                let hours = (1..=HOURS).map(|hours| hours * 3600);
                self.other_times(near, hours.chain(NEAREST + 1..=NEIGHBOURS).collect())
            })
            .or_else(|| self.attempt(&double, None, Pay::ByByte))
            .or_else(|| self.each(suspects, &single))
    }

    fn each(&mut self, suspects: &[BodyFault], pairs: &[Pair<'_>]) -> Option<Found> {
        suspects
            .iter()
            .find_map(|&suspect| self.attempt(pairs, Some(suspect), Pay::ByByte))
    }

    /// Tries timestamps that many seconds before and after.
    fn other_times(&mut self, near: u64, distances: Vec<i64>) -> Option<Found> {
        let offsets: Vec<i64> = distances
            .into_iter()
            .flat_map(|distance| [-distance, distance])
            .collect();
        let keys: &[Key] = self.keys;
        for offsets in offsets.chunks(BATCH) {
            let heads: Vec<(i64, Head)> = offsets
                .iter()
                .filter_map(|&offset| {
                    let time = near.checked_add_signed(offset)?;
                    Some((offset, Head::of(time.to_string().as_bytes())))
                })
                .collect();
            for key in keys.iter().filter(|key| key.fault.is_none()) {
                let pairs: Vec<Pair<'_>> =
                    heads.iter().map(|(_, head)| Pair { key, head }).collect();
                let Some((at, mut found)) = self.attempt_at(&pairs, None, Pay::ByByte) else {
                    continue;
                };
                let seconds = heads.get(at).map_or(0, |&(offset, _)| offset);
                let altered = TimestampFault::Altered { seconds };
                found.faults.push(Finding::Timestamp(altered));
                return Some(found);
            }
        }
        None
    }

    fn attempt(
        &mut self,
        pairs: &[Pair<'_>],
        suspect: Option<BodyFault>,
        pay: Pay,
    ) -> Option<Found> {
        self.attempt_at(pairs, suspect, pay).map(|(_, found)| found)
    }

    /// Hashes one form of the body under all pairs at once, with each line end after it.
    fn attempt_at(
        &mut self,
        pairs: &[Pair<'_>],
        suspect: Option<BodyFault>,
        pay: Pay,
    ) -> Option<(usize, Found)> {
        let (body, work) = (self.body, &mut self.work);
        let pairs = match pay {
            Pay::Nothing => pairs,
            Pay::ByByte => {
                let rewritten = suspect.map_or(0, |_| REWRITING);
                let paid = work.buy(body.len(), pairs.len() + rewritten);
                pairs.get(..paid.saturating_sub(rewritten)).unwrap_or(pairs)
            }
        };
        if pairs.is_empty() {
            return None;
        }
        let mut hashes: Vec<Hmac<Sha256>> = pairs
            .iter()
            .map(|pair| pair.key.hmac.clone().chain_update(&pair.head.bytes))
            .collect();
        // What unpacks or is laid out anew can be longer than the body, whose length was paid for.
        let mut paid = body.len();
        let mut is_cut = false;
        let mut out = |piece: &[u8]| {
            let more = piece.len().saturating_sub(paid);
            paid = paid.saturating_sub(piece.len());
            is_cut |= !work.take(more, pairs.len());
            if !is_cut {
                for piece in piece.chunks(PIECE) {
                    hashes.iter_mut().for_each(|hash| hash.update(piece));
                }
            }
        };
        let is_written = match suspect {
            Some(suspect) => suspect.undo(body, &mut out),
            None => codings::copy(body, &mut out),
        };
        if !is_written || is_cut {
            return None;
        }
        for ending in ENDINGS {
            let at = hashes.iter().position(|hash| {
                let hash = hash.clone().chain_update(ending);
                self.digests
                    .iter()
                    .any(|sent| hash.clone().verify_slice(sent.digest()).is_ok())
            });
            let Some((at, pair)) = at.and_then(|at| Some((at, *pairs.get(at)?))) else {
                continue;
            };
            let mut found = pair.found();
            found.faults.extend(suspect.map(Finding::Body));
            if !ending.is_empty() {
                found.faults.push(Finding::Body(BodyFault::NewlineLost));
            }
            return Some((at, found));
        }
        None
    }
}

#[derive(Clone, Copy)]
enum Pay {
    Nothing,
    ByByte,
}

/// How many bytes may still be hashed.
pub(super) struct Work {
    left: u64,
    is_short: bool,
}

impl Work {
    pub(super) fn new(bytes: u64) -> Self {
        Self {
            left: bytes,
            is_short: false,
        }
    }

    /// Whether something was left out.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Buys as many hashes of `length` bytes as there is work left for, up to `count`.
    fn buy(&mut self, length: usize, count: usize) -> usize {
        let price = u64::try_from(length)
            .unwrap_or(u64::MAX)
            .saturating_add(OVERHEAD);
        let affordable = usize::try_from(self.left / price).unwrap_or(usize::MAX);
        let bought = count.min(affordable);
        self.is_short |= bought < count;
        self.left -= price.saturating_mul(u64::try_from(bought).unwrap_or(u64::MAX));
        bought
    }

    fn take(&mut self, length: usize, count: usize) -> bool {
        let bytes = u64::try_from(length.saturating_mul(count)).unwrap_or(u64::MAX);
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(0);
        self.is_short |= left.is_none();
        left.is_some()
    }
}

const ENDINGS: [&[u8]; 3] = [b"", b"\n", b"\r\n"];
const NEAREST: i64 = 10;
const NEIGHBOURS: i64 = 600;
const HOURS: i64 = 14;
const BATCH: usize = 64;
const PIECE: usize = 16 << 10;

/// How many hashes the writing of a body in another form costs.
const REWRITING: usize = 6;

/// What a hash costs beside its body: the head, the line ends, and the outer hash of each.
const OVERHEAD: u64 = 512;
