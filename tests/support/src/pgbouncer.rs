//! A PgBouncer of the test's own.

use std::{
    env,
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        net::UnixStream,
        process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::postgres::Postgres;

/// A pooler between a test and its PostgreSQL server. It stops when it is dropped, or when the test's process ends.
pub struct PgBouncer {
    directory: TempDir,
    keeper: Child,
}

impl PgBouncer {
    /// Starts PgBouncer in a pool mode, `session` or `transaction`, with further lines of configuration.
    ///
    /// Returns `None` if PgBouncer is not installed.
    ///
    /// # Panics
    ///
    /// Panics if PgBouncer is not installed and the environment variable `CI` is set.
    pub fn start(server: &Postgres, mode: &str, further: &str) -> Option<Self> {
        let Some(program) = PROGRAMS.iter().find(|program| Path::new(program).is_file()) else {
            assert!(
                env::var_os("CI").is_none(),
                "PgBouncer is required in CI, and it is not installed"
            );
            eprintln!("skipped: PgBouncer is not installed");
            return None;
        };
        let directory = TempDir::new().expect("a temporary directory");
        let folder = directory.path().to_str().expect("a readable path");
        let url = server.url("postgres");
        let (_, socket) = url
            .split_once("?host=")
            .expect("the server listens on a socket");
        let socket = socket.replace("%2F", "/");
        let configuration = format!(
            "[databases]\n* = host={socket}\n[pgbouncer]\nlisten_port = 6432\nunix_socket_dir = {folder}\n\
             auth_type = trust\nauth_file = {folder}/users\npool_mode = {mode}\nmax_client_conn = 200\n\
             default_pool_size = 8\n{further}\n"
        );
        fs::write(directory.path().join("users"), "\"postgres\" \"\"\n")
            .expect("the folder is ours");
        fs::write(directory.path().join("pgbouncer.ini"), configuration)
            .expect("the folder is ours");
        let mut command = Command::new("sh");
        command
            .args(["-c", KEEPER, "sh", program])
            .arg(directory.path().join("pgbouncer.ini"));
        // PgBouncer refuses to run as root.
        if fs::metadata(directory.path())
            .expect("the folder exists")
            .uid()
            == 0
        {
            chown(directory.path(), Some(NOBODY), None).expect("root may");
            fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("root may");
            command.uid(NOBODY);
        }
        let keeper = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        let pooler = Self { directory, keeper };
        let begun = Instant::now();
        while UnixStream::connect(pooler.directory.path().join(".s.PGSQL.6432")).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "PgBouncer did not start"
            );
            thread::sleep(Duration::from_millis(20));
        }
        Some(pooler)
    }

    /// Returns the address of a database through the pooler.
    pub fn url(&self, database: &str) -> String {
        let folder = self.directory.path().to_str().expect("a readable path");
        let folder = folder.replace('/', "%2F");
        format!("postgres://postgres@localhost:6432/{database}?host={folder}")
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Stops PgBouncer when its standard input is closed.
const KEEPER: &str = r#"
"$1" -q "$2" & server=$!
cat
kill $server
wait
"#;

const PROGRAMS: [&str; 3] = [
    "/usr/sbin/pgbouncer",
    "/usr/bin/pgbouncer",
    "/usr/local/bin/pgbouncer",
];
const NOBODY: u32 = 65_534;
