//! Hostile bodies with a valid signature.

use std::{fmt::Write, time::Instant};

use crate::{
    crowd::STORM,
    target::{BUDGET, HANDLED, Target},
};

use tower_pyannote_test_support::{bodies, http::Post};

/// Delivers the bodies in turn, each at least once, and waits until they are handled.
fn withstands(attack: &str, bodies: &[(&str, u16, String)]) {
    let target = Target::start();
    target.withstands(attack, BUDGET, |address| {
        let begun = Instant::now();
        let again = bodies
            .iter()
            .cycle()
            .take_while(|_| begun.elapsed() < STORM);
        for (name, status, rest) in bodies.iter().chain(again) {
            let job = bodies::job(1_000_000 + target.next());
            let body = format!(r#"{{"jobId":"{job}","status":"succeeded",{rest}}}"#);
            let answer = Post::new(body).send(address);
            assert_eq!(answer.status, *status, "{attack}: {name}");
        }
        target.settle();
    });
}

#[test]
fn json_100_000_deep() {
    let deep = |open: &str, close: &str| open.repeat(100_000) + "0" + &close.repeat(100_000);
    let lists = deep("[", "]");
    let objects = deep(r#"{"a":"#, "}");
    let open = "[".repeat(100_000);
    withstands(
        "JSON 100,000 deep",
        &[
            ("output of lists", 200, format!(r#""output":{lists}"#)),
            ("output of objects", 200, format!(r#""output":{objects}"#)),
            ("an unknown field", 200, format!(r#""grown":{lists}"#)),
            (
                "turns",
                200,
                format!(r#""output":{{"diarization":{lists}}}"#),
            ),
            (
                "beside the turns",
                200,
                format!(r#""output":{{"diarization":[],"grown":{objects}}}"#),
            ),
            ("never closed", 400, format!(r#""output":{open}"#)),
        ],
    );
}

#[test]
fn a_million_keys() {
    let many = |count: usize, entry: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        for number in 0..count {
            let comma = if number == 0 { "" } else { "," };
            write!(text, "{comma}{}", entry(number)).unwrap();
        }
        text
    };
    let keys = many(1_000_000, &|number| format!(r#""k{number}":0"#));
    let same = many(1_000_000, &|_| r#""k":0"#.into());
    let escaped = many(200_000, &|number| format!(r#""\u006b{number}":0"#));
    let labels = many(300_000, &|number| format!(r#""p{number}":50"#));
    let turns = many(300_000, &|number| {
        format!(r#"{{"speaker":"p{number}","start":{number},"end":{number}.5}}"#)
    });
    let curves = many(100_000, &|number| format!(r#""p{number}":[50]"#));
    withstands(
        "a million keys",
        &[
            ("in the body", 200, keys.clone()),
            ("in the output", 200, format!(r#""output":{{{keys}}}"#)),
            ("all the same", 200, format!(r#""output":{{{same}}}"#)),
            ("escaped", 200, format!(r#""output":{{{escaped}}}"#)),
            (
                "of a confidence",
                200,
                format!(
                    r#""output":{{"diarization":[{{"speaker":"p","start":0,"end":1,"confidence":{{{labels}}}}}]}}"#
                ),
            ),
            (
                "speakers",
                200,
                format!(r#""output":{{"diarization":[{turns}]}}"#),
            ),
            (
                "curves",
                200,
                format!(
                    r#""output":{{"diarization":[],"speakerProbability":{{"resolution":0.02,"score":{{{curves}}}}}}}"#
                ),
            ),
        ],
    );
}

#[test]
fn huge_numbers() {
    let digits = "9".repeat(1 << 20);
    let bodies: Vec<_> = [
        ("an integer", digits.clone()),
        ("a negative one", format!("-{digits}")),
        ("a fraction", format!("0.{digits}")),
        ("an exponent", format!("1e{digits}")),
        ("a small one", format!("1e-{digits}")),
        ("beyond a float", "1e999".into()),
    ]
    .into_iter()
    .flat_map(|(name, number)| {
        let turn = format!(
            r#""output":{{"diarization":[{{"speaker":"SPEAKER_00","start":0,"end":{number},"confidence":{{"SPEAKER_00":{number}}}}}]}}"#
        );
        let resolution = format!(
            r#""output":{{"diarization":[],"confidence":{{"resolution":{number},"score":[{number}]}}}}"#
        );
        let label = format!(
            r#""output":{{"diarization":[{{"speaker":"SPEAKER_{}","start":0,"end":1e308}}]}}"#,
            "9".repeat(1 << 20)
        );
        [
            (name, 200, turn),
            (name, 200, resolution),
            (name, 200, label),
            (name, 200, format!(r#""grown":{number}"#)),
        ]
    })
    .collect();
    withstands("huge numbers", &bodies);
}

/// Typed, each three bytes would take over seventy. The bodies take longer to commit than a good delivery may take.
#[test]
fn empty_turns() {
    let turns = |padding: usize, mebibytes: usize| {
        let padding = "x".repeat(padding << 20);
        let turns = "{},".repeat((mebibytes << 20) / 3);
        format!(r#""output":{{"grown":"{padding}","diarization":[{turns}{{}}]}}"#)
    };
    let target = Target::start();
    // With long padding more turns are typed, so that these bodies take the most memory.
    for (padding, mebibytes) in [(0, 60), (0, 120), (100, 20)] {
        let job = bodies::job(1_000_000 + target.next());
        let rest = turns(padding, mebibytes);
        let post = Post::new(format!(
            r#"{{"jobId":"{job}","status":"succeeded",{rest}}}"#
        ));
        while post.send(target.address).status == 503 {}
    }
    target.settle();
    target.has_kept_within("empty turns", BUDGET + HANDLED);
}
