//! Pictures as SVG, coloured by classes of the style sheet.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};

use super::text::clock;
use crate::{
    api::{CurveWindow, Lane, MeetingWindow, Span},
    page::number::float,
};

/// A bar for each number.
pub(super) fn bars(numbers: &[u64]) -> Markup {
    let most = numbers.iter().copied().max().unwrap_or_default().max(1);
    let label = format!("{} minutes, at most {most} events in one", numbers.len());
    html! {
        svg.bars viewBox=(format!("0 0 {} 32", numbers.len().max(1) * 4)) preserveAspectRatio="none" role="img" aria-label=(label) {
            @for (place, &number) in numbers.iter().enumerate() {
                @let height = (number.saturating_mul(30) / most).max(u64::from(number > 0) * 2);
                rect.none[number == 0] x=(place * 4) y=(32 - height.max(1)) width="3" height=(height.max(1)) {}
            }
        }
    }
}

/// The colour of a speaker.
pub(super) fn swatch(place: usize) -> Markup {
    html! {
        svg.swatch width="12" height="12" viewBox="0 0 12 12" aria-hidden="true" {
            rect class=(colour(place)) width="12" height="12" rx="3" {}
        }
    }
}

/// The whole meeting, small and without words.
pub(super) fn preview(window: &MeetingWindow) -> Markup {
    let scale = Scale::of(window, 600);
    let height = window.lanes.len() * 9 + 2;
    html! {
        svg viewBox=(format!("0 0 600 {height}")) preserveAspectRatio="none" height=(height * 2) aria-hidden="true" {
            @for (place, lane) in window.lanes.iter().enumerate() {
                g class=(colour(place)) {
                    @for span in &lane.spans { (bar(&scale, span, float(place * 9 + 2), 7.0, false)) }
                }
            }
        }
    }
}

/// A part of a meeting: a lane for each speaker, and the curves below.
pub(super) fn timeline(window: &MeetingWindow, width: usize) -> Markup {
    let scale = Scale::of(window, width);
    let lanes_end = AXIS + window.lanes.len() * LANE;
    let height = lanes_end + window.curves.len() * CURVE + 4;
    let label = format!(
        "{} speakers from {} to {} of {}",
        window.lanes.len(),
        clock(window.from),
        clock(window.to),
        clock(window.duration)
    );
    html! {
        svg.timeline viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) role="img" aria-label=(label)
            data-from=(window.from) data-to=(window.to) data-duration=(window.duration) {
            (axis(&scale, height))
            @for (place, lane) in window.lanes.iter().enumerate() {
                (self::lane(&scale, lane, place))
            }
            @for (place, curve) in window.curves.iter().enumerate() {
                @let top = float(lanes_end + place * CURVE);
                g.curve {
                    text.label x="4" y=(top + 12.0) { (curve.name) }
                    path.least d=(area(&scale, curve, top + 16.0, 30.0, true)) {}
                    path d=(area(&scale, curve, top + 16.0, 30.0, false)) {}
                }
            }
        }
    }
}

fn lane(scale: &Scale, lane: &Lane, place: usize) -> Markup {
    let top = float(AXIS + place * LANE);
    html! {
        g class=(format!("lane {}", colour(place))) {
            title { (lane.speaker) }
            rect.track x="0" y=(top + 16.0) width=(scale.width) height="20" {}
            @if let Some(curve) = &lane.curve {
                path.likely d=(area(scale, curve, top + 16.0, 20.0, true)) {}
            }
            @for span in &lane.spans { (bar(scale, span, top + 16.0, 20.0, true)) }
            path.alone d=(alone(scale, lane, top + 34.5)) {}
            text.label x="4" y=(top + 12.0) { (lane.speaker.chars().take(60).collect::<String>()) }
        }
    }
}

fn bar(scale: &Scale, span: &Span, y: f64, height: f64, is_full: bool) -> Markup {
    let (x, w) = scale.extent(span.start, span.end);
    // Four shades of confidence.
    let shade = match span.confidence {
        None | Some(90..) => None,
        Some(75..) => Some("c3"),
        Some(50..) => Some("c2"),
        Some(_) => Some("c1"),
    };
    html! {
        rect class=[shade] x=(x) y=(y) width=(w) height=(height) data-at=[is_full.then(|| short(span.start))]
            data-end=[is_full.then(|| short(span.end))] data-turns=[(is_full && span.turns > 1).then_some(span.turns)] {}
    }
}

/// Lines where a speaker alone is counted, in one path, because a meeting has thousands.
fn alone(scale: &Scale, lane: &Lane, y: f64) -> PreEscaped<String> {
    let mut path = String::new();
    for span in &lane.exclusive {
        let (x, width) = scale.extent(span.start, span.end);
        // Writing to a String cannot fail.
        let _ = write!(path, "M{x} {y}h{width}");
    }
    PreEscaped(path)
}

/// The area between the least and the greatest score of each bucket, or that below the least.
fn area(
    scale: &Scale,
    curve: &CurveWindow,
    top: f64,
    height: f64,
    is_below: bool,
) -> PreEscaped<String> {
    let y = |score: u8| top + height - f64::from(score) / 100.0 * height;
    let mut path = String::new();
    let mut run: Vec<(f64, f64, f64)> = Vec::new();
    let places = curve.buckets.iter().enumerate();
    let end = (curve.buckets.len(), &None);
    for (place, bucket) in places.chain([end]) {
        if let Some((least, greatest)) = *bucket {
            let at = curve.start + (float(place) + 0.5) * curve.bucket;
            let (upper, lower) = match is_below {
                true => (y(least), top + height),
                false => (y(greatest) - 0.5, y(least) + 0.5),
            };
            run.push((scale.x(at), upper, lower));
            continue;
        }
        // A gap in the scores ends the area.
        for (place, (x, upper, _)) in run.iter().enumerate() {
            let command = if place == 0 { 'M' } else { 'L' };
            // Writing to a String cannot fail.
            let _ = write!(path, "{command}{x:.1} {upper:.1}");
        }
        for (x, _, lower) in run.iter().rev() {
            let _ = write!(path, "L{x:.1} {lower:.1}");
        }
        if !run.is_empty() {
            path.push('Z');
        }
        run.clear();
    }
    // Only digits, blanks and letters of commands.
    PreEscaped(path)
}

fn axis(scale: &Scale, height: usize) -> Markup {
    let step = scale.step();
    let first = (scale.from / step).ceil() * step;
    let ticks = (0..40_u32).map(|n| first + f64::from(n) * step);
    let ticks = ticks.take_while(|at| *at <= scale.from + scale.seconds);
    html! {
        g.axis {
            @for at in ticks {
                @let x = scale.x(at);
                line x1=(x) x2=(x) y1="18" y2=(height) {}
                @if x < scale.width - 40.0 {
                    text x=(x + 3.0) y="13" { (tick(at, step)) }
                }
            }
        }
    }
}

fn tick(at: f64, step: f64) -> String {
    match step < 1.0 {
        true => format!(
            "{}.{:.0}",
            clock(at + 0.001),
            ((at + 0.001).fract() * 10.0).floor()
        ),
        false => clock(at + 0.001),
    }
}

/// Places seconds on a picture.
struct Scale {
    from: f64,
    seconds: f64,
    width: f64,
}

impl Scale {
    fn of(window: &MeetingWindow, width: usize) -> Self {
        Self {
            from: window.from,
            seconds: (window.to - window.from).max(0.001),
            width: float(width),
        }
    }

    fn x(&self, second: f64) -> f64 {
        let x = (second - self.from) / self.seconds * self.width;
        (x * 10.0).round() / 10.0
    }

    /// Returns the place and the width of a span within the picture, at least a visible one.
    fn extent(&self, start: f64, end: f64) -> (f64, f64) {
        let left = self.x(start).clamp(0.0, self.width);
        let right = self.x(end).clamp(left, self.width);
        let width = ((right - left).max(1.0) * 10.0).round() / 10.0;
        (left, width)
    }

    /// Returns the seconds between two ticks that are wide enough for their text.
    fn step(&self) -> f64 {
        let wanted = self.seconds / (self.width / 90.0).max(1.0);
        let steps = [
            0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0,
            1_800.0, 3_600.0, 7_200.0, 14_400.0, 21_600.0, 43_200.0,
        ];
        steps
            .into_iter()
            .find(|step| *step >= wanted)
            .unwrap_or(86_400.0)
    }
}

fn short(second: f64) -> String {
    format!("{second:.2}")
}

fn colour(place: usize) -> String {
    format!("s{}", place % 8)
}

const AXIS: usize = 22;
const LANE: usize = 40;
const CURVE: usize = 50;
