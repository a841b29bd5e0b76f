//! A PostgreSQL server for tests.

use std::{
    env, fs,
    io::{Read, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A running server and its data, which are deleted when it is dropped or the tests end.
pub struct Postgres {
    programs: PathBuf,
    directory: TempDir,
    /// Stops the server when its stdin is closed. The system closes it when the tests end, even if they are killed.
    keeper: Option<Child>,
    user: Option<u32>,
    /// The IP address that the server listens on; none if empty.
    listens_on: String,
}

impl Postgres {
    /// Starts a server. Where PostgreSQL is not installed, panics in CI and returns `None` elsewhere.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(
                env::var_os("CI").is_none(),
                "PostgreSQL (initdb) is not installed, which CI requires"
            );
            eprintln!("skipped: PostgreSQL (initdb) is not installed");
            return None;
        };
        let directory = TempDir::new().expect("a temporary directory");
        let owner = fs::metadata(directory.path())
            .expect("metadata of the directory")
            .uid();
        // PostgreSQL refuses to run as root.
        let user = (owner == 0).then_some(NOBODY);
        if let Some(user) = user {
            chown(directory.path(), Some(user), None).expect("a change of owner");
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))
                .expect("a change of permissions");
        }
        let mut postgres = Self {
            programs,
            directory,
            keeper: None,
            user,
            listens_on: String::new(),
        };
        let made = postgres
            .program("initdb")
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-locale",
                "-D",
            ])
            .arg(postgres.data())
            .stdout(Stdio::null())
            .status()
            .expect("initdb runs");
        assert!(made.success(), "initdb: {made}");
        postgres.go_on();
        Some(postgres)
    }

    /// Returns the URL of a database.
    pub fn url(&self, database: &str) -> String {
        let socket = self.directory.path().to_str().expect("a readable path");
        format!(
            "postgres://postgres@localhost/{database}?host={}",
            socket.replace('/', "%2F")
        )
    }

    /// Creates a database and returns its URL.
    pub fn database(&self, name: &str) -> String {
        self.psql(&format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    /// Runs a statement as the superuser.
    pub fn psql(&self, statement: &str) {
        let done = self
            .program("psql")
            .args([
                "--no-psqlrc",
                "--quiet",
                "--username=postgres",
                "--dbname=postgres",
                "--host",
            ])
            .arg(self.directory.path())
            .args(["--command", statement])
            .stdout(Stdio::null())
            .status()
            .expect("psql runs");
        assert!(done.success(), "{statement}: {done}");
    }

    /// Makes the server ask for the password of a role.
    pub fn asks_for_passwords_of(&self, role: &str) {
        let rules = self.data().join("pg_hba.conf");
        let others = fs::read_to_string(&rules).expect("pg_hba.conf of initdb");
        let rule = format!("local all {role} scram-sha-256\n{others}");
        fs::write(&rules, rule).expect("a writable pg_hba.conf");
        self.psql("SELECT pg_reload_conf()");
    }

    /// Restarts the server so that it also listens on a loopback address, with TLS.
    ///
    /// Returns the address of a database and the path of the authority's certificate. Where openssl is not installed, panics in CI
    /// and returns `None` elsewhere.
    pub fn listen_with_tls(&mut self, database: &str) -> Option<(String, PathBuf)> {
        // Every process has an address of its own, so that all servers can have the same port.
        let [.., a, b] = std::process::id().to_be_bytes();
        let ip = format!("127.83.{a}.{b}");
        let leaf = format!(
            "-new -subj /CN=server -keyout key.pem -out leaf.csr -addext subjectAltName=IP:{ip}"
        );
        for arguments in [
            "req -x509 -days 2 -subj /CN=authority -keyout authority.key -out authority.pem".to_owned(),
            format!("req {leaf}"),
            "x509 -req -days 2 -in leaf.csr -CA authority.pem -CAkey authority.key -copy_extensions copy -out leaf.pem".to_owned(),
        ] {
            let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
            let key = if arguments.starts_with("req") { key } else { "" };
            let made = self
                .of_user("openssl")
                .args(arguments.split(' ').chain(key.split_whitespace()))
                .stderr(Stdio::null())
                .status();
            if made.is_err() {
                assert!(env::var_os("CI").is_none(), "openssl is not installed, which CI requires");
                eprintln!("skipped: openssl is not installed");
                return None;
            }
            assert!(made.is_ok_and(|made| made.success()), "openssl {arguments}");
        }
        let append = |file: &str, lines: String| {
            let path = self.data().join(file);
            let text = fs::read_to_string(&path).expect("a file of initdb");
            fs::write(&path, text + &lines).expect("a writable file");
        };
        append(
            "pg_hba.conf",
            "\nhostssl all all 127.0.0.0/8 trust\n".to_owned(),
        );
        let folder = self.directory.path().display();
        let settings = format!(
            "\nssl = on\nssl_cert_file = '{folder}/leaf.pem'\nssl_key_file = '{folder}/key.pem'\n"
        );
        append("postgresql.conf", settings);
        self.stop();
        self.listens_on.clone_from(&ip);
        self.go_on();
        let authority = self.directory.path().join("authority.pem");
        Some((format!("postgres://postgres@{ip}/{database}"), authority))
    }

    /// Stops the server at once, as a crash would, and keeps the data.
    pub fn stop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            let mut stdin = keeper.stdin.take().expect("stdin is piped");
            stdin.write_all(b"keep").expect("the keeper reads");
            drop(stdin);
            keeper.wait().expect("the keeper ends");
        }
    }

    /// Starts the server on its data.
    pub fn go_on(&mut self) {
        let mut command = self.of_user("sh");
        command
            .arg("-c")
            .arg(KEEPER)
            .arg("sh")
            .arg(self.programs.join("postgres"))
            .arg(self.data())
            .arg(self.directory.path())
            .arg(&self.listens_on)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut keeper = command.spawn().expect("sh runs");
        let mut log = keeper.stderr.take().expect("stderr is piped");
        let kept = thread::spawn(move || {
            let mut text = String::new();
            let _ = log.read_to_string(&mut text);
            text
        });
        self.keeper = Some(keeper);
        let begun = Instant::now();
        while !self.is_ready() {
            if begun.elapsed() > Duration::from_secs(30) {
                self.stop();
                panic!(
                    "PostgreSQL did not start: {}",
                    kept.join().expect("the log reader ends")
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_ready(&self) -> bool {
        self.program("pg_isready")
            .args(["--quiet", "--host"])
            .arg(self.directory.path())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        self.of_user(self.programs.join(name))
    }

    fn of_user(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory.path());
        if let Some(user) = self.user {
            command.uid(user);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns the directory of the programs: Debian's for servers, or one on the path.
fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"));
    let mut folders = debian.chain(env::split_paths(&path));
    folders.find(|folder| {
        PROGRAMS
            .iter()
            .all(|program| is_file(&folder.join(program)))
    })
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// Arguments: the program, the data and the directory. Deletes the directory unless it reads `keep`.
const KEEPER: &str = r#"
"$1" -D "$2" -k "$3" -c listen_addresses="$4" & server=$!
word=$(cat)
kill -QUIT $server
wait
[ "$word" = keep ] || rm -rf "$3"
"#;

const PROGRAMS: [&str; 4] = ["initdb", "postgres", "psql", "pg_isready"];
const NOBODY: u32 = 65_534;
