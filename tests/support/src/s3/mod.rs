//! An S3 server, moto from PyPI, behind a proxy that makes faults.

mod proxy;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

pub use self::proxy::{Fault, Message};
use crate::language;

/// A running S3 server with one bucket, `meetings`. It ends when it is dropped.
pub struct S3 {
    server: Child,
    upstream: SocketAddr,
    /// The address of the proxy.
    pub address: SocketAddr,
}

impl S3 {
    /// Starts a server without faults. See [`S3::start_with`].
    pub fn start(directory: &str) -> Option<Self> {
        Self::start_with(directory, |_| Fault::None)
    }

    /// Starts a server. `fault` gets each request and decides what goes wrong.
    ///
    /// `directory` is `CARGO_TARGET_TMPDIR`, which keeps the Python packages. Returns `None` if Python or the packages are not
    /// to be had.
    ///
    /// # Panics
    ///
    /// Panics if they are not to be had and the environment variable `CI` is set.
    pub fn start_with(
        directory: &str,
        fault: impl Fn(&Message) -> Fault + Send + Sync + 'static,
    ) -> Option<Self> {
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/s3/requirements.txt");
        let python = language::python(&Path::new(directory).join("moto"), &requirements)?;
        let mut server = Command::new(python)
            .args(["-c", include_str!("serve.py")])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let upstream = line.trim_end().strip_prefix("listening on ");
        let upstream = upstream.expect("the S3 server listens").parse().unwrap();
        let address = proxy::start(upstream, Arc::new(fault));
        let s3 = Self {
            server,
            upstream,
            address,
        };
        assert_eq!(s3.ask("PUT", "/meetings").status, 200);
        Some(s3)
    }

    /// Returns the environment of a client that reaches the server through the proxy.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE".into()),
            ("AWS_SECRET_ACCESS_KEY", "aws_secret_of_the_test".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ALLOW_HTTP", "true".into()),
        ]
    }

    /// Returns the objects in the bucket by key.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let listed = self.ask("GET", "/meetings?list-type=2&max-keys=1000");
        let listed = String::from_utf8(listed.body).unwrap();
        assert!(
            listed.contains("<IsTruncated>false</IsTruncated>"),
            "{listed}"
        );
        let keys = listed.split("<Key>").skip(1);
        let keys = keys.map(|rest| rest.split("</Key>").next().unwrap().to_owned());
        keys.map(|key| {
            let object = self.ask("GET", &format!("/meetings/{key}"));
            assert_eq!(object.status, 200, "{key}");
            (key, object.body)
        })
        .collect()
    }

    /// Returns the value of a header of an object.
    pub fn header(&self, key: &str, name: &str) -> Option<String> {
        let object = self.ask("GET", &format!("/meetings/{key}"));
        object.header(name).map(str::to_owned)
    }

    /// Sends a request past the proxy.
    fn ask(&self, method: &str, path: &str) -> Message {
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders=host, \
                             Signature=0";
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: {authorization}\r\ncontent-length: 0\r\n\r\n",
            self.upstream
        );
        let request = Message::read(&mut head.as_bytes(), true).unwrap();
        request.forward(self.upstream).unwrap()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
