//! Conversions of numbers that may lose precision where only a picture depends on them.

/// Returns the number as a coordinate or a share.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a picture is approximate"
)]
pub(crate) const fn float(number: usize) -> f64 {
    number as f64
}

/// Returns the whole part; 0 for a negative number and for NaN.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates"
)]
pub(crate) const fn whole(number: f64) -> usize {
    number as usize
}

/// Returns a score of 0 to 100 as a byte. `None` for NaN.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is between 0 and 100"
)]
pub(crate) fn score(number: f32) -> Option<u8> {
    (!number.is_nan()).then(|| number.clamp(0.0, 100.0).round() as u8)
}
