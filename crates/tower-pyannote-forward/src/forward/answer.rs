use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};

use super::error::Problem;

/// Judges an answer by its status.
pub(super) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    permanent: &[StatusCode],
    now: SystemTime,
) -> Result<(), Problem> {
    if status.is_success() {
        return Ok(());
    }
    Err(Problem::Refused {
        status,
        is_permanent: permanent.contains(&status),
        retry_after: retry_after(headers, now),
    })
}

/// Reads `Retry-After`: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        // 1994-11-06T08:49:07Z.
        let now = UNIX_EPOCH + Duration::from_secs(784_111_747);
        let cases = [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
            ("99999999999999999999", None),
        ];
        for (value, expected) in cases {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            let read = retry_after(&headers, now).map(|delay| delay.as_secs());
            assert_eq!(read, expected, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
