use tower_pyannote::{Kind, Output, event::Label};

use crate::{diarization, identification, voiceprint, with_output};

#[test]
fn every_field_of_a_diarization_is_typed() {
    let output = diarization(
        r#"{"diarization":[{"speaker":"SPEAKER_00","start":34.27,"end":44.39,
                "confidence":{"SPEAKER_00":84,"SPEAKER_01":7.5}}],
            "exclusiveDiarization":[{"speaker":"SPEAKER_01","start":1,"end":2}],
            "wordLevelTranscription":[{"start":34.27,"end":34.659,"text":"need","speaker":"SPEAKER_00"}],
            "turnLevelTranscription":[{"start":34.27,"end":44.39,"text":"need smaller","speaker":"SPEAKER_00"}],
            "confidence":{"score":[97,84.5],"resolution":0.02},
            "speechProbability":{"score":[5.25],"resolution":0.02},
            "crosstalkProbability":{"score":[1.5],"resolution":0.02},
            "speakerProbability":{"score":{"SPEAKER_00":[5,6],"SPEAKER_01":[7]},"resolution":0.02},
            "warning":"w","error":"e"}"#,
    );
    let turn = &output.diarization[0];
    assert_eq!(
        (turn.speaker.as_str(), turn.start, turn.end),
        ("SPEAKER_00", 34.27, 44.39)
    );
    assert_eq!(turn.confidence.get("SPEAKER_01"), Some(&7.5));
    assert_eq!(
        turn.confidence.max(),
        Some((&Label::from("SPEAKER_00"), 84.0))
    );
    assert_eq!(output.exclusive_diarization[0].speaker, "SPEAKER_01");
    assert!(output.exclusive_diarization[0].confidence.is_empty());
    assert_eq!(output.word_level_transcription[0].text, "need");
    assert_eq!(output.word_level_transcription[0].end, 34.659);
    assert_eq!(output.turn_level_transcription[0].text, "need smaller");
    assert_eq!(output.confidence.unwrap().score, [97.0, 84.5]);
    assert_eq!(output.speech_probability.unwrap().score, [5.25]);
    assert_eq!(output.crosstalk_probability.unwrap().resolution, 0.02);
    let speakers = output.speaker_probability.unwrap();
    assert_eq!(speakers.curve("SPEAKER_00"), Some(&[5.0, 6.0][..]));
    assert_eq!(speakers.curve("SPEAKER_02"), None);
    assert_eq!(
        (output.warning.as_deref(), output.error.as_deref()),
        (Some("w"), Some("e"))
    );
}

#[test]
fn every_field_of_an_identification_is_typed() {
    let output = identification(
        r#"{"diarization":[{"speaker":"SPEAKER_00","start":0.4,"end":7.04}],
            "exclusiveDiarization":[{"speaker":"SPEAKER_00","start":0.4,"end":6.5}],
            "identification":[{"speaker":"Ann","start":0.4,"end":7.04,"confidence":{"Ann":91},
                "diarizationSpeaker":"SPEAKER_00","match":"Ann"}],
            "voiceprints":[{"speaker":"SPEAKER_00","match":"Ann","confidence":{"Ann":91,"Bob":3}}],
            "confidence":{"score":[1],"resolution":0.02},
            "speechProbability":{"score":[2],"resolution":0.02},
            "crosstalkProbability":{"score":[3],"resolution":0.02},
            "speakerProbability":{"score":{"SPEAKER_00":[4]},"resolution":0.02},
            "warning":"w","error":"e"}"#,
    );
    assert_eq!(output.diarization[0].end, 7.04);
    assert_eq!(output.exclusive_diarization[0].end, 6.5);
    let turn = &output.identification[0];
    assert_eq!(turn.speaker.as_deref(), Some("Ann"));
    assert_eq!((turn.start, turn.end), (Some(0.4), Some(7.04)));
    assert_eq!(turn.diarization_speaker, "SPEAKER_00");
    assert_eq!(turn.matched.as_deref(), Some("Ann"));
    assert_eq!(turn.confidence.get("Ann"), Some(&91.0));
    assert_eq!(output.voiceprints[0].matched.as_deref(), Some("Ann"));
    assert_eq!(output.voiceprints[0].confidence.len(), 2);
    assert_eq!(output.confidence.unwrap().score, [1.0]);
    assert_eq!(output.speech_probability.unwrap().score, [2.0]);
    assert_eq!(output.crosstalk_probability.unwrap().score, [3.0]);
    assert_eq!(
        output.speaker_probability.unwrap().at("SPEAKER_00", 0.0),
        Some(4.0)
    );
    assert_eq!(
        (output.warning.as_deref(), output.error.as_deref()),
        (Some("w"), Some("e"))
    );
}

#[test]
fn voiceprint_is_typed() {
    let text = "A".repeat(20_000);
    let output = voiceprint(&format!(
        r#"{{"voiceprint":"{text}","warning":"w","error":null}}"#
    ));
    assert_eq!(output.voiceprint, *text);
    assert_eq!(output.warning.as_deref(), Some("w"));
    assert_eq!(output.error, None);
}

#[test]
fn kind_follows_from_the_keys() {
    let kinds = [
        (r#"{"diarization":[]}"#, Kind::Diarization),
        (r#"{"diarization":null}"#, Kind::Diarization),
        (
            r#"{"diarization":[],"identification":null}"#,
            Kind::Diarization,
        ),
        (
            r#"{"diarization":[],"identification":[]}"#,
            Kind::Identification,
        ),
        (r#"{"identification":[]}"#, Kind::Identification),
        (r#"{"voiceprints":[]}"#, Kind::Identification),
        (
            r#"{"voiceprints":[],"identification":null,"diarization":null}"#,
            Kind::Identification,
        ),
        (r#"{"voiceprint":"A"}"#, Kind::Voiceprint),
        (
            r#"{"voiceprint":"","diarization":[],"identification":[]}"#,
            Kind::Voiceprint,
        ),
        (r#"{"voiceprint":null,"diarization":[]}"#, Kind::Diarization),
        (r#"{"d\u0069arization":[]}"#, Kind::Diarization),
    ];
    for (output, kind) in kinds {
        let event = with_output(output);
        assert_eq!(event.kind(), Some(kind), "{output}");
        assert_eq!(event.output().map(Output::kind), Some(kind), "{output}");
    }
}

#[test]
fn output_without_a_known_key_is_unknown_and_kept_whole() {
    let outputs = [
        "{}",
        "[]",
        "5",
        "true",
        r#""diarization""#,
        r#"[{"diarization":[]}]"#,
        r#"{"emotion":[{"start":0}]}"#,
        r#"{"voiceprint":null}"#,
        r#"{"identification":null}"#,
        r#"{"diarisation":[]}"#,
        r#"{"error":"x"}"#,
        r#""\ud800""#,
        "1e999",
    ];
    for output in outputs {
        let event = with_output(output);
        assert_eq!(event.kind(), Some(Kind::Unknown), "{output}");
        assert_eq!(event.output().unwrap().as_unknown().unwrap().json(), output);
    }
}

#[test]
fn output_is_unknown_if_the_value_of_a_deciding_key_has_another_shape() {
    let outputs = [
        r#"{"diarization":"x"}"#,
        r#"{"diarization":{}}"#,
        r#"{"diarization":5}"#,
        r#"{"diarization":false}"#,
        r#"{"voiceprint":[]}"#,
        r#"{"voiceprint":{"data":"A"},"diarization":[]}"#,
        r#"{"identification":{},"diarization":[]}"#,
        r#"{"identification":"x"}"#,
        r#"{"voiceprints":true,"identification":[]}"#,
    ];
    for output in outputs {
        let event = with_output(output);
        assert_eq!(event.kind(), Some(Kind::Unknown), "{output}");
        assert_eq!(event.output().unwrap().as_unknown().unwrap().json(), output);
    }
}

#[test]
fn output_with_an_unexpected_shape_inside_is_unknown_and_kept_whole() {
    let outputs = [
        r#"{"diarization":[5]}"#,
        r#"{"diarization":[[]]}"#,
        r#"{"diarization":["SPEAKER_00"]}"#,
        r#"{"diarization":[{"speaker":5}]}"#,
        r#"{"diarization":[{"start":"0:01"}]}"#,
        r#"{"diarization":[{"start":1e999}]}"#,
        r#"{"diarization":[{"confidence":5}]}"#,
        r#"{"diarization":[{"confidence":{"A":"high"}}]}"#,
        r#"{"diarization":[],"exclusiveDiarization":{}}"#,
        r#"{"diarization":[],"wordLevelTranscription":"words"}"#,
        r#"{"diarization":[],"turnLevelTranscription":[{"text":5}]}"#,
        r#"{"diarization":[],"confidence":[1,2]}"#,
        r#"{"diarization":[],"confidence":{"score":{}}}"#,
        r#"{"diarization":[],"confidence":{"score":["1"]}}"#,
        r#"{"diarization":[],"speechProbability":7}"#,
        r#"{"diarization":[],"crosstalkProbability":"x"}"#,
        r#"{"diarization":[],"speakerProbability":{"score":[1]}}"#,
        r#"{"diarization":[],"speakerProbability":{"score":{"A":5}}}"#,
        r#"{"diarization":[],"warning":{"code":1}}"#,
        r#"{"diarization":[],"error":["x"]}"#,
        r#"{"identification":[5]}"#,
        r#"{"identification":[{"match":{}}]}"#,
        r#"{"identification":[{"diarizationSpeaker":0}]}"#,
        r#"{"voiceprints":[{"confidence":[]}]}"#,
        r#"{"voiceprint":"A","warning":5}"#,
    ];
    for output in outputs {
        let event = with_output(output);
        assert_ne!(event.kind(), Some(Kind::Unknown), "{output}");
        assert_eq!(event.output().unwrap().as_unknown().unwrap().json(), output);
    }
}

#[test]
fn any_field_of_a_diarization_may_be_null() {
    let output = diarization(
        r#"{"diarization":[null,{"speaker":null,"start":null,"end":null,"confidence":null},
                {"speaker":"A","start":1,"end":2,"confidence":{"A":null,"B":3}}],
            "exclusiveDiarization":null,"wordLevelTranscription":[{"start":null,"end":null,"text":null,"speaker":null},null],
            "turnLevelTranscription":null,"confidence":{"score":[1,null,3],"resolution":null},
            "speechProbability":{"score":null,"resolution":0.02},"crosstalkProbability":null,
            "speakerProbability":{"score":{"A":null,"B":[null]},"resolution":0.02},"warning":null,"error":null}"#,
    );
    assert_eq!(output.diarization.len(), 2);
    let empty = &output.diarization[0];
    assert!(empty.speaker.is_empty() && empty.start.is_nan() && empty.end.is_nan());
    assert!(empty.confidence.is_empty());
    let confidence = &output.diarization[1].confidence;
    assert_eq!((confidence.len(), confidence.get("B")), (1, Some(&3.0)));
    assert!(output.exclusive_diarization.is_empty());
    assert_eq!(output.word_level_transcription.len(), 1);
    assert!(output.word_level_transcription[0].text.is_empty());
    let curve = output.confidence.unwrap();
    assert_eq!(curve.score.len(), 3);
    assert!(curve.score[1].is_nan() && curve.resolution.is_nan());
    assert_eq!((curve.at(0.0), curve.duration()), (None, 0.0));
    assert!(output.speech_probability.unwrap().score.is_empty());
    assert_eq!(output.crosstalk_probability, None);
    let speakers = output.speaker_probability.unwrap();
    assert_eq!(speakers.curve("A"), None);
    assert!(speakers.curve("B").unwrap()[0].is_nan());
    assert_eq!((output.warning, output.error), (None, None));
}

#[test]
fn any_field_of_an_identification_may_be_null_or_absent() {
    let output = identification(
        r#"{"diarization":null,"identification":[null,{},{"speaker":null,"start":null,"end":null,
                "confidence":null,"diarizationSpeaker":null,"match":null}],
            "voiceprints":[{},{"speaker":null,"match":null,"confidence":null},null],
            "confidence":null,"speakerProbability":{"score":null,"resolution":null}}"#,
    );
    assert_eq!(output.identification.len(), 2);
    for turn in &output.identification {
        assert_eq!(*turn, Default::default());
    }
    assert_eq!(output.voiceprints, [Default::default(), Default::default()]);
    assert!(output.speaker_probability.unwrap().score.is_empty());
}

#[test]
fn null_is_the_same_as_an_absent_value_for_deciding_keys() {
    assert!(
        diarization(r#"{"diarization":null}"#)
            .diarization
            .is_empty()
    );
    let output = identification(r#"{"voiceprints":[],"identification":null}"#);
    assert!(output.identification.is_empty() && output.turns().is_empty());
}

#[test]
fn unknown_fields_are_ignored_at_every_depth() {
    let output = diarization(
        r#"{"new":{"a":[1]},"diarization":[{"new":null,"speaker":"A","start":0,"end":1,"channel":{"n":[]}}],
            "confidence":{"new":1e999,"score":[1],"unit":"percent"},
            "wordLevelTranscription":[{"text":"a","prob":[0.5]}]}"#,
    );
    assert_eq!(output.diarization[0].speaker, "A");
    assert_eq!(output.confidence.unwrap().score, [1.0]);
    assert_eq!(output.word_level_transcription[0].text, "a");
}

#[test]
fn last_of_equal_keys_counts_at_every_depth() {
    let output = diarization(
        r#"{"diarization":[{"speaker":"A","speaker":"B","start":1,"start":null,"end":5,
            "confidence":{"A":1,"B":2,"A":3}}],"warning":"a","warning":null}"#,
    );
    let turn = &output.diarization[0];
    assert_eq!(turn.speaker, "B");
    assert!(turn.start.is_nan());
    assert_eq!(
        turn.confidence
            .iter()
            .map(|(label, score)| (label.as_str(), *score))
            .collect::<Vec<_>>(),
        [("A", 3.0), ("B", 2.0)]
    );
    assert_eq!(output.warning, None);
}

#[test]
fn half_surrogate_pairs_in_text_are_replaced() {
    let event = with_output(
        r#"{"diarization":[{"speaker":"\ud800"}],"wordLevelTranscription":[{"text":"a\udfffb"}],"warning":"\ud800"}"#,
    );
    let output = event.output().unwrap().as_diarization().unwrap();
    assert!(output.diarization[0].speaker.starts_with('\u{fffd}'));
    assert!(output.word_level_transcription[0].text.contains('\u{fffd}'));
    assert!(event.warning().unwrap().contains('\u{fffd}'));
}

#[test]
fn outputs_serialize_as_pyannote_writes_them() {
    let json = concat!(
        r#"{"diarization":[{"speaker":"SPEAKER_00","start":0.4,"end":7.04}],"#,
        r#""identification":[{"speaker":"Ann","start":0.4,"end":7.04,"confidence":{"Ann":91.0},"#,
        r#""diarizationSpeaker":"SPEAKER_00","match":"Ann"},{"diarizationSpeaker":"","match":null}],"#,
        r#""voiceprints":[{"speaker":"SPEAKER_00","match":null,"confidence":{"Ann":9.5}}],"#,
        r#""speechProbability":{"score":[1.0,null],"resolution":0.02},"warning":"w"}"#
    );
    assert_eq!(serde_json::to_string(&identification(json)).unwrap(), json);
    let json = r#"{"diarization":[],"turnLevelTranscription":[{"start":1.0,"end":2.0,"text":"a","speaker":"B"}]}"#;
    assert_eq!(serde_json::to_string(&diarization(json)).unwrap(), json);
    let json = r#"{"voiceprint":"AAAA"}"#;
    assert_eq!(serde_json::to_string(&voiceprint(json)).unwrap(), json);
}
