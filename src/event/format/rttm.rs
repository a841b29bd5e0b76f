use std::fmt::Write;

use super::intervals::span;
use crate::event::Turn;

pub(in crate::event) fn write(turns: &[Turn], uri: &str) -> String {
    let uri = field(uri);
    let mut rttm = String::new();
    for turn in turns {
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

/// Fields are parted by white space and may not be empty.
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
