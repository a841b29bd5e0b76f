//! The web page in a real browser, and who may use it.
#![cfg(all(unix, feature = "page"))]

use std::{
    env,
    future::pending,
    io::{Read, Write},
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use pyannote_simulator::{Config, Simulator};
use pyannoteai_client::{Client, DiarizeRequest, MediaKey, Upload};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower_pyannote::{HandlerError, HandlerRegistry, WebhookEvent, WebhookSecret, event::Delivery};
use tower_pyannote_inbox::Inbox;
use tower_pyannote_test_support::{
    http::{Answer, Post, SECRET, connect, get},
    process::{SECRET_NAME, Server, dir, run, wait_until},
    program,
};

/// Leaves dead events in the inbox, whose handler has the name of the receiver's own.
fn die(dir: &Path, bodies: &[Value]) {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let inbox = Inbox::sqlite(dir.join("data/inbox.sqlite")).await.unwrap();
        for body in bodies {
            let body = body.to_string();
            let event = WebhookEvent::new(body.into(), Delivery::at(SystemTime::now()));
            inbox.commit(&event.unwrap()).await.unwrap();
        }
        let registry = HandlerRegistry::new().on_any("archive", async |event: WebhookEvent| {
            let error = match event.job_id() {
                id if id.contains('<') => HOSTILE,
                _ => "the disk is full",
            };
            Err(HandlerError::permanent(error))
        });
        let worker = inbox.worker(registry.unwrap()).run_until(pending());
        let worker = tokio::spawn(worker);
        let all = u64::try_from(bodies.len()).unwrap();
        while inbox.stats().await.unwrap().dead < all {
            tokio::task::yield_now().await;
        }
        worker.abort();
    });
}

/// Starts a receiver with a private listener, which has the page.
fn start_in(place: TempDir) -> Server {
    let flags = ["--private-listen", "127.0.0.1:0"];
    let mut server = Server::start_in(place, &flags, &[(SECRET_NAME, SECRET)]);
    server.private_address();
    server
}

/// A receiver with an API key, and the simulator that it asks.
struct WithApi {
    server: Server,
    simulator: Simulator,
    runtime: Runtime,
}

impl WithApi {
    fn start(place: TempDir) -> Self {
        // The build may take longer than the simulator keeps an upload.
        program::binary("pyannote-receiver");
        let runtime = Runtime::new().unwrap();
        let config = Config::new(WebhookSecret::new(SECRET).unwrap())
            .with_time_scale(1_000.0)
            .with_duration(Duration::from_secs(LENGTH.into()));
        let simulator = runtime.block_on(Simulator::start(config)).unwrap();
        let url = simulator.url();
        let env = [
            (SECRET_NAME, SECRET),
            ("PYANNOTEAI_API_KEY", KEY),
            ("PYANNOTEAI_API_URL", &url),
        ];
        let mut server = Server::start_in(place, &["--private-listen", "127.0.0.1:0"], &env);
        server.private_address();
        Self {
            server,
            simulator,
            runtime,
        }
    }

    /// Uploads a recording, submits it with a reference, and waits for its event. Returns the id of the event.
    fn record(&self, audio: Vec<u8>) -> String {
        let job_id = self.runtime.block_on(async {
            let inbox = Inbox::sqlite(self.server.data().join("inbox.sqlite"))
                .await
                .unwrap();
            let client = Client::builder(KEY)
                .with_base_url(self.simulator.url())
                .unwrap();
            let webhook = format!("http://{}/webhook", self.server.address);
            let client = client.with_webhook(webhook).unwrap();
            let client = client
                .with_submission_log(inbox.submissions())
                .build()
                .unwrap();
            let upload = Upload::from_bytes(audio).unwrap();
            let key = client
                .upload(MediaKey::new("standup.wav").unwrap(), upload)
                .await
                .unwrap();
            let request = DiarizeRequest::new(&key)
                .unwrap()
                .with_reference("standup 42")
                .unwrap();
            client.diarize(request).await.unwrap().job_id
        });
        let address = self.server.pages;
        let list = format!("/api/v1/events?job={job_id}");
        wait_until("the event of the recording", || {
            json_of(address, &list)["events"][0]["state"] == "handled"
        });
        id(&self.server, &job_id)
    }
}

/// The seconds of a recording, which has several parts.
const LENGTH: u32 = 300;

const KEY: &str = "sk_page_example";

/// A recording of silence: 8,000 samples of one byte a second.
fn silence() -> Vec<u8> {
    let samples = LENGTH * 8_000;
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + samples).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(8_000_u32.to_le_bytes());
    wav.extend(8_000_u32.to_le_bytes());
    wav.extend(b"\x01\0\x08\0data");
    wav.extend(samples.to_le_bytes());
    wav.resize(wav.len() + usize::try_from(samples).unwrap(), 128);
    wav
}

fn send(server: &Server, body: &Value) {
    let answer = Post::new(body.to_string()).send(server.address);
    assert_eq!(answer.status, 200);
}

/// Returns the ids of events by job id.
fn id(server: &Server, job_id: &str) -> String {
    let query: String = job_id.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let page = json_of(server.pages, &format!("/api/v1/events?job={query}"));
    page["events"][0]["id"].as_str().unwrap().to_owned()
}

fn json_of(address: SocketAddr, path: &str) -> Value {
    let answer = get(address, path, "application/json");
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// A meeting with a turn of one of four speakers every four seconds, a word each second, and curves of two scores a second.
fn meeting(job_id: &str, seconds: u32) -> Value {
    let mut random = fastrand::Rng::with_seed(7);
    let mut who = 0;
    let turns: Vec<_> = (0..seconds / 4)
        .map(|n| {
            if random.u32(..5) < 3 {
                who = random.u32(..4);
            }
            let start = f64::from(n) * 4.0 + f64::from(random.u32(..20)) / 10.0;
            let length = 0.6 + f64::from(random.u32(..30) * random.u32(..30)) / 90.0;
            let end = (start + length).min(f64::from(seconds));
            let speaker = NAMES[usize::try_from(who).unwrap()];
            json!({ "speaker": speaker, "start": start, "end": end, "confidence": { speaker: 99 - random.u32(..20) * random.u32(..4) } })
        })
        .collect();
    let vocabulary: Vec<_> = WORDS.split(' ').collect();
    let words: Vec<_> = (0..seconds)
        .map(|n| {
            let place = usize::try_from(n).unwrap();
            let speaker = &turns[(place / 4).min(turns.len() - 1)]["speaker"];
            let start = f64::from(n);
            json!({ "speaker": speaker, "start": start, "end": start + 0.8, "text": vocabulary[place % vocabulary.len()] })
        })
        .collect();
    let mut curve = |mean: f64, reach: f64| {
        let scores: Vec<_> = (0..seconds * 2)
            .map(|n| {
                let wave = (f64::from(n) / 37.0).sin() + (f64::from(n) / 211.0).sin();
                (mean + reach * wave / 2.0 + random.f64() * 9.0)
                    .clamp(0.0, 100.0)
                    .round()
            })
            .collect();
        json!({ "score": scores, "resolution": 0.5 })
    };
    json!({ "jobId": job_id, "status": "succeeded", "output": {
        "diarization": turns,
        "exclusiveDiarization": turns,
        "wordLevelTranscription": words,
        "confidence": curve(84.0, 12.0),
        "speechProbability": curve(70.0, 45.0),
        "crosstalkProbability": curve(12.0, 22.0),
    } })
}

const NAMES: [&str; 4] = ["SPEAKER_00", "SPEAKER_01", "SPEAKER_02", "SPEAKER_03"];

const WORDS: &str = "so the first thing to look at is how the budget changed since we met and what that means for the \
    next release because nobody wants to move the date again";

/// An event of each kind with markup in each text that a sender chooses.
fn hostile() -> Vec<Value> {
    let turn = json!({ "speaker": HOSTILE, "start": 0, "end": 2, "confidence": { HOSTILE: 50 } });
    let word = json!({ "speaker": HOSTILE, "start": 0, "end": 2, "text": HOSTILE });
    let curve = json!({ "score": { HOSTILE: [1, 50, 99] }, "resolution": 0.5 });
    let matched = json!({ "diarizationSpeaker": HOSTILE, "speaker": HOSTILE, "match": HOSTILE, "start": 0, "end": 2 });
    let outputs = [
        json!({ "diarization": [turn], "exclusiveDiarization": [turn], "wordLevelTranscription": [word],
            "turnLevelTranscription": [word], "speakerProbability": curve, "warning": HOSTILE, "error": HOSTILE }),
        json!({ "identification": [matched], "diarization": [turn], "voiceprints": [
            { "speaker": HOSTILE, "match": HOSTILE, "confidence": { HOSTILE: 50 } }], "warning": HOSTILE }),
        json!({ "voiceprint": HOSTILE, "warning": HOSTILE }),
        json!({ HOSTILE: HOSTILE }),
        Value::Null,
    ];
    let outputs = outputs.into_iter().enumerate();
    outputs
        .map(|(number, output)| {
            let status = if number == 4 { HOSTILE } else { "succeeded" };
            json!({ "jobId": format!("{HOSTILE}{number}"), "status": status, "output": output })
        })
        .collect()
}

const HOSTILE: &str = "\"'><script>window.hostile=1</script><img src=x onerror=\"window.hostile=1\"><b><i>\
    </title></textarea><svg onload=\"window.hostile=1\"></svg>javascript:window.hostile=1";

#[test]
fn an_operator_uses_the_page_in_a_browser() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page");
    let Some(chromium) = browser(&scripts) else {
        return;
    };
    let place = dir();
    let dead: Vec<_> = (0..4)
        .map(|n| json!({ "jobId": format!("dead-{n}"), "status": "failed", "output": { "error": "no speech" } }))
        .chain([meeting("dead-meeting", 600)])
        .chain(hostile().into_iter().take(1))
        .collect();
    die(place.path(), &dead);
    let with_api = WithApi::start(place);
    let server = &with_api.server;
    for event in hostile().iter().skip(1) {
        send(server, event);
    }
    for n in 0..30 {
        let id = |kind: &str| format!("{kind}-{:06x}", 0xa3_91d7 ^ (n * 40_503));
        send(
            server,
            &json!({ "jobId": id("voice"), "status": "succeeded", "output": { "voiceprint": "AAAA" } }),
        );
        send(
            server,
            &json!({ "jobId": id("interview"), "status": "failed", "output": { "error": "no speech" } }),
        );
        send(
            server,
            &json!({ "jobId": id("call"), "status": "canceled" }),
        );
        send(server, &meeting(&id("standup"), 60 + n * 20));
    }
    send(server, &meeting("eight-hours", 8 * 60 * 60));
    server.settle();

    let hostile: Vec<_> = (0..5)
        .map(|n| id(server, &format!("{HOSTILE}{n}")))
        .collect();
    let script = Command::new("node")
        .arg(scripts.join("main.mjs"))
        .env("PAGE_BASE", format!("http://{}", server.pages))
        .env("PAGE_WEBHOOK", format!("http://{}/webhook", server.address))
        .env("PAGE_SECRET", SECRET)
        .env("PAGE_CHROMIUM", chromium)
        .env("PAGE_RECORDING", with_api.record(silence()))
        .env("PAGE_MEETING", id(server, "eight-hours"))
        .env("PAGE_DEAD", id(server, "dead-meeting"))
        .env("PAGE_DEAD_TOO", id(server, "dead-0"))
        .env("PAGE_HOSTILE", hostile.join(","))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&script.stdout);
    let errors = String::from_utf8_lossy(&script.stderr);
    println!("{told}{errors}");
    assert!(script.status.success(), "{told}{errors}");

    for action in ["replay", "mark_handled", "replay_dead", "prune"] {
        assert!(is_audited(server, "local", action), "{action}");
    }
}

/// Returns whether the log names who did something.
fn is_audited(server: &Server, who: &str, action: &str) -> bool {
    audited(server).any(|line| line["who"] == who && line["action"] == action)
}

/// Returns the lines of the audit log.
fn audited(server: &Server) -> impl Iterator<Item = Value> {
    let log = server.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let lines = lines.into_iter();
    lines.filter(|line| line["target"] == "pyannote_receiver::audit")
}

/// Returns the path of the browser. A missing program skips the test, and fails it where `CI` is set.
fn browser(scripts: &Path) -> Option<&'static str> {
    let candidates = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    let chromium = candidates.into_iter().find(|path| Path::new(path).exists());
    let has_node = Command::new("node").arg("--version").output().is_ok();
    let has_modules = scripts.join("node_modules/playwright-core").exists();
    let missing = match (chromium, has_node, has_modules) {
        (Some(chromium), true, true) => return Some(chromium),
        (None, ..) => "chromium",
        (_, false, _) => "node",
        _ => "playwright-core: run `npm install --no-package-lock` in tests/page",
    };
    assert!(env::var_os("CI").is_none(), "missing: {missing}");
    println!("skipped, because this is missing: {missing}");
    None
}

fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut stream = connect(address);
    let has_host = headers.iter().any(|(name, _)| *name == "host");
    let host = if has_host {
        String::new()
    } else {
        format!("host: {address}\r\n")
    };
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\n{host}{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    Answer::read(&mut stream).unwrap()
}

/// Returns the cookie that an answer sets.
fn cookie(answer: &Answer) -> Option<&str> {
    let line = answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))?;
    line.split(';').next()
}

#[test]
fn without_a_token_only_this_machine_may_use_the_page() {
    let server = start_in(dir());
    let address = server.pages;
    send(&server, &json!({ "jobId": "a", "status": "succeeded" }));
    server.settle();
    for path in [
        "/page",
        "/page/events/1",
        "/page/system",
        "/page/doctor",
        "/api/v1/events",
        "/page/none",
    ] {
        let answer = ask(address, "GET", path, &[], "");
        assert_eq!(
            answer.status,
            if path == "/page/none" { 404 } else { 200 },
            "{path}"
        );
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "cache-control: no-store",
            "referrer-policy: same-origin",
        ] {
            assert!(
                answer.head.contains(header),
                "{path} has no {header}: {}",
                answer.head
            );
        }
        assert!(
            !answer.body.contains("style=") && !answer.body.contains("<script>"),
            "{path}"
        );
        let rebound = ask(address, "GET", path, &[("host", "rebound.example.com")], "");
        assert_eq!(rebound.status, 403, "{path}");
        assert!(!rebound.body.contains("succeeded"), "{path}");
    }

    // Each action needs the token of the page that shows its form, and comes from that page.
    let session = ask(address, "GET", "/api/v1/session", &[], "");
    let cookie = cookie(&session).unwrap();
    assert!(
        session.head.contains("HttpOnly; SameSite=Strict"),
        "{}",
        session.head
    );
    let session: Value = serde_json::from_str(&session.body).unwrap();
    let token = session["csrf_token"].as_str().unwrap();
    let json = ("content-type", "application/json");
    let post = |headers: &[(&str, &str)]| {
        let headers = [&[json], headers].concat();
        ask(address, "POST", "/api/v1/prune", &headers, r#"{"days":0}"#).status
    };
    let with_cookie = ("cookie", cookie);
    let with_token = ("x-csrf-token", token);
    assert_eq!(post(&[]), 403);
    assert_eq!(post(&[with_cookie]), 403);
    assert_eq!(post(&[with_token]), 403);
    assert_eq!(post(&[with_cookie, ("x-csrf-token", "00")]), 403);
    assert_eq!(
        post(&[with_cookie, with_token, ("sec-fetch-site", "cross-site")]),
        403
    );
    assert_eq!(
        post(&[with_cookie, with_token, ("origin", "http://example.com")]),
        403
    );
    assert_eq!(
        json_of(address, "/api/v1/events")["events"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        post(&[with_cookie, with_token, ("sec-fetch-site", "same-origin")]),
        200
    );
    assert_eq!(
        json_of(address, "/api/v1/events")["events"]
            .as_array()
            .unwrap()
            .len(),
        0
    );

    let form = format!("days=0&csrf={token}");
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let sent = |form: &str| ask(address, "POST", "/page/prune", &[kind, with_cookie], form).status;
    assert_eq!(
        [sent("days=0"), sent("days=0&csrf="), sent(&form)],
        [403, 403, 303]
    );
}

#[test]
fn a_page_of_another_site_makes_the_receiver_read_nothing() {
    let server = start_in(dir());
    let address = server.pages;
    send(&server, &meeting("a", 60));
    let handled = || json_of(address, "/api/v1/events")["events"][0]["state"] == "handled";
    wait_until("the event is handled", handled);
    let get = |path: &str, site: &str, mode: &str, dest: &str| {
        let headers = [
            ("sec-fetch-site", site),
            ("sec-fetch-mode", mode),
            ("sec-fetch-dest", dest),
        ];
        ask(address, "GET", path, &headers, "").status
    };
    for path in ["/api/v1/events/1/rttm", "/api/v1/events", "/page/events/1"] {
        for site in ["cross-site", "same-site"] {
            assert_eq!(get(path, site, "no-cors", "image"), 403, "{path}");
            assert_eq!(get(path, site, "cors", "empty"), 403, "{path}");
            assert_eq!(get(path, site, "navigate", "iframe"), 403, "{path}");
            // A link that a person follows.
            assert_eq!(get(path, site, "navigate", "document"), 200, "{path}");
        }
        assert_eq!(get(path, "same-origin", "cors", "empty"), 200, "{path}");
        assert_eq!(get(path, "none", "navigate", "document"), 200, "{path}");
    }
}

#[test]
fn another_address_needs_a_token_or_a_proxy() {
    let refused = run(
        dir().path(),
        &["--port", "0", "--private-listen", "0.0.0.0:0"],
        &[(SECRET_NAME, SECRET)],
    );
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("--page-token-hash"), "{refused:?}");
    assert!(refused.stderr.contains("--no-page"), "{refused:?}");
    let wrong = run(
        dir().path(),
        &["--page-token-hash", "secret"],
        &[(SECRET_NAME, SECRET)],
    );
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("--page-token-hash"), "{wrong:?}");
    let off = Server::start_in(dir(), &["--no-page"], &[(SECRET_NAME, SECRET)]);
    assert_eq!(get(off.address, "/page", "*/*").status, 404);
    assert!(!get(off.address, "/", "text/html").body.contains("/page"));
}

#[test]
fn a_token_opens_the_page_to_its_holder_alone() {
    let made = run(dir().path(), &["page-token"], &[]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let value = |line: &str| line.rsplit(' ').next().unwrap().to_owned();
    let lines: Vec<_> = made.stdout.lines().map(value).collect();
    let [token, hash] = &lines[..] else {
        panic!("{made:?}");
    };
    let server = Server::start_in(
        dir(),
        &["--page-token-hash", hash],
        &[(SECRET_NAME, SECRET)],
    );
    let address = server.address;
    let anonymous = ask(address, "GET", "/page", &[], "");
    assert_eq!(anonymous.status, 303);
    assert!(anonymous.head.contains("location: /page/login"));
    assert_eq!(ask(address, "GET", "/api/v1/events", &[], "").status, 401);

    let bearer = |token: &str| {
        let value = format!("Bearer {token}");
        let headers = [
            ("authorization", value.as_str()),
            ("content-type", "application/json"),
        ];
        let listed = ask(address, "GET", "/api/v1/events", &headers, "").status;
        let pruned = ask(address, "POST", "/api/v1/prune", &headers, r#"{"days":0}"#).status;
        [listed, pruned]
    };
    assert_eq!(bearer("page_wrong"), [401, 401]);
    assert_eq!(bearer(token), [200, 200]);

    let form = ("content-type", "application/x-www-form-urlencoded");
    let login = |token: &str| {
        ask(
            address,
            "POST",
            "/page/login",
            &[form],
            &format!("token={token}"),
        )
    };
    let wrong = login("page_wrong");
    assert_eq!((wrong.status, cookie(&wrong)), (401, None));
    // A browser names its origin, here behind a proxy with TLS.
    let names = [
        form,
        ("host", "pyannote.example.com"),
        ("origin", "https://pyannote.example.com"),
    ];
    let over_tls = ask(
        address,
        "POST",
        "/page/login",
        &names,
        &format!("token={token}"),
    );
    assert!(
        over_tls.head.contains("SameSite=Strict; Secure\r\n"),
        "{}",
        over_tls.head
    );
    let right = login(token);
    assert_eq!(right.status, 303);
    assert!(!right.head.contains("Secure"), "{}", right.head);
    let session = ("cookie", cookie(&right).unwrap());
    // The session's cookie suffices under any name of the host, because no other site has it.
    let named = ask(
        address,
        "GET",
        "/page",
        &[session, ("host", "pyannote.example.com")],
        "",
    );
    assert_eq!(named.status, 200);
    let last = if session.1.ends_with('0') { '1' } else { '0' };
    let forged = format!("{}{last}", &session.1[..session.1.len() - 1]);
    assert_eq!(
        ask(address, "GET", "/page", &[("cookie", forged.as_str())], "").status,
        303
    );
    let csrf = named.body.split("name=\"csrf\" value=\"").nth(1).unwrap();
    let csrf = &csrf[..64];
    let logout = ask(
        address,
        "POST",
        "/page/logout",
        &[form, session],
        &format!("csrf={csrf}"),
    );
    assert_eq!(logout.status, 303);
    assert_eq!(ask(address, "GET", "/page", &[session], "").status, 303);
    let log = server.log();
    assert!(
        !log.contains(token.as_str()) && log.contains("a wrong token for the page was refused"),
        "{log}"
    );
}

#[test]
fn a_trusted_proxy_names_the_user() {
    let flags = ["--page-proxy-header", "x-forwarded-user"];
    let server = Server::start_in(dir(), &flags, &[(SECRET_NAME, SECRET)]);
    let address = server.address;
    for headers in [&[][..], &[("x-forwarded-user", " ")]] {
        assert_eq!(ask(address, "GET", "/page", headers, "").status, 403);
    }
    let user = ("x-forwarded-user", "ada");
    let host = ("host", "pyannote.example.com");
    let session = ask(address, "GET", "/api/v1/session", &[user, host], "");
    let cookie = ("cookie", cookie(&session).unwrap());
    let session: Value = serde_json::from_str(&session.body).unwrap();
    assert_eq!(session["who"], "ada");
    let token = ("x-csrf-token", session["csrf_token"].as_str().unwrap());
    let json = ("content-type", "application/json");
    let headers = [user, host, cookie, token, json];
    assert_eq!(
        ask(address, "POST", "/api/v1/prune", &headers, r#"{"days":0}"#).status,
        200
    );
    assert!(is_audited(&server, "ada", "prune"));
    let messages: Vec<_> = audited(&server)
        .map(|line| line["message"].clone())
        .collect();
    assert_eq!(
        messages,
        ["an operator began an action", "an operator acted"]
    );

    let is_secure = |protocol: &[(&'static str, &'static str)]| {
        let headers = [&[user, host], protocol].concat();
        let session = ask(address, "GET", "/api/v1/session", &headers, "");
        session.head.contains("SameSite=Strict; Secure\r\n")
    };
    assert!(is_secure(&[("x-forwarded-proto", "https")]));
    assert!(!is_secure(&[("x-forwarded-proto", "http")]));
    assert!(!is_secure(&[]));
}

#[test]
fn a_meeting_reaches_the_browser_reduced() {
    let server = start_in(dir());
    let address = server.pages;
    send(&server, &meeting("two-hours", 7_200));
    server.settle();
    let id = id(&server, "two-hours");
    let path = |rest: &str| format!("/api/v1/events/{id}/{rest}");
    let whole = get(address, &path("meeting?buckets=300"), "*/*").body;
    assert!(whole.len() < 100_000, "{}", whole.len());
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(whole["duration"], 7200.0);
    assert_eq!(whole["words"], Value::Null);
    assert_eq!(whole["curves"][0]["buckets"].as_array().unwrap().len(), 150);
    let lanes = whole["lanes"].as_array().unwrap();
    let turns: u64 = lanes
        .iter()
        .map(|lane| lane["turns"].as_u64().unwrap())
        .sum();
    assert_eq!(turns, 1_800);
    let part = json_of(address, &path("meeting?from=100&to=110&buckets=1000"));
    assert_eq!(part["words"].as_array().unwrap().len(), 10);
    assert_eq!(part["curves"][0]["bucket"], 0.5);
    assert_eq!(
        json_of(address, &path("words?from=5&to=6"))[0]["text"],
        "look"
    );
    assert_eq!(get(address, &path("words?from=0"), "*/*").status, 400);

    let rttm = get(address, &path("rttm"), "*/*");
    assert!(
        rttm.body.starts_with("SPEAKER two-hours 1 "),
        "{}",
        rttm.body
    );
    assert!(
        rttm.head
            .contains("attachment; filename=\"pyannote-two-hours.rttm\""),
        "{}",
        rttm.head
    );
    assert!(
        get(address, &path("vtt"), "*/*")
            .body
            .starts_with("WEBVTT\n")
    );
    assert!(
        get(address, &path("srt"), "*/*")
            .body
            .starts_with("1\n00:00:00,000 -->")
    );
    assert_eq!(
        get(address, &path("body"), "*/*").body,
        meeting("two-hours", 7_200).to_string()
    );
    let document = json_of(address, "/api/v1/openapi.json");
    assert_eq!(document["paths"].as_object().unwrap().len(), 16);
    for path in [
        "/api/v1/events/999/meeting",
        "/api/v1/events/x/body",
        "/page/events/999",
        "/api/v1/none",
    ] {
        assert_eq!(get(address, path, "*/*").status, 404, "{path}");
    }
}

#[test]
fn an_open_page_does_not_hold_up_the_end() {
    let mut server = start_in(dir());
    let mut stream = connect(server.pages);
    let head = format!(
        "GET /api/v1/stream HTTP/1.1\r\nhost: {}\r\n\r\n",
        server.pages
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut first = [0; 64];
    std::io::Read::read_exact(&mut stream, &mut first).unwrap();
    let begun = std::time::Instant::now();
    server.signal("TERM");
    assert!(server.wait().success());
    let took = begun.elapsed();
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
}

#[test]
fn forty_downloads_of_a_large_body_share_the_memory() {
    let server = start_in(dir());
    let address = server.pages;
    let megabytes = 24;
    let blob = "x".repeat(megabytes << 20);
    send(
        &server,
        &json!({ "jobId": "large", "status": "succeeded", "output": { "blob": blob } }),
    );
    server.settle();
    let id = id(&server, "large");
    let before = peak_megabytes(&server);
    let request = format!(
        "GET /api/v1/events/{id}/body HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    );
    let mut streams: Vec<_> = (0..40).map(|_| connect(address)).collect();
    for stream in &mut streams {
        stream.write_all(request.as_bytes()).unwrap();
    }
    // The test reads none of the downloads, so each one keeps its memory.
    let begun = |stream: &std::net::TcpStream| stream.peek(&mut [0]).unwrap() > 0;
    assert!(begun(&streams[0]) || begun(&streams[1]));
    std::thread::sleep(std::time::Duration::from_secs(3));
    let grown = peak_megabytes(&server) - before;
    assert!(
        grown < 16 * megabytes,
        "{grown} MB more for 40 downloads of {megabytes} MB"
    );
    drop(streams);
    let whole = get(address, &format!("/api/v1/events/{id}/body"), "*/*");
    assert!(whole.body.len() > megabytes << 20);
    assert!(
        whole
            .head
            .contains(&format!("content-length: {}\r\n", whole.body.len()))
    );
}

/// Returns the peak memory of the receiver in MB.
fn peak_megabytes(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim()
        .trim_end_matches(" kB")
        .parse::<usize>()
        .unwrap()
        >> 10
}

#[test]
fn the_system_page_shows_connections_limits_and_settings() {
    let server = start_in(dir());
    let address = server.pages;
    send(&server, &json!({ "jobId": "a", "status": "succeeded" }));
    server.settle();
    let system = json_of(address, "/api/v1/system");
    let private = &system["connections"][1];
    assert_eq!(
        (private["listener"].as_str(), private["most"].as_u64()),
        (Some("private"), Some(64))
    );
    assert_eq!(private["open"], 1);
    assert_eq!(system["connections"][0]["listener"], "public");
    assert_eq!(system["limits"]["body_bytes"], 128 << 20);
    assert_eq!(system["limits"]["budget_used_bytes"], 0);
    assert_eq!(system["rates"]["last_minute"], 1);
    assert_eq!(system["rates"]["last_hour"], 1);
    assert_eq!(system["reconciler"], Value::Null);
    let settings = system["settings"].as_array().unwrap();
    let value =
        |name: &str| settings.iter().find(|fact| fact["name"] == name).unwrap()["value"].clone();
    assert_eq!(value("limits.connections"), "192");
    assert_eq!(value("page.token_hash"), "-");
    let page = get(address, "/page/system", "text/html").body;
    for text in [
        "Open connections, public",
        "Memory for bodies",
        "limits.connections",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains(SECRET));
}

#[test]
fn a_recording_comes_in_parts_from_its_submission_alone() {
    let with_api = WithApi::start(dir());
    let server = &with_api.server;
    let address = server.pages;
    let audio = silence();
    let id = with_api.record(audio.clone());
    send(
        server,
        &json!({ "jobId": "unknown", "status": "succeeded" }),
    );
    let path = format!("/api/v1/events/{id}/audio");
    let part = |range: &str| {
        let mut stream = connect(address);
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nrange: {range}\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")
            .unwrap()
            + 4;
        (
            String::from_utf8_lossy(&answer[..end]).into_owned(),
            answer.split_off(end),
        )
    };
    let (head, first) = part("bytes=0-");
    assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
    assert!(
        head.contains(&format!(
            "content-range: bytes 0-1048575/{}\r\n",
            audio.len()
        )),
        "{head}"
    );
    assert!(head.contains("content-length: 1048576\r\n"), "{head}");
    assert_eq!(first, audio[..1 << 20]);
    let (head, last) = part("bytes=2399000-");
    assert!(
        head.contains(&format!(
            "content-range: bytes 2399000-{}/{}\r\n",
            audio.len() - 1,
            audio.len()
        )),
        "{head}"
    );
    assert_eq!(last, audio[2_399_000..]);
    assert!(part("bytes=9999999-").0.starts_with("HTTP/1.1 400 "));
    assert!(part("bytes=-5").0.starts_with("HTTP/1.1 400 "));

    let status =
        |path: &str, headers: &[(&str, &str)]| ask(address, "GET", path, headers, "").status;
    let range = ("range", "bytes=0-9");
    assert_eq!(
        status(
            &path,
            &[
                range,
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
                ("sec-fetch-dest", "audio")
            ]
        ),
        403
    );
    let other = self::id(server, "unknown");
    assert_eq!(
        status(
            &format!("/api/v1/events/{other}/audio?url=media://standup.wav"),
            &[range]
        ),
        404
    );
    let page = get(
        address,
        &format!("/page/events/{other}/meeting"),
        "text/html",
    );
    assert!(!page.body.contains("/audio"));
    let page = get(address, &format!("/page/events/{id}/meeting"), "text/html");
    assert!(page.body.contains(&path));
    let filtered = json_of(address, "/api/v1/events?reference=standup%2042");
    assert_eq!(filtered["events"].as_array().unwrap().len(), 1);
    assert_eq!(
        json_of(address, "/api/v1/events?reference=standup")["events"],
        json!([])
    );
    let log = server.log();
    for secret in [KEY, "signature=", "simulator/media"] {
        assert!(
            !log.contains(secret) && !head.contains(secret) && !page.body.contains(secret),
            "{secret}"
        );
    }
}
