//! Formats of turns and transcripts, and arithmetic over their times.

mod captions;
mod intervals;
mod rttm;

pub(super) use self::intervals::by_speaker;
