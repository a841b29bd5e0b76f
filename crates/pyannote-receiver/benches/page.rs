//! Measures how much an open page slows deliveries down, and how fast the largest pages load.
//!
//! The first table delivers events to a receiver in short turns, with a page open in every other turn. An open page is a
//! client that does what `page.js` does: it listens to the stream of changes, and fetches the list after each. The second
//! table loads the list of 100,000 events, and a meeting of a day with words and three curves.
//!
//! Environment variables: `TURNS` sets the number of pairs of turns, 40 by default, `EVENTS` the number of events in a turn,
//! 1,000 by default, and `BACKLOG` the number of events in the list, 100,000 by default.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tower_pyannote::{WebhookSecret, testing::SignedRequest};
use tower_pyannote_test_support::{
    http::SECRET,
    process::{SECRET_NAME, Server, dir},
};

fn main() {
    // `cargo test --benches` checks that the benchmark runs, and needs no figures.
    let quick = !env::args().any(|argument| argument == "--bench");
    let number = |name, usual, least| match quick {
        true => least,
        false => env::var(name).map_or(usual, |text| text.parse().expect(name)),
    };
    let events = number("EVENTS", 1_000, 20);
    let mut jobs = 0;
    compare(number("TURNS", 40, 1), events, &mut jobs);
    load(
        number("BACKLOG", 100_000, 60),
        if quick { 600 } else { 86_400 },
        &mut jobs,
    );
}

/// Prints events a second and the CPU time of an event, with the page closed and with the page open.
fn compare(turns: usize, events: usize, jobs: &mut usize) {
    let server = start();
    deliver(&server, events, jobs);
    let mut figures = [Vec::new(), Vec::new()];
    let mut ratios = Vec::new();
    let mut fetches = 0;
    for turn in 0..turns {
        let mut rates = [0.0; 2];
        // Each goes first in half of the pairs.
        let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
        for open in order {
            let page = (open == 1).then(|| Page::open(server.pages));
            let (begun, cpu) = (Instant::now(), cpu(&server));
            deliver(&server, events, jobs);
            rates[open] = events as f64 / begun.elapsed().as_secs_f64();
            let cost = (self::cpu(&server) - cpu).as_secs_f64() * 1e6 / events as f64;
            figures[open].push([rates[open], cost]);
            fetches += page.map_or(0, Page::close);
        }
        ratios.push(rates[1] / rates[0]);
    }
    println!("page      events/s   CPU us an event   ({turns} turns of {events} events each)");
    for (name, figures) in ["closed", "open"].iter().zip(&figures) {
        let [rate, cost] = [0, 1].map(|index| median(figures.iter().map(|row| row[index])));
        println!("{name:<8} {rate:>9.0} {cost:>17.0}");
    }
    println!(
        "open / closed, median of pairs: {:.3}; the page fetched the list {fetches} times\n",
        median(ratios)
    );
}

/// Prints how long pages take, and their bytes on the wire.
fn load(backlog: usize, seconds: u32, jobs: &mut usize) {
    let server = start();
    deliver(&server, backlog, jobs);
    println!(
        "page                        first byte ms   whole ms     bytes   (medians of {LOADS})"
    );
    let list = Page::text(server.pages, "/page");
    row("list", server.pages, &["/page".to_owned()]);
    let assets = || {
        list.split('"')
            .filter(|text| text.starts_with("/page/assets/"))
    };
    let all = [
        vec!["/page".to_owned()],
        assets().map(str::to_owned).collect(),
    ]
    .concat();
    row("list, scripts and styles", server.pages, &all);
    let older = list
        .split('"')
        .find(|text| text.contains("before="))
        .expect("an older page");
    row(
        "list, next page",
        server.pages,
        &[older.replace("&amp;", "&")],
    );

    let body = day(seconds);
    println!(
        "a meeting of {seconds} s, {} MB of JSON:",
        body.len() / 1_000_000
    );
    send(&mut connect(server.address), &request(&body));
    let list = Page::text(server.pages, "/api/v1/events?job=day");
    let id = list
        .split("\"id\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let address = format!("/page/events/{}", id.expect("the event"));
    let (first, whole, bytes) = get(server.pages, &format!("{address}/meeting"));
    print_row("meeting, read from the inbox", first, whole, bytes);
    row(
        "meeting, in memory",
        server.pages,
        &[format!("{address}/meeting")],
    );
    row(
        "timeline of all",
        server.pages,
        &[format!("{address}/timeline?buckets=1000")],
    );
    row(
        "timeline of a minute",
        server.pages,
        &[format!(
            "{address}/timeline?from=40000&to=40060&buckets=1000"
        )],
    );
}

fn row(name: &str, address: SocketAddr, paths: &[String]) {
    let mut loads: Vec<[f64; 3]> = Vec::new();
    for _ in 0..LOADS {
        let mut sum = [0.0; 3];
        for path in paths {
            let (first, whole, bytes) = get(address, path);
            sum[0] = if sum[0] == 0.0 { first } else { sum[0] };
            sum[1] += whole;
            sum[2] += bytes as f64;
        }
        loads.push(sum);
    }
    let [first, whole, bytes] = [0, 1, 2].map(|index| median(loads.iter().map(|row| row[index])));
    print_row(name, first, whole, bytes as usize);
}

fn print_row(name: &str, first: f64, whole: f64, bytes: usize) {
    println!("{name:<28} {first:>12.1} {whole:>10.1} {bytes:>9}");
}

/// Returns the milliseconds to the first byte and to the last, and the bytes on the wire.
fn get(address: SocketAddr, path: &str) -> (f64, f64, usize) {
    let begun = Instant::now();
    let mut stream = connect(address);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n")
        .expect("it listens");
    let milliseconds = |begun: Instant| begun.elapsed().as_secs_f64() * 1e3;
    let mut answer = vec![0];
    stream.read_exact(&mut answer).expect("an answer");
    let first = milliseconds(begun);
    stream.read_to_end(&mut answer).expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}");
    (first, milliseconds(begun), answer.len())
}

/// A client that keeps the list up to date as `page.js` does.
struct Page {
    stream: TcpStream,
    fetches: Arc<AtomicU64>,
    closed: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Page {
    fn open(address: SocketAddr) -> Self {
        let mut stream = connect(address);
        write!(
            stream,
            "GET /api/v1/stream HTTP/1.1\r\nhost: {address}\r\n\r\n"
        )
        .expect("it listens");
        let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
        let first = lines
            .by_ref()
            .find(|line| line.as_ref().is_ok_and(|line| line.starts_with("data:")));
        first.expect("the first change").expect("a line");
        let (fetches, closed) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let thread = thread::spawn({
            let (fetches, closed) = (Arc::clone(&fetches), Arc::clone(&closed));
            move || {
                for line in lines.map_while(Result::ok) {
                    if line.starts_with("data:") && !closed.load(Ordering::Relaxed) {
                        get(address, "/page");
                        fetches.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        Self {
            stream,
            fetches,
            closed,
            thread,
        }
    }

    /// Returns how often the list was fetched.
    fn close(self) -> u64 {
        self.closed.store(true, Ordering::Relaxed);
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        self.thread.join().expect("the page worked");
        self.fetches.load(Ordering::Relaxed)
    }

    fn text(address: SocketAddr, path: &str) -> String {
        tower_pyannote_test_support::http::get(address, path, "*/*").body
    }
}

fn start() -> Server {
    let flags = ["--private-listen", "127.0.0.1:0", "--no-handlers"];
    let mut server = Server::start_in(dir(), &flags, &[(SECRET_NAME, SECRET)]);
    server.private_address();
    server
}

/// Delivers events of new jobs over 8 connections, each after the answer to the last one.
fn deliver(server: &Server, events: usize, jobs: &mut usize) {
    let first = *jobs;
    *jobs += events;
    let address = server.address;
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            scope.spawn(move || {
                let mut stream = connect(address);
                for job in (first + sender..first + events).step_by(SENDERS) {
                    let padding = "x".repeat(1_900);
                    let body = format!(r#"{{"jobId":"job-{job:09}","status":"succeeded","output":{{"voiceprint":"{padding}"}}}}"#);
                    send(&mut stream, &request(&body));
                }
            });
        }
    });
}

fn request(body: &str) -> Vec<u8> {
    let secret = WebhookSecret::new(SECRET).expect("a secret");
    let signed = SignedRequest::new(&secret, body.to_owned());
    let mut request = format!(
        "POST /webhook HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in &signed.headers() {
        request += &format!("{name}: {}\r\n", value.to_str().expect("it is ASCII"));
    }
    [(request + "\r\n").as_bytes(), body.as_bytes()].concat()
}

/// Sends a delivery and reads the answer, which has no body.
fn send(stream: &mut TcpStream, request: &[u8]) {
    stream.write_all(request).expect("the receiver reads");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut next = [0; 256];
        let read = stream.read(&mut next).expect("the receiver answers");
        assert_ne!(read, 0, "the connection ended");
        answer.extend(&next[..read]);
    }
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    stream
        .set_read_timeout(Some(Duration::from_secs(120)))
        .expect("a socket");
    stream
}

/// Returns the CPU time of the receiver so far.
fn cpu(server: &Server) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.id())).expect("it runs");
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .expect("a name")
        .split_whitespace()
        .collect();
    let ticks: u64 = [11, 12]
        .iter()
        .map(|&field| fields[field].parse::<u64>().expect("a number"))
        .sum();
    Duration::from_millis(ticks * 10)
}

/// A meeting of four speakers: a turn every 5.2 s, words, and three curves of 50 scores a second.
fn day(seconds: u32) -> String {
    let mut random = fastrand::Rng::with_seed(7);
    let mut list = |count: u32, item: &mut dyn FnMut(&mut fastrand::Rng, u32) -> String| {
        let items: Vec<_> = (0..count).map(|number| item(&mut random, number)).collect();
        format!("[{}]", items.join(","))
    };
    let turns = list(seconds * 10 / 52, &mut |random, number| {
        let start = f64::from(number) * 5.2;
        let end = start + 1.0 + random.f64() * 5.0;
        format!(
            r#"{{"speaker":"SPEAKER_0{}","start":{start:.2},"end":{end:.2}}}"#,
            random.u8(..4)
        )
    });
    let words = list(seconds * 23 / 10, &mut |random, number| {
        let start = f64::from(number) / 2.3;
        let end = start + 0.4;
        format!(
            r#"{{"speaker":"SPEAKER_0{}","start":{start:.2},"end":{end:.2},"text":"word"}}"#,
            random.u8(..4)
        )
    });
    let mut curve = || list(seconds * 50, &mut |random, _| random.u8(..100).to_string());
    let curves: Vec<_> = ["confidence", "speechProbability", "crosstalkProbability"]
        .iter()
        .map(|name| format!(r#""{name}":{{"resolution":0.02,"score":{}}}"#, curve()))
        .collect();
    format!(
        r#"{{"jobId":"day","status":"succeeded","output":{{"diarization":{turns},"exclusiveDiarization":{turns},"wordLevelTranscription":{words},{}}}}}"#,
        curves.join(",")
    )
}

fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

const SENDERS: usize = 8;
const LOADS: usize = 15;
