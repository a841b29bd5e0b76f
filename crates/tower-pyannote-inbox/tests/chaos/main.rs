//! Three replicas on one PostgreSQL server, while processes and the server are killed.
#![cfg(all(unix, feature = "postgres", feature = "testing"))]

mod effects;
mod replica;

use std::{
    collections::{HashMap, HashSet},
    sync::mpsc,
    time::{Duration, Instant},
};

use tower_pyannote_inbox::{Inbox, InboxFilter};
use tower_pyannote_test_support::postgres::Postgres;

use self::{
    effects::Effects,
    replica::{Answer, LEASE, Replica},
};

/// A job and a status.
type Key = (u32, u32);

#[test]
fn every_acknowledged_event_is_handled_whatever_is_killed() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let address = postgres.database("chaos");
    let directory = tempfile::tempdir().unwrap();
    let effects = directory.path().join("effects");
    let (answers, answered) = mpsc::channel();
    let start = |number| Replica::start(number, &address, &effects, answers.clone());
    let mut chaos = Chaos {
        postgres,
        replicas: (0..REPLICAS).map(start).collect(),
        started: REPLICAS,
        excused: HashSet::new(),
        stopped: None,
        kills: 0,
    };

    // The events of a job arrive together, so that they could overlap.
    let mut unsent: Vec<Key> = (0..JOBS)
        .flat_map(|job| (0..STATUSES).map(move |status| (job, status)))
        .collect();
    let all = unsent.len();
    // The deliveries without an answer, with the replica that has them and their time.
    let mut sent: HashMap<Key, (u32, Instant)> = HashMap::new();
    let mut acknowledged: HashSet<Key> = HashSet::new();
    let begun = Instant::now();
    let mut next_blow = BLOW;
    while acknowledged.len() < all || begun.elapsed() < STORM {
        assert!(
            begun.elapsed() < LIMIT,
            "{} of {all} acknowledged",
            acknowledged.len()
        );
        // Evenly over the storm.
        let share = begun.elapsed().as_secs_f64() / STORM.as_secs_f64();
        let due = all.saturating_sub(unsent.len()) as f64 <= share * all as f64;
        if sent.len() < 48
            && due
            && let Some(key) = unsent.pop()
        {
            let replica = fastrand::choice(&mut chaos.replicas).unwrap();
            replica.deliver(key);
            sent.insert(key, (replica.number, Instant::now()));
            if fastrand::u8(..) < 40 {
                // A repeat at the same time, at any replica.
                let replica = fastrand::choice(&mut chaos.replicas).unwrap();
                replica.deliver(key);
            }
        }
        while let Ok(Answer { key, is_ok, .. }) = answered.recv_timeout(Duration::from_millis(1)) {
            match sent.remove(&key) {
                _ if is_ok => {
                    acknowledged.insert(key);
                }
                Some(_) => unsent.push(key),
                None => {}
            }
        }
        let running: HashSet<u32> = chaos
            .replicas
            .iter()
            .map(|replica| replica.number)
            .collect();
        let given_up =
            |(replica, at): &(u32, Instant)| !running.contains(replica) || at.elapsed() > PATIENCE;
        let again: Vec<Key> = sent
            .iter()
            .filter(|(_, sent)| given_up(sent))
            .map(|(key, _)| *key)
            .collect();
        for key in again {
            sent.remove(&key);
            if !acknowledged.contains(&key) {
                unsent.push(key);
            }
        }
        chaos.wake();
        if begun.elapsed() > next_blow && begun.elapsed() < STORM {
            next_blow += BLOW;
            chaos.blow(start);
        }
    }
    chaos.wake_now();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (handled, dead, ids) = runtime.block_on(async {
        let inbox = Inbox::open(&address).await.unwrap();
        loop {
            let stats = inbox.stats().await.unwrap();
            if stats.waiting + stats.running == 0 {
                break (stats.handled, stats.dead, ids(&inbox).await);
            }
            assert!(begun.elapsed() < LIMIT, "{stats:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert_eq!((usize::try_from(handled).unwrap(), dead), (all, 0));
    let effects = Effects::read(&effects);
    effects.none_is_lost(&acknowledged);
    effects.no_two_of_a_job_overlap(&chaos.excused);
    effects.none_overtakes_another(&ids, &chaos.excused);
    assert!(effects.failures() > all / 8);
    let repeated = effects.repeats_are_excused(&chaos.excused);
    eprintln!(
        "{all} events, {} blows, {} replicas killed or stopped, {repeated} events handled again, {:?}",
        chaos.kills,
        chaos.excused.len(),
        begun.elapsed()
    );
}

/// Returns the ids of all events.
async fn ids(inbox: &Inbox) -> HashMap<Key, u64> {
    let (mut ids, mut last) = (HashMap::new(), "0".to_owned());
    loop {
        let filter = InboxFilter::new().with_id_above(&last);
        let page = inbox.list(&filter).await.unwrap();
        let Some(end) = page.last() else {
            return ids;
        };
        last.clone_from(&end.id);
        ids.extend(page.iter().map(|entry| {
            let key = (entry.job_id.parse().unwrap(), entry.status.parse().unwrap());
            (key, entry.id.parse().unwrap())
        }));
    }
}

struct Chaos {
    postgres: Postgres,
    replicas: Vec<Replica>,
    started: u32,
    /// The processes that were killed, or stopped for longer than a lease.
    excused: HashSet<u32>,
    stopped: Option<(u32, Instant)>,
    kills: u32,
}

impl Chaos {
    fn blow(&mut self, start: impl Fn(u32) -> Replica) {
        self.kills += 1;
        match self.kills % 4 {
            0 => {
                let begun = Instant::now();
                self.postgres.stop();
                self.postgres.go_on();
                if begun.elapsed() > LEASE / 2 {
                    // All leases may be over.
                    let pids = self.replicas.iter().map(Replica::pid);
                    self.excused.extend(pids);
                }
            }
            1 => self.postgres.psql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tower-pyannote'",
            ),
            2 => {
                let place = fastrand::usize(..self.replicas.len());
                if self.stopped.is_some_and(|(pid, _)| pid == self.replicas[place].pid()) {
                    return;
                }
                let killed = std::mem::replace(&mut self.replicas[place], start(self.started));
                self.started += 1;
                self.excused.insert(killed.pid());
                killed.kill_9();
            }
            _ if self.stopped.is_none() => {
                let replica = fastrand::choice(&self.replicas).unwrap();
                replica.signal("STOP");
                self.excused.insert(replica.pid());
                self.stopped = Some((replica.pid(), Instant::now()));
            }
            _ => {}
        }
    }

    /// Lets a stopped process go on after its lease.
    fn wake(&mut self) {
        if self
            .stopped
            .is_some_and(|(_, at)| at.elapsed() > LEASE + Duration::from_secs(3))
        {
            self.wake_now();
        }
    }

    fn wake_now(&mut self) {
        if let Some((pid, _)) = self.stopped.take() {
            let replica = self.replicas.iter().find(|replica| replica.pid() == pid);
            replica.unwrap().signal("CONT");
        }
    }
}

#[test]
#[ignore = "is run by another test, as a process to be killed"]
fn process_of_a_replica() {
    replica::run();
}

const REPLICAS: u32 = 3;
const JOBS: u32 = 700;
const STATUSES: u32 = 4;

/// How long events are delivered and things are killed.
const STORM: Duration = Duration::from_secs(24);
const BLOW: Duration = Duration::from_millis(900);

/// A delivery without an answer for this long is repeated.
const PATIENCE: Duration = Duration::from_secs(7);
const LIMIT: Duration = Duration::from_secs(170);
