use std::error::Error;

use tower_pyannote::{
    Diarization, Identification, Kind, Status, TypedEvent, Voiceprint, WebhookEvent,
    event::{Delivery, EventOutput},
};

use crate::{event, with_output};

fn wrong<T: EventOutput>(event: WebhookEvent) -> Option<Kind> {
    let wrong = TypedEvent::<T>::try_from(event).unwrap_err();
    assert_eq!(wrong.wanted(), T::KIND);
    wrong.kind()
}

#[test]
fn typed_event_has_its_output_and_its_event() {
    let event = with_output(r#"{"diarization":[{"speaker":"SPEAKER_00","start":0,"end":1.5}]}"#);
    let typed = TypedEvent::<Diarization>::try_from(event.clone()).unwrap();
    assert_eq!(typed.output().diarization.talk_time(), 1.5);
    assert_eq!(typed.clone().webhook_event().job_id(), "a");
    assert_eq!((typed.job_id(), typed.status()), ("a", &Status::Succeeded));
    assert_eq!(typed.into_event().raw(), event.raw());

    let event = with_output(r#"{"voiceprints":[]}"#);
    assert!(
        TypedEvent::<Identification>::try_from(event)
            .unwrap()
            .output()
            .voiceprints
            .is_empty()
    );
    let event = with_output(r#"{"voiceprint":"AAAA"}"#);
    assert_eq!(
        TypedEvent::<Voiceprint>::try_from(event)
            .unwrap()
            .output()
            .voiceprint,
        "AAAA"
    );
}

#[test]
fn the_last_clone_gives_its_output_without_a_copy() {
    let typed = |event: &WebhookEvent| TypedEvent::<Diarization>::try_from(event.clone()).unwrap();
    let event = with_output(r#"{"diarization":[{"speaker":"SPEAKER_00","start":0,"end":1.5}]}"#);
    let turns = typed(&event).output().diarization.as_ptr();

    let copied = typed(&event).into_output();
    assert_ne!(copied.diarization.as_ptr(), turns);

    let last = typed(&event);
    drop(event);
    let moved = last.into_output();
    assert_eq!(moved.diarization.as_ptr(), turns);
    assert_eq!(moved, copied);
}

#[test]
fn is_succeeded_is_failed_and_is_canceled_follow_the_status() {
    for (status, ended) in [
        ("succeeded", [true, false, false]),
        ("failed", [false, true, false]),
        ("canceled", [false, false, true]),
        ("running", [false, false, false]),
    ] {
        let event = event(format!(r#"{{"jobId":"a","status":"{status}"}}"#));
        let is = [event.is_succeeded(), event.is_failed(), event.is_canceled()];
        assert_eq!(is, ended, "{status}");
    }
}

#[test]
fn wrong_kind_has_the_kind_of_the_event() {
    let diarization = with_output(r#"{"diarization":[]}"#);
    assert_eq!(
        wrong::<Voiceprint>(diarization.clone()),
        Some(Kind::Diarization)
    );
    assert_eq!(
        wrong::<Identification>(diarization),
        Some(Kind::Diarization)
    );
    assert_eq!(wrong::<Diarization>(with_output("{}")), Some(Kind::Unknown));
    assert_eq!(
        wrong::<Diarization>(with_output(r#"{"diarization":[5]}"#)),
        Some(Kind::Unknown)
    );
    assert_eq!(wrong::<Diarization>(with_output("null")), None);
}

#[test]
fn every_type_is_send_and_sync() {
    fn send_and_sync<T: Send + Sync + 'static>() {}
    send_and_sync::<TypedEvent<Diarization>>();
    send_and_sync::<TypedEvent<Identification>>();
    send_and_sync::<TypedEvent<Voiceprint>>();
    send_and_sync::<tower_pyannote::event::WrongKind>();
    send_and_sync::<tower_pyannote::event::EventError>();
}

#[test]
fn failed_job_is_of_no_kind() {
    let failed = event(r#"{"jobId":"a","status":"failed","output":{"diarization":[]}}"#);
    assert_eq!(wrong::<Diarization>(failed), None);
}

#[test]
fn wrong_kind_is_an_error_that_names_both_kinds() {
    let wrong =
        TypedEvent::<Diarization>::try_from(with_output(r#"{"voiceprint":""}"#)).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "wanted an event with output diarization, got voiceprint"
    );
    assert!(wrong.source().is_none());
    let wrong = TypedEvent::<Diarization>::try_from(with_output("null")).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "wanted an event with output diarization, got none"
    );
}

#[test]
fn typed_event_shows_nothing_of_the_body() {
    let event = with_output(r#"{"voiceprint":"c2VjcmV0"}"#);
    let shown = format!("{:?}", TypedEvent::<Voiceprint>::try_from(event).unwrap());
    assert!(
        shown.starts_with("TypedEvent(WebhookEvent {") && !shown.contains("c2VjcmV0"),
        "{shown}"
    );
}

#[test]
fn an_event_without_success_has_no_typed_output() {
    for status in ["running", "failed", "canceled", "partial"] {
        let body = format!(r#"{{"jobId":"a","status":"{status}","output":{{"diarization":[]}}}}"#);
        let event = WebhookEvent::new(body.into(), Delivery::at(std::time::UNIX_EPOCH)).unwrap();
        assert_eq!(wrong::<Diarization>(event), None, "{status}");
    }
}
