use std::fmt::Write;

use super::intervals::span;
use crate::event::Turns;

impl Turns {
    /// Writes these turns as RTTM, the format of diarization benchmarks, one line each.
    ///
    /// The turns decide about overlap: the fields `diarization` of an output and [`Identification::turns`] may overlap,
    /// `exclusive_diarization` and [`Identification::exclusive_turns`] do not.
    ///
    /// [`Identification::turns`]: crate::Identification::turns
    /// [`Identification::exclusive_turns`]: crate::Identification::exclusive_turns
    ///
    /// `uri` names the recording. White space in it and in labels becomes `_`, an empty name `<NA>`. Turns without usable
    /// times (missing, negative, not in order, beyond 100 hours) are left out.
    #[must_use]
    pub fn to_rttm(&self, uri: &str) -> String {
        let uri = field(uri);
        let mut rttm = String::new();
        for turn in self {
            let Some((start, end)) = span(turn.start, turn.end) else {
                continue;
            };
            let (start, length) = (start.as_secs_f64(), (end - start).as_secs_f64());
            let speaker = field(&turn.speaker);
            // Writing to a String cannot fail.
            let _ = writeln!(
                rttm,
                "SPEAKER {uri} 1 {start:.3} {length:.3} <NA> <NA> {speaker} <NA> <NA>"
            );
        }
        rttm
    }
}

/// Makes a field: white space separates fields, and no field may be empty.
fn field(value: &str) -> String {
    if value.is_empty() {
        return "<NA>".to_owned();
    }
    let joined = |c: char| {
        if c.is_whitespace() || c.is_control() {
            '_'
        } else {
            c
        }
    };
    value.chars().map(joined).collect()
}
