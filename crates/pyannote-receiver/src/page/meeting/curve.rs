use crate::{
    api::CurveWindow,
    page::number::{float, score, whole},
};

/// A curve of scores, one byte a score. A day's curve has 4.3 million.
#[derive(Debug)]
pub(super) struct Curve {
    name: &'static str,
    /// 0 to 100, or [`NONE`].
    samples: Vec<u8>,
    resolution: f64,
}

impl Curve {
    /// Returns `None` for a curve without scores or without a usable resolution.
    pub(super) fn new(name: &'static str, scores: &[f32], resolution: f64) -> Option<Self> {
        let is_usable = resolution.is_finite() && resolution >= SHORTEST && !scores.is_empty();
        let samples = scores.iter().map(|&it| score(it).unwrap_or(NONE));
        is_usable.then(|| Self {
            name,
            samples: samples.collect(),
            resolution,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    pub(super) fn duration(&self) -> f64 {
        float(self.samples.len()) * self.resolution
    }

    /// Reduces a part of the curve to at most `buckets` buckets, each with its least and its greatest score.
    pub(super) fn window(&self, from: f64, to: f64, buckets: usize) -> CurveWindow {
        let last = self.samples.len();
        let first = whole(from / self.resolution).min(last);
        let end = whole((to / self.resolution).ceil()).clamp(first, last);
        let samples = self.samples.get(first..end).unwrap_or_default();
        let size = samples.len().div_ceil(buckets.max(1)).max(1);
        CurveWindow {
            name: self.name.to_owned(),
            start: float(first) * self.resolution,
            bucket: float(size) * self.resolution,
            buckets: samples.chunks(size).map(extremes).collect(),
        }
    }
}

/// Returns the least and the greatest score. Both are branchless, because a day's curve is read for each picture.
fn extremes(samples: &[u8]) -> Option<(u8, u8)> {
    let least = samples.iter().copied().min()?;
    let greatest = samples.iter().map(|&it| if it == NONE { 0 } else { it });
    (least != NONE).then(|| (least, greatest.max().unwrap_or(least)))
}

/// Stands for a score that was not sent. It is greater than every score.
const NONE: u8 = u8::MAX;

/// The least resolution, in seconds.
const SHORTEST: f64 = 0.0001;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_its_least_and_its_greatest_score() {
        let scores = [
            1.0,
            2.6,
            f32::NAN,
            f32::NAN,
            f32::NAN,
            f32::NAN,
            100.0,
            -5.0,
            1e9,
        ];
        let curve = Curve::new("speech", &scores, 0.5).unwrap();
        let all = curve.window(0.0, 4.5, 3);
        assert_eq!(all.buckets, [Some((1, 3)), None, Some((0, 100))]);
        assert_eq!((all.start, all.bucket), (0.0, 1.5));
        let part = curve.window(0.6, 1.2, 100);
        assert_eq!((part.start, part.bucket), (0.5, 0.5));
        assert_eq!(part.buckets, [Some((3, 3)), None]);
    }

    #[test]
    fn a_day_is_reduced_to_as_many_buckets_as_asked_for() {
        let scores: Vec<f32> = (0_u8..100).cycle().take(4_320_000).map(f32::from).collect();
        let curve = Curve::new("speech", &scores, 0.02).unwrap();
        for buckets in [1, 7, 1_000] {
            let window = curve.window(0.0, 86_400.0, buckets);
            assert_eq!(window.buckets.len(), buckets);
            assert!(window.buckets.iter().all(|it| *it == Some((0, 99))));
        }
    }

    #[test]
    fn no_window_and_no_curve_panics() {
        let curve = Curve::new("speech", &[5.0; 10], 0.1).unwrap();
        for (from, to) in [
            (f64::NAN, f64::NAN),
            (5.0, 1.0),
            (-1.0, f64::INFINITY),
            (1e300, 1e301),
        ] {
            let _ = curve.window(from, to, 0);
        }
        for resolution in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300] {
            assert!(Curve::new("speech", &[5.0], resolution).is_none());
        }
        assert!(Curve::new("speech", &[], 0.1).is_none());
    }
}
