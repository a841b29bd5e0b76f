use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use bytes::Bytes;
use tower_pyannote::{SigningKey, WebhookSecret};
use tower_pyannote_benches::SECRET;

use crate::receivers::Receiver;

pub(crate) struct Measured {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Seconds.
    pub(crate) p99: f64,
    /// The receiver's CPU time for a request, in seconds.
    pub(crate) cpu: f64,
    /// The receiver's peak memory, in KiB.
    pub(crate) peak: f64,
}

/// Loads a receiver with jobs that have the same output.
pub(crate) fn run(receiver: &Receiver, body: &Bytes, time: Duration) -> Measured {
    let directory = env::temp_dir().join(format!("tower-pyannote-wrk-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("it can be made");
    let script = script(&directory, receiver.name, body);
    let running = receiver.start();
    let pid = running.child.id();
    let url = format!("http://127.0.0.1:{}/webhook", running.port);
    let wrk = |seconds: u64| {
        let connections = if body.len() > 1 << 20 { "4" } else { "32" };
        let output = Command::new("taskset")
            .args([
                "-c",
                "1",
                "wrk",
                "-t1",
                "-c",
                connections,
                "--latency",
                "--timeout",
                "30s",
            ])
            .args(["-d", &format!("{seconds}s"), "-s"])
            .args([&script.display().to_string(), &url])
            .output()
            .expect("wrk is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    wrk(1);
    let before = cpu(pid);
    let told = wrk(time.as_secs());
    let spent = cpu(pid) - before;
    let figure = |name: &str| -> f64 {
        let line = told.lines().find_map(|line| line.strip_prefix(name));
        let figure = line.and_then(|line| line.trim().parse().ok());
        figure.unwrap_or_else(|| panic!("wrk tells {name}:\n{told}"))
    };
    assert_eq!(
        figure("refused"),
        0.0,
        "{} takes all deliveries",
        receiver.name
    );
    let requests = figure("requests");
    let measured = Measured {
        rate: requests / figure("seconds"),
        p99: figure("p99"),
        cpu: spent / requests,
        peak: status(pid, "VmHWM:"),
    };
    let _ = fs::remove_dir_all(directory);
    measured
}

/// Writes the script of wrk, which sends jobs in turn and prints its results as plain numbers.
fn script(directory: &Path, name: &str, body: &Bytes) -> std::path::PathBuf {
    // Only an inbox treats a repeated job differently.
    let jobs = match (name, body.len()) {
        ("server", ..=4_096) => 20_000,
        ("server", ..=1_048_576) => 200,
        ("server", _) => 8,
        _ => 1,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let timestamp = now.expect("it is past 1970").as_secs().to_string();
    let key = SigningKey::new(&WebhookSecret::new(SECRET).expect("the secret is valid"));
    let text = std::str::from_utf8(body).expect("it is text");
    let rest = text
        .strip_prefix("{\"jobId\":\"")
        .expect("the job comes first");
    let (job, rest) = rest.split_at(12);
    let rest_file = directory.join("rest.json");
    fs::write(&rest_file, rest).expect("it can be written");
    let mut script = format!(
        "local file = io.open({:?}, 'rb')\nlocal rest = file:read('*a')\nlocal jobs = {{\n",
        rest_file
    );
    for number in 0..jobs {
        let job = if jobs == 1 {
            job.to_owned()
        } else {
            format!("{number:012x}")
        };
        let head = format!("{{\"jobId\":\"{job}");
        let mut signer = key.start(timestamp.as_bytes());
        signer.update(head.as_bytes());
        signer.update(rest.as_bytes());
        let signature = signer.finish().to_hex();
        let _ = writeln!(script, "{{'{head}','{signature}'}},");
    }
    let _ = write!(
        script,
        "}}
local next = 0
local made = {{}}
function request()
  next = next % #jobs + 1
  local request = made[next]
  if not request then
    local job = jobs[next]
    request = wrk.format('POST', nil, {{
      ['Content-Type'] = 'application/json', ['X-Request-Timestamp'] = '{timestamp}', ['X-Signature'] = job[2],
    }}, job[1] .. rest)
    made[next] = request
  end
  return request
end
function done(summary, latency)
  print('requests ' .. summary.requests)
  print('seconds ' .. summary.duration / 1e6)
  print('refused ' .. summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout)
  print('p99 ' .. latency:percentile(99) / 1e6)
end
"
    );
    let path = directory.join("load.lua");
    fs::write(&path, script).expect("it can be written");
    path
}

/// Returns the CPU time of a process, in seconds.
fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, after_name) = stat.rsplit_once(')').expect("its name is in parentheses");
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 = fields[11..13]
        .iter()
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum();
    ticks / TICKS_PER_SECOND
}

fn status(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.unwrap_or_default()
}

/// Clock ticks a second, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
