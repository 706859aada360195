//! Numbers in a body: one that would come back as another number is refused, not rounded.
//!
//! Read as JSON, `12345678901234567890123` is silently the nearest double, and `1e400` is none at all. So the text of a
//! body is looked at again when it has such a number. RFC 8259, section 6, leaves the limits to whoever reads.

use std::ops::Range;

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::process::problem::Problem;

/// Digits that a double keeps: every double is told from all others by 17.
const DIGITS: usize = 17;

/// One step of the way from the whole body to a part of it.
enum Step {
    /// Into an object: where the name of its field stands in the text, quotes and all.
    Field(Range<usize>),
    /// Into an array: how many items are before it.
    Item(usize),
}

/// Refuses a body with a number that is not kept. `read` is what the body was read as, if it could be.
pub(super) fn check(body: &[u8], read: Option<&Value>) -> Result<(), Problem> {
    let is_suspect = match read {
        Some(value) => has_double(value),
        // A number beyond all doubles is well-formed, but no value.
        None => serde_json::from_slice::<IgnoredAny>(body).is_ok(),
    };
    let text = std::str::from_utf8(body).ok().filter(|_| is_suspect);
    match text.and_then(find_unkept) {
        Some(pointer) => {
            let detail =
                "must be a number of at most 17 digits within the range of a double; send another as text";
            Err(Problem::invalid(pointer, detail))
        }
        None => Ok(()),
    }
}

/// Whether some number is kept as a double: a fraction, or too large for 64 bits.
fn has_double(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_double),
        Value::Object(fields) => fields.values().any(has_double),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// The pointer to the first number of a JSON text that would not be kept.
fn find_unkept(json: &str) -> Option<String> {
    let bytes = json.as_bytes();
    let (mut way, mut text, mut at) = (Vec::new(), 0..0, 0);
    while let Some(byte) = bytes.get(at) {
        let mut next = at + 1;
        match byte {
            b'{' => way.push(Step::Field(0..0)),
            b'[' => way.push(Step::Item(0)),
            b'}' | b']' => _ = way.pop(),
            b':' => {
                if let Some(Step::Field(name)) = way.last_mut() {
                    name.clone_from(&text);
                }
            }
            b',' => {
                if let Some(Step::Item(before)) = way.last_mut() {
                    *before += 1;
                }
            }
            b'"' => {
                next = after_text(bytes, at);
                text = at..next;
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                next = at + bytes[at..].iter().take_while(|byte| is_part(byte)).count();
                if !is_kept(&json[at..next]) {
                    return Some(pointer(json, &way));
                }
            }
            // White space, true, false, null.
            _ => (),
        }
        at = next;
    }
    None
}

/// Where the text that begins at `start` is over.
fn after_text(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return bytes.len(),
        }
    }
}

fn is_kept(number: &str) -> bool {
    if number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return true;
    }
    let Ok(double) = number.parse::<f64>() else { return false };
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_matches('0');
    let vanishes = double == 0.0 && !digits.is_empty();
    double.is_finite() && !vanishes && digits.len() <= DIGITS
}

fn pointer(json: &str, way: &[Step]) -> String {
    way.iter().fold(String::new(), |pointer, step| match step {
        Step::Field(name) => {
            let name: String = serde_json::from_str(&json[name.clone()]).unwrap_or_default();
            format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
        }
        Step::Item(before) => format!("{pointer}/{before}"),
    })
}

/// JSON and JSON Schema have one kind of number: `2.0` is the whole number 2. Serde has two.
pub fn make_whole(value: &mut Value) {
    /// Up to here a float tells all whole numbers apart.
    const MOST: f64 = 9_007_199_254_740_991.0;
    match value {
        Value::Number(number) => {
            let float = number
                .as_f64()
                .filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() <= MOST);
            if let Some(whole) = float.and_then(|float| format!("{float:.0}").parse::<i64>().ok()) {
                *number = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(fields) => fields.values_mut().for_each(make_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_that_a_double_keeps_is_taken() {
        for kept in [
            "0",
            "-0",
            "0.0",
            "0e999",
            "1.25",
            "1.0",
            "100e-2",
            "-1E+2",
            "5e-324",
            "1.7976931348623157e308",
            "0.1",
            "0.10000000000000001",
            "0.100000000000000000000000",
            "9007199254740993",
            "-9223372036854775808",
            "18446744073709551615",
            "18446744073709552000",
            "1e300",
        ] {
            assert!(is_kept(kept), "{kept}");
        }
    }

    #[test]
    fn a_number_that_would_be_another_is_pointed_at() {
        let long = format!("1{}", "0".repeat(400));
        for lost in [
            "12345678901234567890123",
            "18446744073709551617",
            "-9223372036854775809",
            "0.123456789012345678901",
            "1e400",
            "-1e400",
            "1e-400",
            &long,
        ] {
            for (body, at) in [
                (format!("{{\"a\": {lost}}}"), "/a"),
                (format!("{{\"b\": [1.5, \"{lost}\", {{\"x\\\"/~\": {lost}}}]}}"), "/b/2/x\"~1~0"),
                (format!("{{\"a\": {{\"b\": [[], 2.5]}}, \"c\": [true, {lost}]}}"), "/c/1"),
                (format!("{{\"\\\\\": 1.5, \"é\": {lost}}}"), "/é"),
            ] {
                let read = serde_json::from_str::<Value>(&body).ok();
                let problem = check(body.as_bytes(), read.as_ref()).expect_err(&body);
                assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (422, at), "{body}");
            }
        }
    }

    #[test]
    fn what_is_no_json_is_no_number_that_is_lost() {
        for broken in ["{\"a\": 1e400", "[1e400,,]", "\"\\", "1e400 1", "{\"a\": 1.5.5}"] {
            assert!(check(broken.as_bytes(), None).is_ok(), "{broken}");
        }
    }

    proptest! {
        /// Whoever prints doubles, by the shortest digits or by 17, is understood, and hears the same.
        #[test]
        fn every_double_comes_back_equal(bits in any::<u64>()) {
            let double = f64::from_bits(bits);
            prop_assume!(double.is_finite());
            for printed in [serde_json::to_string(&double).expect("finite"), format!("{double:.16e}"), format!("{double}")] {
                prop_assert!(is_kept(&printed), "{}", printed);
                let read: Value = serde_json::from_str(&printed).expect("a number");
                prop_assert_eq!(read.as_f64(), Some(double), "{}", printed);
            }
        }

        /// Of up to 15 digits each is kept, and whole numbers of 64 bits.
        #[test]
        fn every_number_of_fifteen_digits_comes_back_digit_by_digit(digits in 1_u64..1_000_000_000_000_000, point in 0_i32..30) {
            let number = format!("{digits}e-{point}");
            prop_assert!(is_kept(&number));
            let read: f64 = serde_json::from_str(&number).expect("a number");
            let again = format!("{read:.14e}");
            let (mantissa, _) = again.split_once('e').expect("an exponent");
            let plain = |text: &str| text.replace('.', "").trim_end_matches('0').to_owned();
            prop_assert_eq!(plain(mantissa), plain(&digits.to_string()));
        }

        #[test]
        fn every_whole_number_of_64_bits_is_kept(number: u64, negative: i64) {
            prop_assert!(is_kept(&number.to_string()) && is_kept(&negative.to_string()));
        }

        #[test]
        fn no_text_is_too_strange(json in "[\\[\\]{}\",:\\\\0-9.eE+\\-a ]{0,40}") {
            find_unkept(&json);
        }
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_nothing() {
        for (given, read_as) in
            [("2.0", "2"), ("-3e2", "-300"), ("-0.0", "0"), ("1.5", "1.5"), ("1e300", "1e300")]
        {
            let mut value = serde_json::from_str(given).expect("JSON");
            make_whole(&mut value);
            assert_eq!(value, serde_json::from_str::<Value>(read_as).expect("JSON"), "{given}");
        }
    }
}
