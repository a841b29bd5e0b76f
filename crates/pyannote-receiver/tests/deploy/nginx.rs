//! `deploy/nginx/pyannote.conf`, run by nginx with a certificate of its own.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use tempfile::TempDir;
use tower_pyannote_test_support::process::{Server, dir};

use crate::{
    program::{Background, find, free_port, heavy, printed, replace, run, text},
    proxied::{Proxy, Upstream, passes_webhooks_only, replaces_forged_forwarding},
};

#[test]
fn nginx_passes_webhooks_only_and_writes_no_body_to_disk() {
    let _heavy = heavy();
    let server = Server::start();
    let Some(nginx) = Nginx::start(server.address) else {
        return;
    };
    passes_webhooks_only(&nginx.proxy, &server);
    let log = fs::read_to_string(nginx.dir.path().join("error.log")).unwrap();
    assert!(!log.contains("temporary file"), "{log}");
}

#[test]
fn nginx_replaces_a_forged_forwarding_header() {
    let (upstream, address) = Upstream::start();
    let Some(nginx) = Nginx::start(address) else {
        return;
    };
    replaces_forged_forwarding(&nginx.proxy, upstream);
}

/// A running nginx.
struct Nginx {
    proxy: Proxy,
    _process: Background,
    dir: TempDir,
}

impl Nginx {
    fn start(receiver: SocketAddr) -> Option<Self> {
        let (program, openssl) = (find("nginx")?, find("openssl")?);
        let (dir, port) = (dir(), free_port());
        certify(&openssl, dir.path());

        let folder = dir.path().to_str().unwrap();
        let site = text("nginx/pyannote.conf");
        let site = replace(
            &site,
            "listen 443 ssl;",
            &format!("listen 127.0.0.1:{port} ssl;"),
        );
        let site = replace(
            &site,
            "server 127.0.0.1:8000 ",
            &format!("server {receiver} "),
        );
        let site = replace(
            &site,
            "server_name webhooks.example.com;",
            "server_name localhost;",
        );
        let letsencrypt = "/etc/letsencrypt/live/webhooks.example.com";
        let site = replace(
            &site,
            &format!("{letsencrypt}/fullchain.pem"),
            &format!("{folder}/chain.pem"),
        );
        let site = replace(
            &site,
            &format!("{letsencrypt}/privkey.pem"),
            &format!("{folder}/key.pem"),
        );
        fs::write(dir.path().join("site.conf"), site).unwrap();
        fs::write(
            dir.path().join("nginx.conf"),
            MAIN.replace("FOLDER", folder),
        )
        .unwrap();

        let mut command = Command::new(program);
        command.args(["-p", folder, "-c", "nginx.conf", "-e", "error.log"]);
        let log = dir.path().join("log");
        let process = Background::start(&mut command, &log);
        let proxy = Proxy {
            port,
            authority: dir.path().join("authority.pem"),
        };
        proxy.wait(&log);
        Some(Self {
            proxy,
            _process: process,
            dir,
        })
    }
}

/// Makes an authority, and a certificate of it for localhost.
fn certify(openssl: &Path, dir: &Path) {
    let keys = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    for arguments in [
        format!("req -x509 {keys} -subj /CN=Authority -keyout authority.key -out authority.pem"),
        format!(
            "req -x509 {keys} -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
             -CA authority.pem -CAkey authority.key -keyout key.pem -out chain.pem"
        ),
    ] {
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        printed(&run(openssl, &arguments, dir));
    }
}

/// What a distribution's nginx.conf has around a site. One process, so that it ends when it is killed.
const MAIN: &str = "
daemon off;
master_process off;
pid FOLDER/nginx.pid;
error_log FOLDER/error.log info;
events {}
http {
    access_log off;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    include FOLDER/site.conf;
}
";
