use std::fs;

use serde_json::Value;

use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET, get},
    process::{SECRET_NAME, Server, dir},
};

#[test]
fn logs_are_json_lines_about_each_delivery() {
    let server = Server::start();
    let job = bodies::job(1);
    let post = Post::new(bodies::diarization(&job, 0)).header("x-retry-num", "2");
    assert_eq!(post.send(server.address).status, 200);
    let kept = server.kept();

    let log = server.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of_delivery: Vec<_> = lines
        .iter()
        .filter(|line| line["span"]["job_id"] == *job)
        .collect();
    for line in &of_delivery {
        assert_eq!(line["span"]["kind"], "diarization");
        assert_eq!(line["span"]["status"], "succeeded");
        match line["span"]["name"].as_str() {
            Some("webhook") => assert_eq!(line["span"]["retry"], 2),
            Some("pyannote_event") => assert_eq!(line["span"]["attempt"], 1),
            other => panic!("{other:?}"),
        }
    }
    let kept = kept.keys().next().unwrap();
    assert!(
        of_delivery
            .iter()
            .any(|line| line["message"] == "kept" && line["location"] == **kept)
    );
    let said = of_delivery
        .iter()
        .find(|line| line["message"] == "diarization")
        .unwrap();
    assert_eq!((&said["speakers"], &said["turns"]), (&2.into(), &2.into()));
    assert_eq!(
        (&said["duration"], &said["talk_time"]),
        (&9.5.into(), &9.3.into())
    );
}

#[test]
fn start_is_logged_with_the_endpoints() {
    let server = Server::start();
    let log = server.log();
    for endpoint in [
        "POST {}/webhook",
        "GET {}/",
        "GET {}/health",
        "GET {}/metrics",
    ] {
        let url = format!("http://{}", server.address);
        let line = format!("{}: ", endpoint.replace("{}", &url));
        assert!(log.contains(&line), "{line} {log}");
    }
}

#[test]
fn rust_log_takes_precedence_over_debug() {
    let env = [(SECRET_NAME, SECRET)];
    let quiet = [(SECRET_NAME, SECRET), ("RUST_LOG", "error")];
    for (flags, env, debug, info) in [
        (&[][..], &env[..], false, true),
        (&["--debug"], &env, true, true),
        (&["--debug"], &quiet, false, false),
    ] {
        let server = Server::start_in(dir(), flags, env);
        assert_eq!(
            Post::new(bodies::status_only("a"))
                .send(server.address)
                .status,
            200
        );
        server.settle();
        let log = server.log();
        assert_eq!(log.contains("webhook verified"), debug, "{flags:?} {log}");
        assert_eq!(
            log.contains("success without output"),
            info,
            "{flags:?} {log}"
        );
    }
}

#[test]
fn secrets_and_signatures_are_neither_printed_nor_stored() {
    let secrets = format!("{SECRET},whs_ffeeddccbbaa99887766554433221100");
    let env = [(SECRET_NAME, &*secrets), ("RUST_LOG", "trace")];
    let mut server = Server::start_in(dir(), &[], &env);
    let body = || bodies::status_only("a");
    let posts = [
        Post::new(body()),
        Post::new(body()).with_signature(|key, at, body| key.sign(at, body).to_base64()),
        Post::signed_with("whs_guess", body(), 0),
        Post::signed_with(SECRET, body(), 3_600),
        Post::new(body()).header("x-signature", &"5f".repeat(32)),
        Post::new(body()).with_signature(|_, _, _| "not-a-signature".into()),
        Post::new("not json"),
    ];
    let mut told = String::new();
    for post in &posts {
        let answer = post.send(server.address);
        told += &answer.head;
        told += &answer.body;
    }
    for path in ["/", "/health", "/metrics"] {
        told += &get(server.address, path, "*/*").body;
    }
    server.settle();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    told += &server.rest_of_stdout();
    told += &server.log();

    let mut kept = Vec::new();
    for file in fs::read_dir(server.data()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            kept.extend(fs::read(path).unwrap());
        }
    }
    let kept = String::from_utf8_lossy(&kept);

    let right = Post::new(body());
    let secrets = secrets.split(',').chain(["whs_guess", "5f5f5f5f"]);
    let signatures = posts.iter().chain([&right]).map(Post::signature);
    for hidden in secrets.chain(signatures) {
        assert!(!told.contains(hidden), "{hidden}");
        assert!(!kept.contains(hidden), "{hidden}");
    }
    assert!(told.contains("webhook verified"));
    assert!(kept.contains(&*String::from_utf8_lossy(&body())));
}

#[test]
fn log_file_of_the_day_has_what_stderr_has() {
    let flags = ["--log-file", "logs/receiver.log"];
    let mut server = Server::start_in(dir(), &flags, &[(SECRET_NAME, SECRET)]);
    let post = Post::new(bodies::status_only("a"));
    assert_eq!(post.send(server.address).status, 200);
    server.settle();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    let stderr = server.log();
    assert!(stderr.contains("\"message\":\"stopped\""), "{stderr}");
    let mut files = fs::read_dir(server.dir.path().join("logs")).unwrap();
    let file = files.next().unwrap().unwrap();
    assert!(files.next().is_none());
    let name = file.file_name().into_string().unwrap();
    let date = name.strip_prefix("receiver.log.").unwrap();
    assert!(date.parse::<jiff::civil::Date>().is_ok(), "{name}");
    // The two are formatted at different times.
    let lines = |log: &str| -> Vec<Value> {
        let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
        let without_time = lines.map(|mut line: Value| {
            line.as_object_mut().unwrap().remove("timestamp");
            line
        });
        without_time.collect()
    };
    let logged = fs::read_to_string(file.path()).unwrap();
    assert_eq!(lines(&logged), lines(&stderr));
}

#[test]
fn log_format_is_a_setting() {
    for (format, is_json) in [("json", true), ("text", false), ("auto", true)] {
        let flags = ["--log-format", format];
        let server = Server::start_in(dir(), &flags, &[(SECRET_NAME, SECRET)]);
        let log = server.log();
        let first = log.lines().next().unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(first).is_ok(),
            is_json,
            "{first}"
        );
    }
}
