//! What the handlers did, in the order in which they did it.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

use crate::Key;

pub(crate) struct Effects(Vec<Effect>);

#[derive(Debug, PartialEq)]
enum What {
    Begin,
    /// The attempt failed, and the event waits for a retry.
    Fail,
    /// The attempt succeeded.
    End,
}

#[derive(Debug)]
struct Effect {
    what: What,
    key: Key,
    attempt: u32,
    pid: u32,
}

impl Effects {
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let effects = text.lines().map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |place: usize| words[place].parse().unwrap();
            Effect {
                what: match words[0] {
                    "begin" => What::Begin,
                    "fail" => What::Fail,
                    "end" => What::End,
                    other => panic!("{other}"),
                },
                key: (number(1), number(2)),
                attempt: number(3),
                pid: number(4),
            }
        });
        Self(effects.collect())
    }

    pub(crate) fn none_is_lost(&self, acknowledged: &HashSet<Key>) {
        let ends = self.0.iter().filter(|effect| effect.what == What::End);
        let ended: HashSet<Key> = ends.map(|effect| effect.key).collect();
        let lost: Vec<_> = acknowledged.difference(&ended).collect();
        assert!(lost.is_empty(), "acknowledged and not handled: {lost:?}");
    }

    /// A process that was killed or stopped has lost its events, although its last line says that it has them.
    pub(crate) fn no_two_of_a_job_overlap(&self, excused: &HashSet<u32>) {
        let mut running: HashMap<u32, &Effect> = HashMap::new();
        for effect in self
            .0
            .iter()
            .filter(|effect| !excused.contains(&effect.pid))
        {
            let (job, _) = effect.key;
            if effect.what != What::Begin {
                running.remove(&job);
            } else if let Some(other) = running.insert(job, effect) {
                panic!("{effect:?} began during {other:?}");
            }
        }
    }

    /// Checks the order of each job: once an event has begun, no event of the job with a higher id begins until the first one has
    /// ended.
    pub(crate) fn none_overtakes_another(&self, ids: &HashMap<Key, u64>, excused: &HashSet<u32>) {
        let mut unfinished: HashMap<u32, HashSet<Key>> = HashMap::new();
        for effect in &self.0 {
            let of_job = unfinished.entry(effect.key.0).or_default();
            if effect.what == What::End {
                of_job.remove(&effect.key);
            } else if effect.what == What::Begin && !excused.contains(&effect.pid) {
                let overtaken = of_job.iter().find(|key| ids[*key] < ids[&effect.key]);
                assert_eq!(overtaken, None, "{effect:?} overtook it");
                of_job.insert(effect.key);
            }
        }
    }

    pub(crate) fn failures(&self) -> usize {
        let failed = self.0.iter().filter(|effect| effect.what == What::Fail);
        failed.count()
    }

    /// Returns how many events ended more than once. Only the effects of an excused process are repeated.
    pub(crate) fn repeats_are_excused(&self, excused: &HashSet<u32>) -> usize {
        let mut ends: HashMap<Key, Vec<&Effect>> = HashMap::new();
        for effect in self.0.iter().filter(|effect| effect.what == What::End) {
            ends.entry(effect.key).or_default().push(effect);
        }
        ends.retain(|_, ends| ends.len() > 1);
        for (key, ends) in &ends {
            let sound = ends
                .iter()
                .filter(|end| !excused.contains(&end.pid))
                .count();
            assert!(sound <= 1, "{key:?} was handled twice: {ends:?}");
            // The attempt of a worker that lost its lease counts.
            let attempts: HashSet<u32> = ends.iter().map(|end| end.attempt).collect();
            assert_eq!(attempts.len(), ends.len(), "{key:?}: {ends:?}");
        }
        ends.len()
    }
}
