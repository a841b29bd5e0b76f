//! Times, sizes and numbers as a reader wants them.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use maud::{Markup, html};

use crate::page::number::whole;

/// A time, as its distance from now, with the exact time as its title.
pub(super) fn ago(time: SystemTime, now: SystemTime) -> Markup {
    let exact = exact(time);
    let text = match now.duration_since(time) {
        Ok(age) => format!("{} ago", span(age)),
        Err(ahead) => format!("in {}", span(ahead.duration())),
    };
    html! { time datetime=(exact) title=(exact) { (text) } }
}

pub(super) fn exact(time: SystemTime) -> String {
    let time = Timestamp::try_from(time);
    time.map_or_else(
        |_| "-".to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

/// A duration in its largest unit.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A size in its largest unit.
pub(super) fn size(bytes: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = bytes.saturating_mul(10) / unit;
        match tenths {
            0..100 => format!("{}.{}", tenths / 10, tenths % 10),
            _ => (tenths / 10).to_string(),
        }
    };
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", tenths(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", tenths(1_000_000)),
        _ => format!("{} GB", tenths(1_000_000_000)),
    }
}

/// A number with a thin space between each three digits.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Seconds of a recording as hours, minutes and seconds.
pub(super) fn clock(seconds: f64) -> String {
    let all = whole(seconds);
    let (hours, minutes, seconds) = (all / 3_600, all / 60 % 60, all % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_exact_where_it_matters() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_049), "1.0 kB");
        assert_eq!(size(384_819), "384 kB");
        assert_eq!(size(13_400_000), "13 MB");
        assert_eq!(size(u64::MAX), "1844674407 GB");
        assert_eq!(number(100_000), "100\u{202f}000");
        assert_eq!(number(12), "12");
        assert_eq!(clock(3_725.9), "1:02:05");
        assert_eq!(clock(-1.0), "0:00");
        assert_eq!(span(Duration::from_secs(119)), "119 s");
        assert_eq!(span(Duration::from_secs(7_199)), "119 min");
    }
}
