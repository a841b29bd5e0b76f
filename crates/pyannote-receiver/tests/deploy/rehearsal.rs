//! A whole deployment with faults: simulator, Caddy over HTTPS, receiver, PgBouncer, PostgreSQL.

use std::{
    collections::BTreeSet,
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use rustls::RootCertStore;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower_pyannote_test_support::{
    http::{SECRET, get},
    pgbouncer::PgBouncer,
    postgres::Postgres,
    process::{SECRET_NAME, Server, dir, kept_in, wait_for, wait_until},
    program,
};

use crate::{
    caddy::Caddy,
    program::{Background, free_port, heavy},
    proxied::client,
};

#[test]
fn each_of_500_jobs_is_handled_once_and_kept_once_across_a_restart() {
    let _heavy = heavy();
    let port = free_port();
    let Some(caddy) = Caddy::start(([127, 0, 0, 1], port).into()) else {
        return;
    };
    let Some(postgres) = Postgres::start() else {
        return;
    };
    postgres.psql("CREATE DATABASE inbox");
    let Some(pooler) = PgBouncer::start(&postgres, "transaction", "") else {
        return;
    };
    let authority = caddy.proxy.authority.to_str().unwrap();
    let simulator = Simulator::start(authority);

    let database = pooler.url("inbox");
    let start = |dir| {
        let flags = ["--port", &port.to_string()];
        let env = [(SECRET_NAME, SECRET), ("DATABASE_URL", database.as_str())];
        Server::start_on_any_port(dir, &flags, &env)
    };
    let first = start(dir());
    let webhook = format!("https://localhost:{}/webhook", caddy.proxy.port);
    let mut jobs = simulator.submit(JOBS / 2, &webhook);
    let (server, rest) = thread::scope(|scope| {
        let rest = scope.spawn(|| simulator.submit(JOBS / 2, &webhook));
        wait_until("deliveries", || first.metric(COMMITTED) >= 50.0);
        first.signal("TERM");
        let next = start(first.into_dir());
        (next, rest.join().unwrap())
    });
    jobs.extend(rest);
    assert_eq!(jobs.len(), JOBS);

    wait_for("the last delivery", Duration::from_secs(120), || {
        let all = simulator.jobs();
        let delivered = all.iter().filter(|job| job["delivery"] == "delivered");
        assert!(!all.iter().any(|job| job["delivery"] == "lost"), "{all:?}");
        delivered.count() == JOBS
    });
    server.settle();
    let counts = server.inbox();
    assert_eq!(counts["handled"], JOBS, "{counts}");
    assert_eq!(counts["dead"], 0, "{counts}");

    let kept = kept_in(&server.data());
    assert_eq!(kept.len(), JOBS);
    let ids = kept.into_values().map(|body| {
        let body: Value = serde_json::from_slice(&body).unwrap();
        body["jobId"].as_str().unwrap().to_owned()
    });
    assert_eq!(ids.collect::<BTreeSet<_>>(), jobs);

    // Both processes write to one log.
    let log = server.log();
    let handled = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let handled: Vec<_> = handled
        .filter(|line: &Value| line["message"] == "event handled")
        .map(|line| line["job_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(handled.len(), JOBS);
    assert_eq!(BTreeSet::from_iter(handled), jobs);
}

/// A running simulator that loses, repeats and damages deliveries.
struct Simulator {
    address: SocketAddr,
    _process: Background,
}

impl Simulator {
    fn start(authority: &str) -> Self {
        let (dir, port) = (dir(), free_port().to_string());
        let arguments = [
            "serve",
            "--port",
            &port,
            "--rate-limit",
            "off",
            "--time-scale",
            "30",
            "--answer-timeout",
            "10",
            "--duration",
            "30",
            "--lost-first",
            "10%",
            "--doubled",
            "10%",
            "--tampered",
            "10%",
            "--cut",
            "5%",
        ];
        let env = [(SECRET_NAME, SECRET), ("SSL_CERT_FILE", authority)];
        let mut command = program::command("pyannote-simulator", dir.path(), &arguments, &env);
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        let process = Background::start(&mut command, &dir.path().join("log"));
        wait_until("the simulator", || TcpStream::connect(address).is_ok());
        Self {
            address,
            _process: process,
        }
    }

    /// Submits jobs one after another, and returns their ids.
    fn submit(&self, count: usize, webhook: &str) -> BTreeSet<String> {
        let url = format!("http://{}/v1/diarize", self.address);
        Runtime::new().unwrap().block_on(async {
            let client = client(RootCertStore::empty());
            let mut ids = BTreeSet::new();
            for _ in 0..count {
                let job = json!({ "url": "https://example.com/a.wav", "webhook": webhook });
                let request = client.post(&url).bearer_auth("sk_any");
                let request = request.header("content-type", "application/json");
                let answer = request.body(job.to_string()).send().await.unwrap();
                let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
                ids.insert(answer["jobId"].as_str().unwrap().to_owned());
            }
            ids
        })
    }

    fn jobs(&self) -> Vec<Value> {
        let page = get(self.address, "/simulator/jobs", "application/json").body;
        serde_json::from_str(&page).unwrap()
    }
}

const JOBS: usize = 500;
const COMMITTED: &str = r#"pyannote_inbox_commits_total{outcome="new"}"#;
