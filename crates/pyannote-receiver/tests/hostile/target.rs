//! The server under attack, and its measurements.

use std::{
    fs,
    net::SocketAddr,
    ops::Deref,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET},
    process::{SECRET_NAME, Server, comes_within, dir, wait_until},
};

/// A server for one attack. Attacks run one at a time, because each needs the whole machine.
pub(crate) struct Target {
    server: Server,
    /// The memory without an attack.
    memory: usize,
    sockets: usize,
    deliveries: AtomicUsize,
    _turn: MutexGuard<'static, ()>,
}

impl Target {
    pub(crate) fn start() -> Self {
        Self::start_with(|env| Server::start_in(dir(), &[], env))
    }

    /// Starts the server with `start`, which receives the environment.
    pub(crate) fn start_with(start: impl FnOnce(&[(&str, &str)]) -> Server) -> Self {
        static TURN: Mutex<()> = Mutex::new(());

        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let server = start(&[(SECRET_NAME, SECRET)]);
        let target = Self {
            memory: 0,
            sockets: 0,
            deliveries: AtomicUsize::new(0),
            _turn: turn,
            server,
        };
        // Memory that is allocated at first use must not count as growth.
        for size in [0, 64 << 10, 1 << 20, 2 << 20].repeat(4) {
            let body = bodies::diarization(&bodies::job(target.next()), size);
            assert_eq!(Post::new(body).send(target.address).status, 200);
        }
        target.server.settle();
        Self {
            memory: target.memory_now(),
            sockets: target.sockets_now(),
            ..target
        }
    }

    /// Attacks the server while it delivers events. Each delivery must get its 200 within [`PROMPT`]. The server must use at
    /// most `bound` of memory, and must close the connections and release the memory afterwards.
    pub(crate) fn withstands(&self, attack: &str, bound: usize, run: impl FnOnce(SocketAddr)) {
        let over = AtomicBool::new(false);
        let (answered, slowest) = thread::scope(|scope| {
            let probe = scope.spawn(|| self.deliver_until(&over));
            run(self.address);
            over.store(true, Ordering::Relaxed);
            probe.join().unwrap()
        });
        println!("{attack}: {answered} deliveries, the slowest {slowest:?}");
        assert!(slowest < PROMPT, "{attack}: answered after {slowest:?}");
        self.has_kept_within(attack, bound);
    }

    /// Asserts that the server used at most `bound` of memory, closed the connections and released the memory.
    pub(crate) fn has_kept_within(&self, attack: &str, bound: usize) {
        let peak = self.peak().saturating_sub(self.memory);
        println!(
            "{attack}: memory {} MiB, and {} more at the peak",
            self.memory >> 20,
            peak >> 20,
        );
        assert!(peak < bound, "{attack}: {} MiB", peak >> 20);
        self.comes_to_rest(attack);
    }

    /// Delivers events in turn, which all must be accepted. Returns their number and the time of the slowest.
    fn deliver_until(&self, over: &AtomicBool) -> (usize, Duration) {
        let mut slowest = Duration::ZERO;
        let mut answered = 0;
        while !over.load(Ordering::Relaxed) {
            let post = Post::new(bodies::diarization(&bodies::job(self.next()), 2_000));
            let begun = Instant::now();
            let answer = post.try_send(self.address);
            slowest = begun.elapsed().max(slowest);
            let status = answer.map(|answer| answer.status);
            assert_eq!(status, Some(200), "after {:?}", begun.elapsed());
            answered += 1;
            thread::sleep(Duration::from_millis(20));
        }
        (answered, slowest)
    }

    fn comes_to_rest(&self, attack: &str) {
        let begun = Instant::now();
        wait_until("the end of the connections", || {
            self.sockets_now() <= self.sockets
        });
        self.settle();
        wait_until("the end of the bodies", || {
            self.metric("pyannote_webhook_in_flight_bytes") == 0.0
        });
        let mut left = usize::MAX;
        let fallen = comes_within(PATIENCE, || {
            left = self.memory_now().saturating_sub(self.memory);
            left <= LEFT_BEHIND
        });
        assert!(fallen, "{attack}: {} MiB are left", left >> 20);
        println!(
            "    at rest after {:?}, with {} MiB more than before",
            begun.elapsed(),
            left >> 20
        );
        assert_eq!(self.inbox()["dead"], 0);
    }

    pub(crate) fn next(&self) -> usize {
        self.deliveries.fetch_add(1, Ordering::Relaxed)
    }

    fn memory_now(&self) -> usize {
        self.status("VmRSS:")
    }

    fn peak(&self) -> usize {
        self.status("VmHWM:")
    }

    /// Reads a value of the kernel, in bytes.
    fn status(&self, name: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
        kilobytes.parse::<usize>().unwrap() << 10
    }

    fn sockets_now(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap();
        files
            .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
            .filter(|file| file.to_string_lossy().starts_with("socket:"))
            .count()
    }
}

impl Deref for Target {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// 256 MiB and an eighth. The documentation promises a fifth, because allocators differ.
pub(crate) const BUDGET: usize = (256 << 20) / 8 * 9;

/// For the inbox's worker: six times the bodies that it handles at a time, 128 MiB.
pub(crate) const HANDLED: usize = 6 * (128 << 20);

/// For attacks without bodies.
pub(crate) const LITTLE: usize = 64 << 20;

/// Half of the 10 s that pyannoteAI waits for an answer. The attackers run on the same processors as the server.
const PROMPT: Duration = Duration::from_secs(5);

const PATIENCE: Duration = Duration::from_secs(20);

/// The memory that an allocator may keep.
const LEFT_BEHIND: usize = 64 << 20;
