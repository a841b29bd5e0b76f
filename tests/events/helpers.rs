use tower_pyannote::{
    Identification,
    event::{LabelMap, ScoreCurve, Segment, SpeakerCurves, Transcript, Turn, Turns},
};

use crate::identification;

fn turns<const N: usize>(turns: [(&str, f64, f64); N]) -> Turns {
    turns
        .into_iter()
        .map(|(speaker, start, end)| Turn::new(speaker, start, end))
        .collect()
}

fn transcript<const N: usize>(segments: [(&str, f64, f64, &str); N]) -> Transcript {
    let segment = |(speaker, start, end, text)| Segment::new(speaker, start, end, text);
    segments.map(segment).to_vec().into()
}

#[test]
fn no_turns_have_no_time() {
    let none = Turns::default();
    assert!(none.speakers().is_empty() && none.talk_times().is_empty());
    assert_eq!(
        (
            none.duration(),
            none.talk_time(),
            none.speech_time(),
            none.overlap()
        ),
        (0.0, 0.0, 0.0, 0.0)
    );
    assert_eq!(none.talk_time_of("SPEAKER_00"), 0.0);
    assert_eq!(
        format!("{} {}", none.talk_time(), none.speech_time()),
        "0 0"
    );
    assert_eq!(none.to_rttm("a"), "");
    assert_eq!(none.between(0.0..9.0).count(), 0);
}

#[test]
fn overlapping_turns_of_one_speaker_count_once() {
    let turns = turns([
        ("A", 0.0, 10.0),
        ("A", 5.0, 12.0),
        ("A", 12.0, 13.0),
        ("A", 20.0, 21.0),
    ]);
    assert_eq!(turns.talk_time_of("A"), 14.0);
    assert_eq!(
        (turns.talk_time(), turns.speech_time(), turns.overlap()),
        (14.0, 14.0, 0.0)
    );
    assert_eq!(turns.duration(), 21.0);
}

#[test]
fn seconds_of_two_speakers_count_twice_in_talk_time_and_once_in_speech_time_and_overlap() {
    let turns = turns([
        ("A", 0.0, 10.0),
        ("B", 4.0, 6.0),
        ("C", 5.0, 7.0),
        ("B", 20.0, 22.0),
    ]);
    assert_eq!(turns.talk_time(), 16.0);
    assert_eq!(turns.speech_time(), 12.0);
    assert_eq!(turns.overlap(), 3.0);
    let times: Vec<_> = turns.talk_times().into_iter().collect();
    assert_eq!(
        times,
        [("A".into(), 10.0), ("B".into(), 4.0), ("C".into(), 2.0)]
    );
}

#[test]
fn turns_that_only_meet_do_not_overlap() {
    let turns = turns([("B", 5.0, 10.0), ("A", 0.0, 5.0)]);
    assert_eq!((turns.overlap(), turns.speech_time()), (0.0, 10.0));
}

#[test]
fn speakers_are_in_the_order_in_which_they_are_heard() {
    let turns = turns([
        ("C", f64::NAN, 1.0),
        ("B", 5.0, 6.0),
        ("A", 1.0, 2.0),
        ("B", 0.5, 0.6),
    ]);
    assert_eq!(turns.speakers(), ["B", "A", "C"]);
    assert_eq!(
        turns.talk_times().keys().collect::<Vec<_>>(),
        ["B", "A", "C"]
    );
}

#[test]
fn unusable_times_are_left_out_of_all_sums() {
    let turns = turns([
        ("A", f64::NAN, 5.0),
        ("A", 5.0, f64::NAN),
        ("A", 9.0, 8.0),
        ("A", 9.0, 9.0),
        ("A", f64::NEG_INFINITY, f64::INFINITY),
        ("A", -1e308, 1e308),
        ("A", 1.0, 2.0),
    ]);
    assert_eq!(
        (turns.talk_time(), turns.speech_time(), turns.duration()),
        (1.0, 1.0, 2.0)
    );
    assert_eq!(turns.iter().map(Turn::duration).sum::<f64>(), 1.0);
    assert_eq!(turns.between(f64::NEG_INFINITY..f64::INFINITY).count(), 4);
}

#[test]
fn between_returns_turns_that_share_time_with_the_range() {
    let turns = turns([
        ("A", 0.0, 1.0),
        ("B", 1.0, 3.0),
        ("C", 2.0, 2.0),
        ("D", 3.0, 4.0),
        ("E", 0.0, 9.0),
    ]);
    let among = |range| {
        turns
            .between(range)
            .map(|turn| turn.speaker.to_string())
            .collect::<String>()
    };
    assert_eq!(among(1.0..3.0), "BCE");
    assert_eq!(among(0.5..1.5), "ABE");
    assert_eq!(among(2.0..3.0), "BCE");
    assert_eq!(among(1.0..2.0), "BE");
    assert_eq!(among(8.0..99.0), "E");
    assert_eq!(among(9.0..99.0), "");
    assert_eq!(among(f64::NAN..f64::NAN), "");
}

#[test]
fn turns_are_a_slice_and_a_collection() {
    let list = turns([("A", 0.0, 1.0), ("B", 1.0, 2.0)]);
    assert_eq!(
        (list.len(), list[1].speaker.as_str(), list.first()),
        (2, "B", Some(&list[0]))
    );
    assert_eq!((&list).into_iter().count(), 2);
    let again: Turns = list.clone().into_iter().collect();
    assert_eq!(again, list);
    assert_eq!(Turns::from(list.clone().into_vec()), list);
}

#[test]
fn identified_turns_have_the_best_label() {
    let output = identification(
        r#"{"identification":[
            {"speaker":"Ann","start":0,"end":1,"diarizationSpeaker":"SPEAKER_00","match":"Ann","confidence":{"Ann":9}},
            {"speaker":"Bob","start":1,"end":2,"diarizationSpeaker":"SPEAKER_01","match":null},
            {"start":2,"end":3,"diarizationSpeaker":"SPEAKER_02","match":null},
            {"diarizationSpeaker":"SPEAKER_03"}]}"#,
    );
    let turns = output.turns();
    assert_eq!(turns.speakers(), ["Ann", "Bob", "SPEAKER_02", "SPEAKER_03"]);
    assert_eq!(turns.talk_time(), 3.0);
    assert_eq!(turns[0].confidence.get("Ann"), Some(&9.0));
    assert!(turns[3].start.is_nan() && turns[3].end.is_nan());
}

#[test]
fn without_identified_turns_the_turns_of_the_diarization_are_labelled_by_matches() {
    let output = identification(
        r#"{"diarization":[{"speaker":"SPEAKER_00","start":0,"end":1},{"speaker":"SPEAKER_01","start":1,"end":2}],
            "voiceprints":[{"speaker":"SPEAKER_00","match":"Ann"},{"speaker":"SPEAKER_01","match":null}]}"#,
    );
    assert_eq!(output.turns().speakers(), ["Ann", "SPEAKER_01"]);
    assert_eq!(Identification::default().turns(), Turns::default());
}

#[test]
fn exclusive_turns_of_an_identification_are_labelled_by_matches() {
    let output = identification(
        r#"{"diarization":[{"speaker":"SPEAKER_00","start":0,"end":2},{"speaker":"SPEAKER_01","start":1,"end":3}],
            "exclusiveDiarization":[{"speaker":"SPEAKER_00","start":0,"end":2},{"speaker":"SPEAKER_01","start":2,"end":3}],
            "identification":[{"diarizationSpeaker":"SPEAKER_00","match":"Ann","start":0,"end":2},
                {"diarizationSpeaker":"SPEAKER_01","match":null,"start":1,"end":3}],
            "voiceprints":[{"speaker":"SPEAKER_00","match":"Ann"},{"speaker":"SPEAKER_01","match":null}]}"#,
    );
    assert_eq!(output.turns().overlap(), 1.0);
    assert_eq!(
        output.exclusive_turns(),
        turns([("Ann", 0.0, 2.0), ("SPEAKER_01", 2.0, 3.0)])
    );
    assert_eq!(
        output.exclusive_turns().to_rttm("m"),
        "SPEAKER m 1 0.000 2.000 <NA> <NA> Ann <NA> <NA>\n\
         SPEAKER m 1 2.000 1.000 <NA> <NA> SPEAKER_01 <NA> <NA>\n"
    );
    assert_eq!(
        Identification::default().exclusive_turns(),
        Turns::default()
    );
}

#[test]
fn curve_has_a_score_at_a_time() {
    let curve = ScoreCurve::new((0..100_u8).map(f32::from).collect(), 0.02);
    assert_eq!(curve.at(0.0), Some(0.0));
    assert_eq!(curve.at(0.019), Some(0.0));
    assert_eq!(curve.at(0.58), Some(29.0));
    assert_eq!(curve.at(1.999), Some(99.0));
    for seconds in [
        2.0,
        1e300,
        -0.001,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ] {
        assert_eq!(curve.at(seconds), None, "{seconds}");
    }
    assert_eq!(curve.duration(), 2.0);
    assert_eq!(curve.iter().nth(50), Some((1.0, 50.0)));
    assert_eq!(curve.iter().count(), 100);
    for step in 0..100_u8 {
        assert_eq!(
            curve.at(f64::from(step) * 0.02),
            Some(f32::from(step)),
            "{step}"
        );
    }
}

#[test]
fn curve_without_a_usable_resolution_has_no_times() {
    for resolution in [0.0, -0.02, f64::NAN, f64::INFINITY] {
        let curve = ScoreCurve::new(vec![1.0; 3], resolution);
        assert_eq!(curve.duration(), 0.0);
        assert_eq!(curve.at(f64::NAN), None);
    }
    assert_eq!(ScoreCurve::new(vec![1.0; 3], 0.0).at(0.0), None);
    assert_eq!(ScoreCurve::new(vec![1.0; 3], 5e-324).at(1.0), None);
}

#[test]
fn each_speaker_has_a_curve() {
    let score: LabelMap<Vec<f32>> = [
        ("SPEAKER_00", vec![1.0, 2.0]),
        ("SPEAKER_01", vec![3.0, f32::NAN, 5.0]),
    ]
    .into_iter()
    .collect();
    let curves = SpeakerCurves::new(score, 0.5);
    assert_eq!(curves.at("SPEAKER_00", 0.5), Some(2.0));
    assert_eq!(curves.at("SPEAKER_01", 0.5), None);
    assert_eq!(curves.at("SPEAKER_02", 0.5), None);
    assert_eq!(curves.duration(), 1.5);
    assert_eq!(
        curves.iter("SPEAKER_00").collect::<Vec<_>>(),
        [(0.0, 1.0), (0.5, 2.0)]
    );
    assert_eq!(curves.iter("nobody").count(), 0);
    assert_eq!(
        format!("{curves:?}"),
        r#"SpeakerCurves { scores: {"SPEAKER_00": 2, "SPEAKER_01": 3}, resolution: 0.5 }"#
    );
}

#[test]
fn transcript_has_a_line_for_each_change_of_speaker() {
    let transcript = transcript([
        ("A", 0.0, 1.0, " Good "),
        ("A", 1.0, 2.0, "morning,\n\nall"),
        ("B", 2.0, 3.0, "  \n"),
        ("A", 3.0, 4.0, "of you."),
        ("B", 4.0, 5.0, "Hi"),
        ("", 5.0, 6.0, "(noise)"),
    ]);
    assert_eq!(
        transcript.text(),
        "A: Good morning, all of you.\nB: Hi\n(noise)\n"
    );
    assert_eq!(Transcript::default().text(), "");
    assert_eq!(transcript.between(3.5..4.5).count(), 2);
}
