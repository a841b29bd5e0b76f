use std::{fs, net::TcpListener};

use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET},
    process::{Ended, SECRET_NAME, Server, dir, kept_in, run},
};

const HOST: &str = "WEBHOOK_SERVER_HOST";
const PORT: &str = "WEBHOOK_SERVER_PORT";

#[test]
fn invalid_setting_ends_the_server_with_one_line_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let dir = dir();
    fs::write(dir.path().join("file"), "").unwrap();
    let secret = (SECRET_NAME, SECRET);

    for (name, flags, env, code, named) in [
        ("no secret", &[][..], &[][..], 2, SECRET_NAME),
        ("an empty secret", &[], &[(SECRET_NAME, "")], 2, SECRET_NAME),
        (
            "a blank secret",
            &[],
            &[(SECRET_NAME, " \t")],
            2,
            SECRET_NAME,
        ),
        (
            "a blank second secret",
            &[],
            &[(SECRET_NAME, "whs_a, ")],
            2,
            SECRET_NAME,
        ),
        (
            "a secret with a line break",
            &[],
            &[(SECRET_NAME, "whs_a\n")],
            2,
            SECRET_NAME,
        ),
        ("no number", &["--port", "http"], &[secret], 2, "--port"),
        ("no port", &["--port", "65536"], &[secret], 2, "--port"),
        (
            "no number in the environment",
            &[],
            &[secret, (PORT, "8000\n1")],
            2,
            PORT,
        ),
        ("no such flag", &["--prot", "1"], &[secret], 2, "--prot"),
        (
            "a flag without value",
            &["--data-dir"],
            &[secret],
            2,
            "--data-dir",
        ),
        (
            "a bad filter",
            &[],
            &[secret, ("RUST_LOG", "info,a=b=c")],
            2,
            "RUST_LOG",
        ),
        (
            "no key to reconcile by",
            &["--reconcile"],
            &[secret],
            2,
            "--reconcile: the client's api key is not set: set PYANNOTEAI_API_KEY",
        ),
        (
            "neither yes nor no",
            &[],
            &[secret, ("WEBHOOK_SERVER_RECONCILE", "maybe")],
            2,
            "WEBHOOK_SERVER_RECONCILE",
        ),
        (
            "an api that would show the key",
            &["--reconcile", "--api-url", "http://192.0.2.1"],
            &[secret, ("PYANNOTEAI_API_KEY", "sk_a")],
            2,
            "--api-url (or PYANNOTEAI_API_URL): the client's base url",
        ),
        (
            "no pause between looks",
            &["--reconcile", "--reconcile-interval", "0"],
            &[secret, ("PYANNOTEAI_API_KEY", "sk_a")],
            2,
            "--reconcile-interval: ",
        ),
        (
            "a grace of a day",
            &["--reconcile", "--reconcile-grace", "86400"],
            &[secret, ("PYANNOTEAI_API_KEY", "sk_a")],
            2,
            "--reconcile-grace: ",
        ),
        (
            "more job reads than a team may send",
            &["--reconcile", "--api-rate", "301"],
            &[secret, ("PYANNOTEAI_API_KEY", "sk_a")],
            2,
            "--api-rate",
        ),
        (
            "a parameter of sqlite",
            &["--database-url", "sqlite://file?mode=ro"],
            &[secret],
            1,
            "--database-url (or DATABASE_URL): the address of the inbox's database cannot be used: an address of sqlite has no \
             parameters, and this one has mode: leave them out",
        ),
        (
            "a database that refuses",
            &[
                "--database-url",
                "postgres://user:whs_password@127.0.0.1:1/x",
            ],
            &[secret],
            1,
            "Connection refused",
        ),
        ("a taken port", &["--port", &taken], &[secret], 1, "--port"),
        (
            "no such host",
            &["--host", "no such host", "--port", "0"],
            &[secret],
            1,
            "--host",
        ),
        (
            "a foreign host",
            &["--port", "0"],
            &[secret, (HOST, "192.0.2.1")],
            1,
            HOST,
        ),
        (
            "a file for a directory",
            &["--data-dir", "file"],
            &[secret],
            1,
            "--data-dir file",
        ),
        (
            "a directory in a file",
            &["--data-dir", "file/data"],
            &[secret],
            1,
            "--data-dir file/data",
        ),
        (
            "a directory that cannot be",
            &["--data-dir", "/proc/data"],
            &[secret],
            1,
            "--data-dir /proc/data",
        ),
    ] {
        let Ended {
            code: ended_with,
            stdout,
            stderr,
        } = run(dir.path(), flags, env);
        assert_eq!(ended_with, Some(code), "{name}: {stderr}");
        assert_eq!(stdout, "", "{name}");
        assert_eq!(stderr.matches('\n').count(), 1, "{name}: {stderr}");
        assert!(
            stderr.starts_with("error: ") && stderr.ends_with('\n'),
            "{name}: {stderr}"
        );
        assert!(stderr.contains(named), "{name}: {stderr}");
        assert!(!stderr.contains("whs_"), "{name}: {stderr}");
        assert!(!stderr.contains("sk_"), "{name}: {stderr}");
        assert!(!stderr.contains("panicked"), "{name}: {stderr}");
    }
}

#[test]
fn taken_port_is_reported_as_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = run(dir().path(), &["--port", &port], &[(SECRET_NAME, SECRET)]);
    assert_eq!(ended.code, Some(1));
    let line = format!(
        "error: --host 127.0.0.1, --port {port} (or {HOST}, {PORT}): cannot listen there: Address already in use"
    );
    assert!(ended.stderr.starts_with(&line), "{}", ended.stderr);
}

#[test]
fn help_names_every_setting() {
    let help = run(dir().path(), &["--help"], &[]);
    assert_eq!((help.code, &*help.stderr), (Some(0), ""));
    assert!(
        help.stdout.starts_with("Receives pyannoteAI's webhooks: "),
        "{}",
        help.stdout
    );
    for setting in [
        "--host",
        "--port",
        "--debug",
        "--data-dir",
        "--reconcile",
        "--api-url",
        "--no-handlers",
        "-p, --port",
        "--reconcile-interval",
        "--reconcile-grace",
        "PYANNOTEAI_API_KEY",
        "PYANNOTEAI_API_URL",
        HOST,
        PORT,
        SECRET_NAME,
        ".env",
        "data/interim",
        "127.0.0.1",
        "8000",
    ] {
        assert!(help.stdout.contains(setting), "{setting}");
    }
}

#[test]
fn serve_takes_the_same_flags_as_no_command() {
    let env = [(SECRET_NAME, SECRET)];
    let on_port = [(SECRET_NAME, SECRET), (PORT, "0")];
    for (flags, env) in [
        (&["serve", "--port", "0"][..], &env[..]),
        (&["serve", "-p", "0"], &env),
        (&["-p", "0"], &env),
        (&["serve"], &on_port),
        (&["serve", "--debug", "--host", "127.0.0.1"], &on_port),
    ] {
        let server = Server::start_on_any_port(dir(), flags, env);
        let post = Post::new(bodies::status_only("a"));
        assert_eq!(post.send(server.address).status, 200, "{flags:?}");
        assert_eq!(server.kept().len(), 1, "{flags:?}");
    }
    let ended = run(dir().path(), &["serve", "--port", "http"], &env);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--port"), "{}", ended.stderr);
}

#[test]
fn no_handlers_leaves_events_to_the_next_server() {
    let env = [(SECRET_NAME, SECRET)];
    let server = Server::start_in(dir(), &["--no-handlers"], &env);
    let body = bodies::status_only("a");
    let post = Post::new(body.as_slice());
    assert_eq!(post.send(server.address).status, 200);
    assert_eq!(server.inbox()["waiting"], 1);
    assert!(kept_in(&server.data()).is_empty());
    server.signal("TERM");
    let dir = server.into_dir();

    let server = Server::start_in(dir, &[], &env);
    assert_eq!(server.kept().into_values().collect::<Vec<_>>(), [body]);
}

#[test]
fn secrets_are_read_from_files() {
    let dir = dir();
    let file = "PYANNOTEAI_WEBHOOK_SECRET_FILE";
    fs::write(dir.path().join("secret"), format!("{SECRET}\n")).unwrap();
    fs::write(dir.path().join("key"), "sk_example\r\n").unwrap();
    fs::write(dir.path().join("blank"), " \n").unwrap();
    let api = ["--reconcile", "--api-url", "http://192.0.2.1"];
    for (name, flags, env, named) in [
        (
            "no such file",
            &[][..],
            &[(file, "none")][..],
            "PYANNOTEAI_WEBHOOK_SECRET_FILE: none: cannot be read",
        ),
        (
            "a blank file",
            &[],
            &[(file, "blank")],
            "PYANNOTEAI_WEBHOOK_SECRET_FILE: the webhook secret is blank",
        ),
        (
            "both",
            &[],
            &[(file, "secret"), (SECRET_NAME, SECRET)],
            "PYANNOTEAI_WEBHOOK_SECRET and PYANNOTEAI_WEBHOOK_SECRET_FILE: set only one",
        ),
        (
            "no such file of the key",
            &["--reconcile"],
            &[(file, "secret"), ("PYANNOTEAI_API_KEY_FILE", "none")],
            "PYANNOTEAI_API_KEY_FILE: none: cannot be read",
        ),
        (
            "the key's file is read before the url is refused",
            &api,
            &[(file, "secret"), ("PYANNOTEAI_API_KEY_FILE", "key")],
            "--api-url (or PYANNOTEAI_API_URL)",
        ),
    ] {
        let ended = run(dir.path(), flags, env);
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains(named), "{name}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{name}");
        assert!(!ended.stderr.contains("whs_"), "{name}: {}", ended.stderr);
    }

    let server = Server::start_in(dir, &[], &[(file, "secret")]);
    let post = Post::new(bodies::status_only("a"));
    assert_eq!(post.send(server.address).status, 200);
}

#[test]
fn data_directory_is_created_and_is_data_interim_by_default() {
    let dir = dir();
    // The port is taken, so that the server ends after it has opened the directory.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    run(dir.path(), &["--port", &port], &[(SECRET_NAME, SECRET)]);
    assert!(dir.path().join("data/interim").is_dir());
}

#[test]
fn env_file_is_read() {
    let dir = dir();
    fs::write(
        dir.path().join(".env"),
        format!("# of the test\n{PORT}=x\n{SECRET_NAME}={SECRET}\n"),
    )
    .unwrap();
    let ended = run(dir.path(), &[], &[]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("'x'") && ended.stderr.contains(PORT),
        "{}",
        ended.stderr
    );

    fs::write(
        dir.path().join(".env"),
        format!("{PORT}=0\n{SECRET_NAME}='{SECRET}'\n"),
    )
    .unwrap();
    let server = Server::start_on_any_port(dir, &[], &[]);
    assert_eq!(
        Post::new(bodies::status_only("a"))
            .send(server.address)
            .status,
        200
    );
}

#[test]
fn environment_overrides_the_env_file_and_a_flag_overrides_both() {
    let dir = dir();
    fs::write(
        dir.path().join(".env"),
        format!("{PORT}=x\n{SECRET_NAME}=whs_of_the_file\n"),
    )
    .unwrap();
    let server = Server::start_on_any_port(dir, &[], &[(PORT, "0"), (SECRET_NAME, SECRET)]);
    for (secret, status) in [("whs_of_the_file", 401), (SECRET, 200)] {
        let post = Post::signed_with(secret, bodies::status_only("a"), 0);
        assert_eq!(post.send(server.address).status, status, "{secret}");
    }

    let env = [(PORT, "x"), (HOST, "192.0.2.1"), (SECRET_NAME, SECRET)];
    let flags = ["--host", "127.0.0.1", "--port", "0"];
    let server =
        Server::start_on_any_port(tower_pyannote_test_support::process::dir(), &flags, &env);
    assert!(server.address.ip().is_loopback());
}

#[test]
fn invalid_env_file_is_named_but_not_shown() {
    let dir = dir();
    let lines = format!("{SECRET_NAME}=whs_new and whs_old\n");
    fs::write(dir.path().join(".env"), lines).unwrap();
    let ended = run(dir.path(), &[], &[]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        "error: .env: a line is not NAME=value; a value with blanks or `#` needs quotes\n"
    );
}
