use std::error::Error;

use tower_pyannote::{
    Diarization, Identification, Kind, TypedEvent, Voiceprint, WebhookEvent,
    event::{Delivery, EventOutput},
};

use crate::{event, with_output};

fn wrong<T: EventOutput>(event: WebhookEvent) -> Option<Kind> {
    let wrong = TypedEvent::<T>::try_from(event).unwrap_err();
    assert_eq!(wrong.wanted(), T::KIND);
    wrong.kind()
}

#[test]
fn typed_event_derefs_to_its_output() {
    let event = with_output(r#"{"diarization":[{"speaker":"SPEAKER_00","start":0,"end":1.5}]}"#);
    let typed = TypedEvent::<Diarization>::try_from(event.clone()).unwrap();
    assert_eq!(typed.diarization.talk_time(), 1.5);
    assert_eq!(typed.clone().event().job_id(), "a");
    assert_eq!(typed.into_event().raw(), event.raw());

    let event = with_output(r#"{"voiceprints":[]}"#);
    assert!(
        TypedEvent::<Identification>::try_from(event)
            .unwrap()
            .voiceprints
            .is_empty()
    );
    let event = with_output(r#"{"voiceprint":"AAAA"}"#);
    assert_eq!(
        TypedEvent::<Voiceprint>::try_from(event)
            .unwrap()
            .voiceprint,
        "AAAA"
    );
}

#[test]
fn wrong_kind_tells_what_the_event_carries() {
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
fn wrong_kind_is_an_error_in_plain_words() {
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
fn an_event_that_has_not_succeeded_is_not_typed_as_if_it_had() {
    for status in ["running", "failed", "canceled", "partial"] {
        let body = format!(r#"{{"jobId":"a","status":"{status}","output":{{"diarization":[]}}}}"#);
        let event = WebhookEvent::new(body.into(), Delivery::at(std::time::UNIX_EPOCH)).unwrap();
        assert_eq!(wrong::<Diarization>(event), None, "{status}");
    }
}
