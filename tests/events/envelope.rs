use std::{
    error::Error,
    time::{Duration, UNIX_EPOCH},
};

use serde::Deserialize;
use tower_pyannote::{
    Kind, Output, Status, WebhookEvent,
    event::{Delivery, EventError, Retry, RetryReason},
};

use crate::{NOW, event, now, try_event, with_output};

#[test]
fn status_only_body_has_no_output() {
    let event = event(r#"{"jobId":"f2eb5946","status":"succeeded"}"#);
    assert_eq!(event.job_id(), "f2eb5946");
    assert_eq!(*event.status(), Status::Succeeded);
    assert_eq!(event.kind(), None);
    assert_eq!(event.output(), None);
    assert_eq!(event.error(), None);
    assert_eq!(event.warning(), None);
    assert_eq!(event.created_at(), None);
    assert_eq!(event.updated_at(), None);
}

#[test]
fn null_output_is_no_output() {
    let event = with_output("null");
    assert_eq!(event.kind(), None);
    assert_eq!(event.output(), None);
}

#[test]
fn failed_job_without_output() {
    let event = event(r#"{"jobId":"a","status":"failed"}"#);
    assert_eq!(*event.status(), Status::Failed);
    assert_eq!(
        (event.kind(), event.output(), event.error()),
        (None, None, None)
    );
}

#[test]
fn failed_job_has_the_error_of_its_output() {
    let event =
        event(r#"{"jobId":"a","status":"failed","output":{"error":"Could not load audio"}}"#);
    assert_eq!(event.kind(), None);
    assert_eq!(event.error(), Some("Could not load audio"));
    let output = event.output().and_then(Output::as_unknown).unwrap();
    assert_eq!(output.json(), r#"{"error":"Could not load audio"}"#);
}

#[test]
fn failed_or_canceled_job_has_no_kind_whatever_its_output() {
    for status in ["failed", "canceled"] {
        let event = event(format!(
            r#"{{"jobId":"a","status":"{status}","output":{{"diarization":[]}}}}"#
        ));
        assert_eq!(event.kind(), None);
        assert_eq!(event.output().map(Output::kind), Some(Kind::Diarization));
    }
}

#[test]
fn error_and_warning_of_the_output_come_before_those_of_the_body() {
    let event = event(
        r#"{"jobId":"a","status":"failed","error":"outer","warning":"outer",
            "output":{"error":"inner \u00e9","warning":null}}"#,
    );
    assert_eq!(event.error(), Some("inner é"));
    assert_eq!(event.warning(), Some("outer"));
}

#[test]
fn error_and_warning_that_are_not_strings_are_none() {
    for value in ["null", "1", "true", "[]", r#"{"message":"x"}"#] {
        let event = event(format!(
            r#"{{"jobId":"a","status":"failed","error":{value},"output":{{"warning":{value}}}}}"#
        ));
        assert_eq!((event.error(), event.warning()), (None, None), "{value}");
    }
}

#[test]
fn unknown_statuses_are_kept_by_name() {
    let statuses = [
        (r#""pending""#, Status::Pending),
        (r#""created""#, Status::Created),
        (r#""running""#, Status::Running),
        (r#""succeeded""#, Status::Succeeded),
        (r#""failed""#, Status::Failed),
        (r#""canceled""#, Status::Canceled),
        (r#""c\u0061nceled""#, Status::Canceled),
        (r#""Succeeded""#, Status::Other("Succeeded".into())),
        (
            r#""timed out \"now\"""#,
            Status::Other("timed out \"now\"".into()),
        ),
        (
            r#""a\ud800""#,
            Status::Other("a\u{fffd}\u{fffd}\u{fffd}".into()),
        ),
        (r#""""#, Status::Other("".into())),
        ("null", Status::Other("".into())),
        ("5", Status::Other("5".into())),
        ("1e999", Status::Other("1e999".into())),
        (
            r#"{"is": ["new"]}"#,
            Status::Other(r#"{"is": ["new"]}"#.into()),
        ),
    ];
    for (json, status) in statuses {
        let event = event(format!(r#"{{"jobId":"a","status":{json}}}"#));
        assert_eq!(*event.status(), status, "{json}");
        assert_eq!(event.status().to_string(), status.as_str());
    }
    assert_eq!(
        *event(r#"{"jobId":"a"}"#).status(),
        Status::Other("".into())
    );
}

#[test]
fn status_that_is_not_a_string_is_cut() {
    let event = event(format!(
        r#"{{"jobId":"a","status":[{}]}}"#,
        "1,".repeat(100) + "1"
    ));
    assert_eq!(event.status().as_str().len(), 64);
}

#[test]
fn job_id_must_be_a_string_that_is_not_empty() {
    let bodies = [
        "{}",
        r#"{"status":"succeeded"}"#,
        r#"{"jobId":null}"#,
        r#"{"jobId":""}"#,
        r#"{"jobId":5}"#,
        r#"{"jobId":true}"#,
        r#"{"jobId":["a"]}"#,
        r#"{"jobId":{"jobId":"a"}}"#,
        r#"{"jobId":"\ud800"}"#,
        r#"{"jobid":"a"}"#,
        r#"{"output":{"jobId":"a"}}"#,
        r#"{"jobId":"a","jobId":null}"#,
    ];
    for body in bodies {
        assert_eq!(
            try_event(body).unwrap_err(),
            EventError::MissingJobId,
            "{body}"
        );
    }
}

#[test]
fn any_other_job_id_is_kept_unchanged() {
    let long = "x".repeat(10_000);
    for job_id in [" ", "../../etc/passwd", "a/b", "\u{0}", "é", long.as_str()] {
        let body = serde_json::json!({"jobId": job_id});
        assert_eq!(event(body.to_string()).job_id(), job_id);
    }
    assert_eq!(event(r#"{"job\u0049d":"\u0061"}"#).job_id(), "a");
}

#[test]
fn valid_json_that_is_not_an_object_is_refused() {
    for body in [
        "null",
        "1",
        "1e999",
        "true",
        r#""jobId""#,
        "[]",
        r#" [{"jobId":"a"}] "#,
    ] {
        assert_eq!(
            try_event(body).unwrap_err(),
            EventError::NotAnObject,
            "{body}"
        );
    }
}

#[test]
fn invalid_json_is_refused() {
    let bodies = [
        "",
        " ",
        "{",
        "}",
        "{]",
        "nul",
        "'a'",
        r#"{"jobId":"a""#,
        r#"{"jobId":"a"}}"#,
        r#"{"jobId":"a"} x"#,
        r#"{"jobId":"a"}{"jobId":"b"}"#,
        r#"{"jobId":"a",}"#,
        r#"{"jobId":"a" "status":"b"}"#,
        r#"{"jobId" "a"}"#,
        r#"{jobId:"a"}"#,
        r#"{"jobId":"a","x":01}"#,
        r#"{"jobId":"a","x":NaN}"#,
        r#"{"jobId":"a","x":1.}"#,
        r#"{"jobId":"a","x":"\x"}"#,
        r#"{"jobId":"a","x":"\u12"}"#,
        r#"{"jobId":"a","output":{"diarization":[1,]}}"#,
        r#"{"jobId":"a","output":{"diarization":[}}"#,
        r#"{"jobId":"a","output":{,}}"#,
        r#"{"jobId":"a","output":{"a":1,}}"#,
        r#"{"jobId":"a","output":}"#,
        r#"{"jobId":"a","output"}"#,
        r#"{"jobId":"a","output":{"#,
        "{\"jobId\":\"a\nb\"}",
        "{\"job\nId\":\"a\"}",
        "{\"jobId\":\"a\",\"a\n\":1}",
        "{\"jobId\":\"a\",\"output\":{\"a\n\":1}}",
        "\u{feff}{\"jobId\":\"a\"}",
        "{\"jobId\":\"a\"}\0",
        "{\u{a0}\"jobId\":\"a\"}",
        "[1",
    ];
    for body in bodies {
        assert_eq!(try_event(body).unwrap_err(), EventError::Syntax, "{body:?}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_everywhere() {
    for body in [
        &b"\xff"[..],
        b"{\"jobId\":\"\xff\"}",
        b"{\"jobId\":\"a\",\"x\":\"\xed\xa0\x80\"}",
    ] {
        assert_eq!(
            try_event(body).unwrap_err(),
            EventError::NotUtf8,
            "{body:?}"
        );
    }
}

#[test]
fn errors_have_a_message_and_one_word() {
    let errors = [
        EventError::NotUtf8,
        EventError::Syntax,
        EventError::NotAnObject,
        EventError::MissingJobId,
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.starts_with("body ") && !text.ends_with('.'), "{text}");
        assert!(error.source().is_none());
        assert!(
            error
                .as_str()
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'_' | b'8'))
        );
    }
}

#[test]
fn white_space_is_allowed_everywhere() {
    let body =
        "\r\n\t { \"jobId\" : \"a\" , \"output\" \n:\t { \"emotion\" : [ ] \r\n } , \"x\" : 1 } \n";
    let output = event(body).output().cloned().unwrap();
    assert_eq!(
        output.as_unknown().unwrap().json(),
        "{ \"emotion\" : [ ] \r\n }"
    );
    let empty = event(r#"{"jobId":"a","output" :  {   }   }"#)
        .output()
        .cloned()
        .unwrap();
    assert_eq!(empty.as_unknown().unwrap().json(), "{   }");
}

#[test]
fn last_of_equal_keys_counts() {
    let event = event(
        r#"{"jobId":"a","status":"failed","output":{"voiceprint":"x"},"jobId":"b",
            "output":{"diarization":[{"speaker":"A"}],"diarization":[]},"status":"succeeded"}"#,
    );
    assert_eq!(event.job_id(), "b");
    assert_eq!(*event.status(), Status::Succeeded);
    assert_eq!(event.kind(), Some(Kind::Diarization));
    assert!(
        event
            .output()
            .unwrap()
            .as_diarization()
            .unwrap()
            .diarization
            .is_empty()
    );
}

#[test]
fn null_output_replaces_an_earlier_output() {
    let event =
        event(r#"{"jobId":"a","status":"succeeded","output":{"diarization":[]},"output":null}"#);
    assert_eq!((event.kind(), event.output()), (None, None));
}

#[test]
fn keys_with_half_a_surrogate_pair_are_unknown_keys() {
    let event = event(
        r#"{"\ud800":1,"jobId":"a","status":"succeeded","\udfff\ud800":{"x":"\ud800"},
            "output":{"\ud800":[],"diarization":[]}}"#,
    );
    assert_eq!(event.output().map(Output::kind), Some(Kind::Diarization));
}

#[test]
fn dates_are_read() {
    let event = event(
        r#"{"jobId":"a","createdAt":"2024-02-20T12:00:00Z","updatedAt":"2024-02-20T13:05:00.250+01:00"}"#,
    );
    assert_eq!(event.created_at().unwrap().as_second(), 1_708_430_400);
    assert_eq!(
        event.updated_at().unwrap().as_millisecond(),
        1_708_430_700_250
    );
}

#[test]
fn unreadable_dates_are_none() {
    for date in [
        "null",
        "5",
        r#""""#,
        r#""yesterday""#,
        r#""2024-02-30T12:00:00Z""#,
        "{}",
    ] {
        let event = event(format!(
            r#"{{"jobId":"a","createdAt":{date},"updatedAt":{date}}}"#
        ));
        assert_eq!(
            (event.created_at(), event.updated_at()),
            (None, None),
            "{date}"
        );
    }
}

#[test]
fn depth_of_100_000_is_accepted_outside_typed_fields() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    for value in [&deep, &objects] {
        assert_eq!(
            event(format!(r#"{{"x":{value},"jobId":"a"}}"#)).job_id(),
            "a"
        );
        let in_status = event(format!(r#"{{"jobId":"a","status":{value}}}"#));
        assert_eq!(in_status.status().as_str(), &value[..64]);
        assert_eq!(
            with_output(value).output().map(Output::kind),
            Some(Kind::Unknown)
        );
        let beside = with_output(&format!(
            r#"{{"new":{value},"diarization":[{{"new":{value}}}]}}"#
        ));
        assert_eq!(beside.output().map(Output::kind), Some(Kind::Diarization));
    }
    let inside = with_output(&format!(r#"{{"diarization":[{deep}]}}"#));
    assert_eq!(inside.output().map(Output::kind), Some(Kind::Unknown));
    assert_eq!(
        try_event("[".repeat(100_000)).unwrap_err(),
        EventError::Syntax
    );
    assert_eq!(try_event(&deep).unwrap_err(), EventError::NotAnObject);
}

#[test]
fn huge_numbers_are_accepted_outside_typed_fields() {
    for number in [
        "1e999",
        "-1e999",
        &"9".repeat(400),
        &format!("0.{}", "1".repeat(400)),
    ] {
        assert_eq!(
            event(format!(r#"{{"jobId":"a","x":{number}}}"#)).job_id(),
            "a"
        );
        assert_eq!(with_output(number).kind(), Some(Kind::Unknown));
        let beside = with_output(&format!(
            r#"{{"x":{number},"diarization":[{{"x":{number}}}]}}"#
        ));
        assert_eq!(beside.output().map(Output::kind), Some(Kind::Diarization));
    }
}

#[test]
fn raw_is_the_received_body() {
    let body = "{\"jobId\" : \"a\",\n\"new\": [1e5]}";
    let event = event(body);
    assert_eq!(event.raw(), body);
    assert_eq!(event.clone().raw().as_ptr(), event.raw().as_ptr());
}

#[test]
fn parse_reads_the_body_as_the_callers_type() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Mine<'a> {
        job_id: &'a str,
        api_version: String,
    }

    let event = event(r#"{"jobId":"a","apiVersion":"2027-01"}"#);
    let mine: Mine = event.parse().unwrap();
    assert_eq!((mine.job_id, mine.api_version.as_str()), ("a", "2027-01"));
    assert!(event.parse::<Vec<u8>>().unwrap_err().is_data());
}

#[test]
fn event_has_the_data_of_its_delivery() {
    let retry = Retry::new(2, Some(RetryReason::HttpTimeout));
    let received_at = now() + Duration::from_millis(250);
    let delivery = Delivery::at(received_at)
        .with_timestamp(NOW - 5)
        .with_retry(Some(retry.clone()));
    let event = WebhookEvent::new(r#"{"jobId":"a"}"#.into(), delivery.clone()).unwrap();
    assert_eq!(event.timestamp(), NOW - 5);
    assert_eq!(event.received_at(), received_at);
    assert_eq!(event.retry(), Some(&retry));
    assert_eq!(event.delivery(), &delivery);
}

#[test]
fn delivery_is_a_first_attempt_signed_when_received_by_default() {
    let delivery = Delivery::at(now() + Duration::from_millis(999));
    assert_eq!((delivery.timestamp, delivery.retry), (NOW, None));
    assert_eq!(
        Delivery::at(UNIX_EPOCH - Duration::from_secs(1)).timestamp,
        0
    );
}

#[test]
fn debug_shows_only_job_and_status_of_the_body() {
    let event = event(r#"{"jobId":"a","status":"succeeded","output":{"voiceprint":"c2VjcmV0"}}"#);
    let shown = format!("{event:?} {:?}", event.output());
    assert_eq!(
        shown,
        "WebhookEvent { job_id: \"a\", status: Succeeded, kind: Some(Voiceprint), bytes: 69, .. } \
         Some(Voiceprint(Voiceprint { voiceprint: [8 bytes], warning: None, error: None }))"
    );
    let unknown = with_output(r#"{"secret":"c2VjcmV0"}"#);
    assert_eq!(
        format!("{:?}", unknown.output()),
        "Some(Unknown(UnknownOutput([21 bytes])))"
    );
}

#[test]
fn event_is_send_and_sync_and_typed_once_for_all_clones() {
    fn send_and_sync<T: Send + Sync + Clone + 'static>(_: &T) {}
    let event = with_output(r#"{"diarization":[{"speaker":"SPEAKER_00","start":0,"end":1}]}"#);
    send_and_sync(&event);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let event = event.clone();
            std::thread::spawn(move || std::ptr::from_ref(event.output().unwrap()).addr())
        })
        .collect();
    let here = std::ptr::from_ref(event.output().unwrap()).addr();
    assert!(
        threads
            .into_iter()
            .all(|thread| thread.join().unwrap() == here)
    );
}
