//! Formats that turns and transcripts are written in, and arithmetic over their times.

pub(super) mod captions;
pub(super) mod intervals;
pub(super) mod rttm;
