//! The settings file, and `pyannote-receiver config`.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET},
    process::{SECRET_NAME, Server, dir, run},
};

/// Returns the settings in force by key.
fn config(dir: &Path, flags: &[&str], env: &[(&str, &str)]) -> BTreeMap<String, Value> {
    let flags = [&["config", "--json"], flags].concat();
    let ended = run(dir, &flags, env);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let settings: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    let by_key = |setting: Value| (setting["key"].as_str().unwrap().to_owned(), setting);
    settings.into_iter().map(by_key).collect()
}

#[test]
fn flag_overrides_variable_overrides_file_overrides_default() {
    let dir = dir();
    let file = "[server]\nhost = \"192.0.2.1\"\nport = 1\nroles = [\"work\"]\n[worker]\nconcurrency = 9\n[database]\nmigrate = true\n";
    fs::write(dir.path().join("a.toml"), file).unwrap();
    let env = [
        ("PYANNOTE_RECEIVER_CONFIG", "a.toml"),
        ("WEBHOOK_SERVER_PORT", "2"),
        ("WEBHOOK_SERVER_HOST", "192.0.2.2"),
    ];
    let settings = config(dir.path(), &["--port", "3", "--no-migrate"], &env);
    for (key, value, origin, place) in [
        ("server.port", "3", "flag", "--port"),
        (
            "server.host",
            "192.0.2.2",
            "environment",
            "WEBHOOK_SERVER_HOST",
        ),
        ("server.roles", "work", "file", "a.toml"),
        ("worker.concurrency", "9", "file", "a.toml"),
        ("worker.lease", "30s", "default", ""),
        ("database.migrate", "false", "flag", "--no-migrate"),
    ] {
        let setting = &settings[key];
        assert_eq!(setting["value"], value, "{key}");
        assert_eq!(setting["origin"], origin, "{key}");
        assert_eq!(setting["place"], place, "{key}");
    }
}

#[test]
fn secrets_are_redacted() {
    let dir = dir();
    let env = [
        (SECRET_NAME, SECRET),
        ("PYANNOTEAI_API_KEY", "sk_hidden"),
        ("DATABASE_URL", "postgres://user:whs_password@db/x"),
    ];
    for flags in [&["config"][..], &["config", "--json"]] {
        let ended = run(dir.path(), flags, &env);
        assert_eq!(ended.code, Some(0));
        assert_eq!(ended.stdout.matches("[redacted]").count(), 3);
        for hidden in ["whs_", "sk_hidden"] {
            assert!(!ended.stdout.contains(hidden), "{}", ended.stdout);
        }
    }
}

#[test]
fn endpoints_are_in_force_and_their_urls_and_headers_are_redacted() {
    let dir = dir();
    let file = r#"
        [forward.endpoints.crm]
        url = "https://crm.example.com/hidden-path"
        statuses = ["failed", "canceled"]
        timeout = "10s"
        secret_file = "secret"
        headers = { x-token = "hidden" }
        header_files = { authorization = "token" }
        permanent_statuses = [409, 422]
        "#;
    fs::write(dir.path().join("a.toml"), file).unwrap();
    let flags = ["--config", "a.toml"];
    let settings = config(dir.path(), &flags, &[]);
    for (key, value) in [
        ("url", "[redacted]"),
        ("statuses", "failed,canceled"),
        ("timeout", "10s"),
        ("secret_file", "secret"),
        ("headers.x-token", "[redacted]"),
        ("header_files.authorization", "token"),
        ("allow_private", "false"),
        ("permanent_statuses", "409,422"),
    ] {
        let setting = &settings[&format!("forward.endpoints.crm.{key}")];
        assert_eq!(setting["value"], value, "{key}");
        assert_eq!(setting["origin"], "file", "{key}");
        assert_eq!(setting["place"], "a.toml", "{key}");
    }
    let of_crm = settings.keys().filter(|key| key.contains(".crm."));
    assert_eq!(of_crm.count(), 8);
    let text = run(dir.path(), &[&["config"], &flags[..]].concat(), &[]).stdout;
    assert!(text.contains("forward.endpoints.crm.url"), "{text}");
    assert!(!text.contains("hidden"), "{text}");
}

#[test]
fn invalid_file_is_an_error_that_names_the_key() {
    let dir = dir();
    for (text, named) in [
        (
            "[server]\nprot = 1",
            "--config a.toml: unknown key server.prot; did you mean server.port?",
        ),
        ("[sever]\nport = 1", "unknown key sever"),
        ("port = 8000", "unknown key port; did you mean server.port?"),
        ("prot = 8000", "unknown key prot; did you mean server.port?"),
        (
            "url = \"a\"",
            "unknown key url; did you mean archive.url, database.url or relay.url?",
        ),
        (
            "[server]\nsecret_file = \"a\"",
            "unknown key server.secret_file; did you mean forward.secret_file or webhook.secret_file?",
        ),
        (
            "colour = 1",
            "unknown key colour; `pyannote-receiver config` lists all keys",
        ),
        (
            "[server]\nport = \"x\"",
            "invalid value 'x' for '--port <PORT>': invalid digit found in string (server.port in a.toml)",
        ),
        (
            "[server]\nport = [1, 2]",
            "server.port: expected a text, a number or a boolean",
        ),
        ("[server]\nroles = [\"cook\"]", "server.roles in a.toml"),
        ("[worker]\nlease = \"soon\"", "worker.lease in a.toml"),
        ("server = 1", "unknown key server"),
        ("[server\n", "--config a.toml: line 1: "),
        // Without the value.
        (
            "[forward.endpoints.x]\nurl = \"https://a\"\nheaders = \"authorization: Bearer s3cret, expected \"",
            "forward.endpoints.x: invalid type: string, expected a map",
        ),
    ] {
        fs::write(dir.path().join("a.toml"), text).unwrap();
        let ended = run(
            dir.path(),
            &["--config", "a.toml"],
            &[(SECRET_NAME, SECRET)],
        );
        assert_eq!(ended.code, Some(2), "{text}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{text}: {}", ended.stderr);
        assert!(ended.stderr.contains(named), "{text}: {}", ended.stderr);
    }
    let ended = run(
        dir.path(),
        &["--config", "none.toml"],
        &[(SECRET_NAME, SECRET)],
    );
    assert_eq!(ended.code, Some(2));
    assert!(
        ended
            .stderr
            .starts_with("error: --config none.toml: cannot be read: No such file")
    );
}

#[test]
fn server_runs_with_a_file_alone() {
    let dir = dir();
    let secret = dir.path().join("secret");
    fs::write(&secret, SECRET).unwrap();
    let file = format!(
        "[server]\nport = 0\nprivate_listen = \"none\"\n[archive]\ndirectory = \"data\"\n[webhook]\nsecret_file = \"{}\"\n\
         [limits]\nbody = \"1 KiB\"\n",
        secret.display()
    );
    fs::write(dir.path().join("a.toml"), file).unwrap();
    let server = Server::start_with(dir, &["--config", "a.toml"], &[]);
    let post = Post::new(bodies::status_only("a"));
    assert_eq!(post.send(server.address).status, 200);
    let long = Post::new(bodies::diarization("b", 2_000));
    assert_eq!(long.send(server.address).status, 413);
    assert_eq!(server.kept().len(), 1);
}

#[test]
fn variable_of_another_command_is_not_read() {
    let env = [(SECRET_NAME, SECRET), ("WEBHOOK_SERVER_PORT", "x")];
    for flags in [&["serve", "--port", "0"][..], &["--port", "0"]] {
        let server = Server::start_on_any_port(dir(), flags, &env);
        assert!(server.address.ip().is_loopback());
    }
    let ended = run(dir().path(), &["completions", "bash"], &env);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn database_url_is_read_from_a_file() {
    let dir = dir();
    fs::write(dir.path().join("url"), "sqlite://elsewhere/inbox.sqlite\n").unwrap();
    let env = [(SECRET_NAME, SECRET), ("DATABASE_URL_FILE", "url")];
    let server = Server::start_in(dir, &[], &env);
    assert!(server.dir.path().join("elsewhere/inbox.sqlite").exists());
    let both = [
        (SECRET_NAME, SECRET),
        ("DATABASE_URL_FILE", "url"),
        ("DATABASE_URL", "sqlite://a"),
    ];
    let ended = run(server.dir.path(), &["inbox", "list"], &both);
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        "error: --database-url (or DATABASE_URL) and environment variable DATABASE_URL_FILE: set only one\n"
    );
}

#[test]
fn limits_that_do_not_fit_together_are_an_error() {
    let dir = dir();
    let flags = [
        "--body-limit",
        "200 MiB",
        "--body-memory",
        "210 MiB",
        "--port",
        "0",
    ];
    let ended = run(dir.path(), &flags, &[(SECRET_NAME, SECRET)]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("--body-memory has to be from"),
        "{}",
        ended.stderr
    );
    for (flag, value) in [
        ("--concurrency", "0"),
        ("--lease", "1s"),
        ("--retention", "1m"),
        ("--max-attempts", "0"),
        ("--backoff-longest", "1s"),
        ("--handler-timeout", "0"),
        ("--body-timeout", "0"),
        ("--database-schema", "No"),
        ("--database-connections", "1"),
        ("--database-timeout", "1ms"),
    ] {
        let ended = run(
            dir.path(),
            &[flag, value, "--port", "0"],
            &[(SECRET_NAME, SECRET)],
        );
        assert_eq!(ended.code, Some(2), "{flag}");
        assert!(ended.stderr.contains(flag), "{flag}: {}", ended.stderr);
    }
}

/// The example file has every setting, with its default.
#[test]
fn example_file_has_every_key_with_its_default() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/pyannote-receiver.toml");
    let example = fs::read_to_string(path).unwrap();
    let dir = dir();
    let defaults = config(dir.path(), &[], &[]);
    // The optional settings, too.
    let complete = example.replace("\n#", "\n").replace("\n ", "\n# ");
    let complete = complete.replace("auto, text", "# auto, text");
    fs::write(dir.path().join("a.toml"), complete).unwrap();
    let settings = config(dir.path(), &["--config", "a.toml"], &[]);
    for (key, default) in &defaults {
        // Secrets have no key of their own.
        if ["webhook.secret", "reconcile.api_key", "forward.secret"].contains(&&**key) {
            continue;
        }
        let setting = &settings[key];
        assert_eq!(setting["origin"], "file", "{key}");
        if !default["value"].is_null() {
            assert_eq!(setting["value"], default["value"], "{key}");
        }
    }
}

/// Users look for a setting in the guide.
#[test]
fn guide_names_every_setting() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/deploying.md");
    let guide = fs::read_to_string(path).unwrap();
    let help = run(dir().path(), &["serve", "--help"], &[]).stdout;
    let lines = help.lines().map(str::trim_start);
    let flags = lines
        .filter(|line| line.starts_with('-'))
        .filter_map(|line| {
            let flag = &line[line.find("--")?..];
            flag.split(['[', ' ']).next()
        });
    let hidden = ["--help", "--migrate", "--handlers"];
    let flags: Vec<_> = flags.filter(|flag| !hidden.contains(flag)).collect();
    assert!(flags.len() > 30, "{help}");
    for flag in flags {
        assert!(guide.contains(&format!("`{flag}")), "{flag}");
    }
    for key in config(dir().path(), &[], &[]).keys() {
        assert!(guide.contains(&format!("`{key}`")), "{key}");
    }
}
