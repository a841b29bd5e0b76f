//! A small map that shares its keys with the map that was read before it.

use std::{collections::HashMap, hash::Hash, iter, mem, slice};

use smallvec::SmallVec;

use super::{
    heap::ALLOCATION,
    keys::Keys,
    read::Read,
    reader::{Field, Reader},
};

/// A map in the order of its entries. Up to four values are kept in place.
#[derive(Clone)]
pub(crate) struct Map<K, V> {
    /// No two are equal.
    keys: Keys<K>,
    values: SmallVec<[V; IN_PLACE]>,
}

impl<K, V> Map<K, V> {
    pub(crate) const fn new() -> Self {
        Self {
            keys: None,
            values: SmallVec::new_const(),
        }
    }

    pub(crate) fn values(&self) -> &[V] {
        &self.values
    }

    pub(crate) fn iter(&self) -> iter::Zip<slice::Iter<'_, K>, slice::Iter<'_, V>> {
        iter::zip(self.keys.as_deref().unwrap_or_default(), &self.values)
    }
}

impl<K: Clone, V> Map<K, V> {
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (K, V)> {
        let keys = self.keys.unwrap_or_default();
        let keys = (0..keys.len()).map_while(move |index| keys.get(index).cloned());
        keys.zip(self.values)
    }
}

impl<K: Clone + Eq + Hash, V> Map<K, V> {
    /// Creates a map. Of equal keys, the place of the first and the value of the last are kept.
    fn of(keys: Vec<K>, values: SmallVec<[V; IN_PLACE]>) -> Self {
        if keys.len() > FEW || repeats(&keys) {
            return Self::last_of_equals(keys, values);
        }
        Self {
            keys: shared(keys),
            values,
        }
    }

    fn last_of_equals(all: Vec<K>, all_values: SmallVec<[V; IN_PLACE]>) -> Self {
        let mut places = HashMap::with_capacity(all.len());
        let mut keys = Vec::new();
        let mut values = SmallVec::new();
        for (key, value) in all.into_iter().zip(all_values) {
            let place = places.get(&key).copied();
            match place.and_then(|place: usize| values.get_mut(place)) {
                Some(kept) => *kept = value,
                None => {
                    places.insert(key.clone(), values.len());
                    keys.push(key);
                    values.push(value);
                }
            }
        }
        Self {
            keys: shared(keys),
            values,
        }
    }
}

impl<K: Clone + Eq + Hash, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut keys = Vec::new();
        let mut values = SmallVec::new();
        for (key, value) in entries {
            keys.push(key);
            values.push(value);
        }
        Self::of(keys, values)
    }
}

impl<K: Read<K> + Clone + Eq + Hash, V: Read<K>> Read<K> for Map<K, V> {
    fn read(json: &mut Reader<'_, K>) -> Option<Self> {
        json.map(V::read)
    }
}

impl<'a, K: Read<K> + Clone + Eq + Hash> Reader<'a, K> {
    /// Reads an object of equal values, in which `value` reads each value. Leaves out nulls; the last of equal keys counts.
    pub(super) fn map<V>(&mut self, value: impl Fn(&mut Self) -> Option<V>) -> Option<Map<K, V>> {
        // In nearly all maps every value has the right shape.
        let taken = self.heap.taken;
        if let Some(map) = self.attempt(|json| json.entries(&value)) {
            return Some(map);
        }
        self.heap.taken = taken;
        let fields = self.entries(|json| Some(json.field_with(&value)))?;
        // The present entries are copied into a list, and from there into a map with keys of its own.
        let count = fields.values.len();
        self.take(shared_heap::<K>(count))?;
        let copies = copied::<K, Field<V>>() + copied::<K, V>();
        self.has_room(count.saturating_mul(copies))?;
        let entries = fields.into_entries();
        entries
            .filter_map(|(key, field)| Some(field.transpose()?.map(|value| (key, value))))
            .collect::<Result<_, _>>()
            .ok()
    }

    /// Reads a key and its colon; returns the text of both, too.
    fn map_key(&mut self) -> Option<(K, &'a str)> {
        let start = self.at();
        let key = K::read(self)?;
        self.expect(b':')?;
        Some((key, self.since(start)?))
    }

    /// Reads a map. Most maps have the keys of the map before; these are compared, not read, and shared.
    fn entries<V>(&mut self, value: impl Fn(&mut Self) -> Option<V>) -> Option<Map<K, V>> {
        let mut last = mem::take(&mut self.last_keys);
        let mut others = None;
        let mut values = SmallVec::new();
        let read = self.object(|json| {
            let index = values.len();
            let text = last.texts.get(index).filter(|_| others.is_none());
            if !text.is_some_and(|text| json.eat_again(text)) {
                let (key, text) = json.map_key()?;
                let others = match &mut others {
                    Some(others) => others,
                    none => {
                        json.take(index * listed::<K>())?;
                        none.insert(last.first(index))
                    }
                };
                json.take(listed::<K>())?;
                others.push(key);
                if index < SHARED {
                    last.texts.push(text);
                }
            }
            let value = value(json)?;
            if values.len() == values.capacity() {
                // The list doubles. Its former room on the heap is given back.
                let had = if values.spilled() { values.len() } else { 0 };
                json.take((2 * values.len() - had).saturating_mul(size_of::<V>()))?;
            }
            values.push(value);
            Some(())
        });
        if read.is_none() {
            if others.is_none() {
                self.last_keys = last;
            }
            return None;
        }
        let count = values.len();
        let map = match others {
            None => Map {
                keys: last.keys.clone(),
                values,
            },
            Some(keys) => {
                self.take(shared_heap::<K>(count))?;
                if count > FEW {
                    self.has_room(count.saturating_mul(copied::<K, V>()))?;
                }
                let map = Map::of(keys, values);
                self.give_back(count * listed::<K>());
                // If some keys were equal, the map's keys are not those of the texts.
                if count != map.values.len() {
                    return Some(map);
                }
                last.keys.clone_from(&map.keys);
                map
            }
        };
        self.last_keys = last;
        Some(map)
    }
}

fn shared<K>(keys: Vec<K>) -> Keys<K> {
    (!keys.is_empty()).then(|| keys.into())
}

fn repeats<K: PartialEq>(keys: &[K]) -> bool {
    let mut keys_and_earlier = keys.iter().enumerate();
    keys_and_earlier.any(|(index, key)| keys.iter().take(index).any(|earlier| earlier == key))
}

/// The heap of `count` shared keys, in bytes.
fn shared_heap<K>(count: usize) -> usize {
    count
        .saturating_mul(size_of::<K>())
        .saturating_add(ALLOCATION)
}

/// The heap of a key in a list that may have room for twice as many, in bytes.
const fn listed<K>() -> usize {
    2 * size_of::<K>()
}

/// The heap of an entry while equal keys are removed, in bytes: twice the entry in lists that grow, and twice a key and its
/// place in a table that is at least 7/16 full.
const fn copied<K, V>() -> usize {
    2 * size_of::<(K, V)>() + 3 * size_of::<(K, usize)>()
}

/// How many values are kept in place: four f32 take as little room as a pointer to them.
const IN_PLACE: usize = 4;

/// The most keys that are faster to compare with each other than to hash.
const FEW: usize = 32;

/// How many keys a map may share with the map before. Maps of events have up to 50.
const SHARED: usize = 64;
