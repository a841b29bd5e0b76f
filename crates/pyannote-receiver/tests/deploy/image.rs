//! `deploy/Containerfile`, built by buildah, and run as a container runtime would: with a read-only root directory, as the
//! image's user, with the image's environment and command.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET, get},
    process::{SECRET_NAME, dir},
    program::binary,
};

use crate::program::{file, find, free_port, printed, run, text};

#[test]
fn image_serves_without_root_and_checks_its_own_health() {
    let Some(image) = Image::build() else {
        return;
    };
    assert_eq!(image.config["User"], "10001:10001");
    let (port, private) = (free_port().to_string(), free_port());
    let private_listen = format!("0.0.0.0:{private}");
    let env = [
        (SECRET_NAME, SECRET),
        ("WEBHOOK_SERVER_PORT", &port),
        ("WEBHOOK_SERVER_PRIVATE_LISTEN", &private_listen),
    ];

    let cmd = words(&image.config["Cmd"]);
    let mut command = image.command(&words(&image.config["Entrypoint"]), &cmd, &env);
    let log = fs::File::create(image.dir.path().join("log")).unwrap();
    command.stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    let _server = Killed(child);
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert_eq!(line, format!("listening on http://0.0.0.0:{port}\n"));
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let delivery = Post::new(bodies::status_only(&bodies::job(1)));
    assert_eq!(delivery.send(address).status, 200);
    let private = format!("127.0.0.1:{private}").parse().unwrap();
    assert_eq!(get(private, "/health", "*/*").status, 200);
    assert_eq!(get(private, "/page", "*/*").status, 404);

    let check = words(&image.config["Healthcheck"]["Test"]);
    assert_eq!(check[0], "CMD");
    let health = |url: &str| {
        let mut command = image.command(&check[1..], &["--url".to_owned(), url.to_owned()], &[]);
        command.output().unwrap()
    };
    let healthy = printed(&health(&format!("http://{private}/health")));
    assert_eq!(healthy, "200 OK\n");
    let missing = health(&format!("http://{private}/none"));
    assert_eq!(missing.status.code(), Some(1));
}

/// An image, unpacked.
struct Image {
    root: PathBuf,
    config: Value,
    dir: TempDir,
}

impl Image {
    /// Builds the last stage of the Containerfile from the program under test, because the stage before it needs a network.
    fn build() -> Option<Self> {
        let (buildah, dir) = (find("buildah")?, dir());
        let mount = ["--mount", "true"];
        let may_mount = run("unshare".as_ref(), &mount, dir.path()).status.success();
        if fs::metadata(dir.path()).unwrap().uid() != 0 || !may_mount {
            println!("skipped: to run an image, root must be allowed to mount");
            return None;
        }
        let stages = text("Containerfile");
        let stage = stages.find("FROM scratch AS receiver").unwrap();
        fs::write(dir.path().join("Containerfile"), &stages[stage..]).unwrap();

        let (program, image) = (binary("pyannote-receiver"), dir.path().join("build/image"));
        let arguments = [program.to_str().unwrap(), image.to_str().unwrap()];
        printed(&run(&file("image-root"), &arguments, dir.path()));

        let buildah = |arguments: &str| {
            let storage = "--root store --runroot run --storage-driver vfs";
            let arguments = format!("{storage} {arguments}");
            let arguments: Vec<_> = arguments.split(' ').collect();
            printed(&run(&buildah, &arguments, dir.path()))
        };
        buildah(&format!(
            "build --isolation chroot --format docker --build-context receiver-build={} -f Containerfile -t receiver .",
            dir.path().join("build").display()
        ));
        let inspected: Value =
            serde_json::from_str(&buildah("inspect --type image receiver")).unwrap();
        let container = buildah("from receiver");
        let root = buildah(&format!("mount {}", container.trim()));

        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        chown(&data, Some(USER), Some(USER)).unwrap();
        Some(Self {
            root: root.trim().into(),
            config: inspected["Docker"]["config"].clone(),
            dir,
        })
    }

    /// Returns a command that runs in the image.
    fn command(&self, program: &[String], arguments: &[String], env: &[(&str, &str)]) -> Command {
        let user = self.config["User"].as_str().unwrap();
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-ec", RUN])
            .args([&self.root, &self.dir.path().join("data")])
            .arg(user)
            .args(program)
            .args(arguments)
            .env_clear();
        for variable in words(&self.config["Env"]) {
            let (name, value) = variable.split_once('=').unwrap();
            command.env(name, value);
        }
        command.envs(env.iter().copied()).stdin(Stdio::null());
        command.current_dir("/");
        command
    }
}

/// A process that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn words(list: &Value) -> Vec<String> {
    let words = list.as_array().unwrap().iter();
    words
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

/// Mounts the image read-only and the volume for data, and runs the program as the image's user. Each program replaces the
/// one before, so that one process is left to kill.
const RUN: &str = r#"
root=$0 data=$1 user=$2
shift 2
mount --bind "$root" "$root"
mount --bind "$data" "$root/data"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" "$root" "$@"
"#;

/// The user of the image.
const USER: u32 = 10_001;
