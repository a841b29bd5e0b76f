//! `deploy/caddy/Caddyfile`, run by Caddy with its local certificate authority.

use std::{net::SocketAddr, process::Command};

use tempfile::TempDir;
use tower_pyannote_test_support::process::{Server, dir};

use crate::{
    program::{Background, file, find, free_port, heavy, printed, run, text},
    proxied::{Proxy, Upstream, passes_webhooks_only, replaces_forged_forwarding},
};

#[test]
fn caddy_passes_webhooks_only() {
    let _heavy = heavy();
    let server = Server::start();
    let Some(caddy) = Caddy::start(server.address) else {
        return;
    };
    passes_webhooks_only(&caddy.proxy, &server);
}

#[test]
fn caddy_replaces_a_forged_forwarding_header() {
    let (upstream, address) = Upstream::start();
    let Some(caddy) = Caddy::start(address) else {
        return;
    };
    replaces_forged_forwarding(&caddy.proxy, upstream);
}

#[test]
fn caddyfile_is_formatted() {
    let Some(program) = find("caddy") else {
        return;
    };
    let file = file("caddy/Caddyfile");
    let formatted = run(&program, &["fmt", file.to_str().unwrap()], dir().path());
    assert_eq!(printed(&formatted), text("caddy/Caddyfile"));
}

/// A running Caddy.
struct Caddy {
    proxy: Proxy,
    _process: Background,
    _dir: TempDir,
}

impl Caddy {
    fn start(receiver: SocketAddr) -> Option<Self> {
        let program = find("caddy")?;
        let (dir, port) = (dir(), free_port());
        let mut command = Command::new(program);
        command
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(file("caddy/Caddyfile"))
            .env_clear()
            .env("HOME", dir.path())
            .env("SITE", format!("https://localhost:{port}"))
            .env("RECEIVER", receiver.to_string())
            .env("CADDY_ADMIN", format!("localhost:{}", free_port()))
            .current_dir(dir.path());
        let log = dir.path().join("log");
        let process = Background::start(&mut command, &log);
        let authorities = ".local/share/caddy/pki/authorities/local";
        let proxy = Proxy {
            port,
            authority: dir.path().join(authorities).join("root.crt"),
        };
        proxy.wait(&log);
        Some(Self {
            proxy,
            _process: process,
            _dir: dir,
        })
    }
}
