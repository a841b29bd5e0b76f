use tower_pyannote::event::{Segment, Transcript, Turn, Turns};

#[test]
fn rttm_lines_have_ten_fields() {
    let turns: Turns = [
        Turn::new("SPEAKER_00", 34.27, 44.39),
        Turn::new("Ann", 0.0, 0.5),
    ]
    .into_iter()
    .collect();
    assert_eq!(
        turns.to_rttm("ES2011a"),
        "SPEAKER ES2011a 1 34.270 10.120 <NA> <NA> SPEAKER_00 <NA> <NA>\n\
         SPEAKER ES2011a 1 0.000 0.500 <NA> <NA> Ann <NA> <NA>\n"
    );
}

#[test]
fn rttm_fields_have_no_white_space() {
    let turns: Turns = [
        Turn::new("Ann\tof\n\u{2028}Cleves", 0.0, 1.0),
        Turn::new("", 1.0, 2.0),
    ]
    .into_iter()
    .collect();
    assert_eq!(
        turns.to_rttm("a b"),
        "SPEAKER a_b 1 0.000 1.000 <NA> <NA> Ann_of__Cleves <NA> <NA>\n\
         SPEAKER a_b 1 1.000 1.000 <NA> <NA> <NA> <NA> <NA>\n"
    );
    assert!(turns.to_rttm("").starts_with("SPEAKER <NA> 1 "));
}

#[test]
fn unusable_times_are_left_out_of_every_format() {
    let times = [
        (f64::NAN, 1.0),
        (0.0, f64::NAN),
        (-1.0, 1.0),
        (2.0, 1.0),
        (1.0, 1.0),
        (1.0, 1.0001),
        (0.0, 360_000.0),
        (0.0, 1e300),
        (0.0, f64::INFINITY),
        (f64::NEG_INFINITY, 1.0),
    ];
    let turns: Turns = times
        .map(|(start, end)| Turn::new("A", start, end))
        .into_iter()
        .collect();
    assert_eq!(turns.to_rttm("a"), "");
    let transcript: Transcript = times
        .map(|(start, end)| Segment::new("A", start, end, "x"))
        .into_iter()
        .collect();
    assert_eq!(transcript.to_webvtt(), "WEBVTT\n");
    assert_eq!(transcript.to_srt(), "");
}

fn transcript() -> Transcript {
    [
        Segment::new("SPEAKER_01", 3_661.25, 3_662.0, "Second."),
        Segment::new("SPEAKER_00", 0.0, 1.9996, "First\n\nline"),
        Segment::new("SPEAKER_00", 5.0, 6.0, " \n "),
        Segment::new("", 359_990.0, 359_998.5, "Last"),
    ]
    .into_iter()
    .collect()
}

#[test]
fn webvtt_is_sorted_and_names_the_voice() {
    assert_eq!(
        transcript().to_webvtt(),
        "WEBVTT\n\n\
         00:00:00.000 --> 00:00:02.000\n<v SPEAKER_00>First line\n\n\
         01:01:01.250 --> 01:01:02.000\n<v SPEAKER_01>Second.\n\n\
         99:59:50.000 --> 99:59:58.500\nLast\n"
    );
}

#[test]
fn srt_is_sorted_and_numbered() {
    assert_eq!(
        transcript().to_srt(),
        "1\n00:00:00,000 --> 00:00:02,000\nSPEAKER_00: First line\n\n\
         2\n01:01:01,250 --> 01:01:02,000\nSPEAKER_01: Second.\n\n\
         3\n99:59:50,000 --> 99:59:58,500\nLast\n"
    );
}

#[test]
fn markup_of_the_formats_is_escaped() {
    let transcript: Transcript = [Segment::new(
        "<A> --> & B",
        0.0,
        1.0,
        "a --> b ---> c < d &amp;\r\n\r\n2",
    )]
    .into_iter()
    .collect();
    assert_eq!(
        transcript.to_webvtt(),
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n\
         <v &lt;A&gt; --&gt; &amp; B>a --&gt; b ---&gt; c &lt; d &amp;amp; 2\n"
    );
    assert_eq!(
        transcript.to_srt(),
        "1\n00:00:00,000 --> 00:00:01,000\n<A> → & B: a → b -→ c < d &amp; 2\n"
    );
}
