//! What a receiver behind any proxy must show.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
    time::Duration,
};

use reqwest::Client;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::runtime::Runtime;
use tower_pyannote_test_support::{
    bodies,
    http::SECRET,
    process::{Ended, SECRET_NAME, Server, comes_within, dir, run},
};

/// A proxy that serves `https://localhost:PORT`.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    /// The certificate of the authority that signed the proxy's.
    pub(crate) authority: PathBuf,
}

impl Proxy {
    /// Waits until the proxy answers with its certificate.
    pub(crate) fn wait(&self, log: &Path) {
        let answers = comes_within(Duration::from_secs(20), || {
            // The proxy may be writing the file.
            CertificateDer::from_pem_file(&self.authority).is_ok()
                && self.try_status("GET", "/", &[]).is_ok()
        });
        assert!(answers, "{}", fs::read_to_string(log).unwrap());
    }

    /// Sends a body to `/webhook` with `pyannote-receiver deliver`, up to four times, as pyannoteAI does after a timeout.
    fn deliver(&self, body: &[u8]) -> Ended {
        let mut ended = self.deliver_once(body);
        for _ in 0..3 {
            if !ended.stderr.ends_with("operation timed out\n") {
                break;
            }
            ended = self.deliver_once(body);
        }
        ended
    }

    fn deliver_once(&self, body: &[u8]) -> Ended {
        let dir = dir();
        fs::write(dir.path().join("event.json"), body).unwrap();
        let url = format!("https://localhost:{}/webhook", self.port);
        let env = [
            (SECRET_NAME, SECRET),
            ("SSL_CERT_FILE", self.authority.to_str().unwrap()),
        ];
        run(dir.path(), &["deliver", "event.json", "--url", &url], &env)
    }

    /// Returns the status of a request.
    pub(crate) fn status(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        self.try_status(method, path, headers).unwrap()
    }

    fn try_status(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<u16> {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(&self.authority).unwrap();
        roots.add(authority).unwrap();
        let client = client(roots);
        let url = format!("https://localhost:{}{path}", self.port);
        let mut request = client.request(method.parse().unwrap(), url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = Runtime::new()
            .unwrap()
            .block_on(async { request.send().await });
        Ok(response?.status().as_u16())
    }
}

/// Asserts that the proxy passes deliveries of 1 KB and 100 MiB on to the receiver, and no other path.
pub(crate) fn passes_webhooks_only(proxy: &Proxy, server: &Server) {
    let small = bodies::diarization(&bodies::job(1), 1_000);
    // A typed output of 100 MiB takes a debug build too long.
    let text = "a".repeat(100 << 20);
    let large = format!(
        r#"{{"jobId":"{}","status":"succeeded","output":{{"note":"{text}"}}}}"#,
        bodies::job(2)
    );
    for body in [&small, large.as_bytes()] {
        let ended = proxy.deliver(body);
        let accepted = Ended {
            code: Some(0),
            stdout: "200 OK\n".to_owned(),
            stderr: String::new(),
        };
        assert_eq!(ended, accepted, "{} bytes", body.len());
    }
    let mut kept: Vec<_> = server.kept().into_values().collect();
    kept.sort_by_key(Vec::len);
    assert!(kept == [small, large.into_bytes()], "the bytes differ");

    for path in ["/", "/health", "/livez", "/readyz", "/metrics", "/webhook/"] {
        assert_eq!(proxy.status("GET", path, &[]), 404, "{path}");
    }
    // The receiver's own answers come back.
    assert_eq!(proxy.status("GET", "/webhook", &[]), 405);
    assert_eq!(proxy.status("POST", "/webhook", &[]), 401);
}

/// Asserts that the proxy speaks HTTP/1.1 to its upstream and names the client that it sees.
pub(crate) fn replaces_forged_forwarding(proxy: &Proxy, upstream: Upstream) {
    let forged = [("x-forwarded-for", "203.0.113.7")];
    assert_eq!(proxy.status("POST", "/webhook", &forged), 200);
    let head = upstream.0.join().unwrap().to_lowercase();
    assert!(head.starts_with("post /webhook http/1.1\r\n"), "{head}");
    assert!(
        head.contains("\r\nx-forwarded-for: 127.0.0.1\r\n"),
        "{head}"
    );
    assert!(!head.contains("203.0.113.7"), "{head}");
    assert_eq!(head.matches("\r\nhost:").count(), 1, "{head}");
}

/// A server that reads the head of one request and answers 200.
pub(crate) struct Upstream(JoinHandle<String>);

impl Upstream {
    pub(crate) fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).unwrap();
            String::from_utf8(head).unwrap()
        });
        (Self(thread), address)
    }
}

/// Returns a client that trusts these authorities.
fn client(roots: RootCertStore) -> Client {
    let tls = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}
