use proptest::prelude::*;

use super::{Read, read as read_text};

fn read<T: Read<()>>(json: &str) -> Option<T> {
    read_text(json).ok()
}

/// Asserts that both types of number are read as serde_json reads them.
fn same_number(json: &str) {
    let bits = |number: Option<f64>| number.map(f64::to_bits);
    assert_eq!(
        bits(read(json)),
        bits(serde_json::from_str(json).ok()),
        "{json}"
    );
    let bits = |number: Option<f32>| number.map(f32::to_bits);
    assert_eq!(
        bits(read(json)),
        bits(serde_json::from_str(json).ok()),
        "{json}"
    );
}

#[test]
fn numbers_are_read_as_by_serde_json() {
    let numbers = [
        "0",
        "-0",
        "0.0",
        "-0.0",
        "0.1",
        "34.27",
        "-5.25",
        "100",
        "123456789012345",
        "1234567890123456",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "0.123456789012345",
        "0.1234567890123456",
        "12345678901234.5",
        "1.7976931348623157e308",
        "4.9e-324",
        "1e5",
        "1E5",
        "1e+5",
        "1.5e-5",
        "16777217",
        "3.4028236e38",
        "1e300",
        "1e999",
        "-1e999",
    ];
    numbers.into_iter().for_each(same_number);
    same_number(&"9".repeat(400));
    same_number(&format!("0.{}", "1".repeat(400)));
    same_number(&format!("{}.5", "1".repeat(300)));
}

#[test]
fn long_whole_numbers_are_rounded_like_short_ones() {
    // Without its last digit, which an f64 cannot hold, the number is halfway between two f32.
    for number in ["101893808425271297", "101893808425271297.0"] {
        let expected: f64 = serde_json::from_str(number).unwrap();
        assert_eq!(read::<f32>(number), Some(expected as f32), "{number}");
    }
}

#[test]
fn values_that_are_not_numbers_are_none() {
    for json in [
        r#""1""#,
        "true",
        "false",
        "[]",
        "[1]",
        "{}",
        r#"{"a": 1}"#,
        "null",
    ] {
        assert_eq!(read::<f64>(json), None, "{json}");
    }
}

proptest! {
    #[test]
    fn any_number_is_read_as_by_serde_json(number in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?") {
        same_number(&number);
    }
}
