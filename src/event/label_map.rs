use std::{collections::HashMap, fmt, iter, marker::PhantomData, mem, slice, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use smallvec::SmallVec;

use super::{
    Label,
    json::reader::{ALLOCATION, Field, Scan, Scanner},
};

/// A small map from speaker labels to values, in the order in which they were sent.
///
/// When read from JSON, the last of two equal labels counts, and nulls are left out.
///
/// A map shares its labels with the one that was read before it, if it has the same ones in the same
/// order, and keeps up to four values in place: the scores of a turn mostly take no allocation.
#[derive(Clone)]
pub struct LabelMap<V> {
    /// Begins with the labels of the values; no two are equal.
    labels: Labels,
    values: SmallVec<[V; IN_PLACE]>,
}

type Labels = Option<Arc<[Label]>>;

impl<V> LabelMap<V> {
    /// Creates an empty map; it does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            labels: None,
            values: SmallVec::new_const(),
        }
    }

    /// Returns the value of a label.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<&V> {
        self.iter()
            .find(|(key, _)| *key == label)
            .map(|(_, value)| value)
    }

    /// Tells whether the map holds a label.
    #[must_use]
    pub fn contains_key(&self, label: &str) -> bool {
        self.get(label).is_some()
    }

    /// Returns the number of labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Tells whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Iterates over the labels and their values.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Label, &V)> {
        self.into_iter()
    }

    /// Iterates over the labels.
    #[must_use]
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Label> {
        self.iter().map(|(label, _)| label)
    }

    /// Iterates over the values.
    #[must_use]
    pub fn values(&self) -> impl ExactSizeIterator<Item = &V> {
        self.values.iter()
    }

    /// A map whose labels may be equal: of those the place of the first and the value of the last are kept.
    fn of(labels: Vec<Label>, values: SmallVec<[V; IN_PLACE]>) -> Self {
        if labels.len() > FEW || repeats(&labels) {
            return Self::last_of_equals(labels, values);
        }
        Self {
            labels: shared(labels),
            values,
        }
    }

    fn last_of_equals(all: Vec<Label>, all_values: SmallVec<[V; IN_PLACE]>) -> Self {
        let mut places = HashMap::with_capacity(all.len());
        let mut labels = Vec::new();
        let mut values = SmallVec::new();
        for (label, value) in all.into_iter().zip(all_values) {
            let place = places.get(&label).copied();
            match place.and_then(|place: usize| values.get_mut(place)) {
                Some(kept) => *kept = value,
                None => {
                    places.insert(label.clone(), values.len());
                    labels.push(label);
                    values.push(value);
                }
            }
        }
        Self {
            labels: shared(labels),
            values,
        }
    }
}

impl LabelMap<f32> {
    /// Returns the label with the highest value, the first of them if several are equal.
    ///
    /// NaN is never the highest; a map without a number has none.
    #[must_use]
    pub fn max(&self) -> Option<(&Label, f32)> {
        self.iter()
            .map(|(label, value)| (label, *value))
            .filter(|(_, value)| !value.is_nan())
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
    }
}

impl<V> Default for LabelMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: PartialEq> PartialEq for LabelMap<V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other)
    }
}

impl<V: fmt::Debug> fmt::Debug for LabelMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<L: Into<Label>, V> FromIterator<(L, V)> for LabelMap<V> {
    fn from_iter<I: IntoIterator<Item = (L, V)>>(entries: I) -> Self {
        let mut labels = Vec::new();
        let mut values = SmallVec::new();
        for (label, value) in entries {
            labels.push(label.into());
            values.push(value);
        }
        Self::of(labels, values)
    }
}

impl<V> IntoIterator for LabelMap<V> {
    type Item = (Label, V);
    type IntoIter = std::vec::IntoIter<(Label, V)>;

    fn into_iter(self) -> Self::IntoIter {
        let labels = labels_of(&self.labels).iter().cloned();
        labels.zip(self.values).collect::<Vec<_>>().into_iter()
    }
}

impl<'a, V> IntoIterator for &'a LabelMap<V> {
    type Item = (&'a Label, &'a V);
    type IntoIter = iter::Zip<slice::Iter<'a, Label>, slice::Iter<'a, V>>;

    fn into_iter(self) -> Self::IntoIter {
        iter::zip(labels_of(&self.labels), &self.values)
    }
}

impl<V: Serialize> Serialize for LabelMap<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<V: Scan> Scan for LabelMap<V> {
    fn scan(json: &mut Scanner<'_>) -> Option<Self> {
        // Nearly all maps have a value of the right shape everywhere.
        let taken = json.taken();
        if let Some(map) = json.attempt(|json| map(json, V::scan)) {
            return Some(map);
        }
        json.go_back_to(taken);
        let fields = map(json, |json| Some(json.field()))?;
        // They are copied into a list, and from there into a map of their own.
        json.take(shared_heap(fields.len()))?;
        json.has_room(
            fields
                .len()
                .saturating_mul(copied::<Field<V>>() + copied::<V>()),
        )?;
        present(fields).ok()
    }
}

/// What the labels of the map before were, and how the first of them stand in the text, colon included.
#[derive(Default)]
pub(super) struct LastMap<'a> {
    labels: Labels,
    texts: Vec<&'a str>,
}

/// Reads a map, which mostly has the labels of the one before: these are compared, not read, and shared.
fn map<V>(
    json: &mut Scanner<'_>,
    value: impl Fn(&mut Scanner<'_>) -> Option<V>,
) -> Option<LabelMap<V>> {
    let mut last = mem::take(json.last_map());
    let mut others = None;
    let mut values = SmallVec::new();
    let read = json.object(|json| {
        let index = values.len();
        let text = last.texts.get(index).filter(|_| others.is_none());
        if !text.is_some_and(|text| json.eat_again(text)) {
            let (label, text) = json.label()?;
            let others = match &mut others {
                Some(others) => others,
                none => {
                    json.take(index * LISTED)?;
                    none.insert(last.first(index))
                }
            };
            json.take(LISTED)?;
            others.push(label);
            if index < SHARED {
                last.texts.push(text);
            }
        }
        let value = value(json)?;
        if values.len() == values.capacity() {
            // It grows to twice of it; what it had on the heap before is given back.
            let had = if values.spilled() { values.len() } else { 0 };
            json.take((2 * values.len() - had).saturating_mul(size_of::<V>()))?;
        }
        values.push(value);
        Some(())
    });
    if read.is_none() {
        if others.is_none() {
            *json.last_map() = last;
        }
        return None;
    }
    let count = values.len();
    let map = match others {
        None => LabelMap {
            labels: last.labels.clone(),
            values,
        },
        Some(labels) => {
            json.take(shared_heap(count))?;
            if count > FEW {
                json.has_room(count.saturating_mul(copied::<V>()))?;
            }
            let map = LabelMap::of(labels, values);
            json.give_back(count * LISTED);
            // Where labels are equal, they are not those of the texts.
            if count != map.len() {
                return Some(map);
            }
            last.labels.clone_from(&map.labels);
            map
        }
    };
    *json.last_map() = last;
    Some(map)
}

impl LastMap<'_> {
    /// Forgets all but the first labels, and returns these.
    fn first(&mut self, count: usize) -> Vec<Label> {
        self.texts.truncate(count);
        let labels = labels_of(&self.labels).get(..count);
        labels.unwrap_or_default().to_vec()
    }
}

fn labels_of(labels: &Labels) -> &[Label] {
    labels.as_deref().unwrap_or_default()
}

/// The heap of `count` labels that maps share, in bytes.
fn shared_heap(count: usize) -> usize {
    count
        .saturating_mul(size_of::<Label>())
        .saturating_add(ALLOCATION)
}

/// The heap that a label and a value take while equal labels are looked for: twice their own in lists that grow, twice a label
/// and its place in a table that is at least 7/16 full.
const fn copied<V>() -> usize {
    2 * size_of::<(Label, V)>() + 3 * size_of::<(Label, usize)>()
}

fn shared(labels: Vec<Label>) -> Labels {
    (!labels.is_empty()).then(|| labels.into())
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for LabelMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

struct MapVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for MapVisitor<V> {
    type Value = LabelMap<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of speaker labels")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LabelMap<V>, A::Error> {
        let mut entries = Vec::new();
        while let Some((label, value)) = map.next_entry::<Label, Option<V>>()? {
            entries.push((label, Ok(value)));
        }
        present(entries.into_iter().collect())
    }
}

/// Leaves out nulls.
fn present<V, E>(fields: LabelMap<Result<Option<V>, E>>) -> Result<LabelMap<V>, E> {
    let entries = fields.into_iter();
    entries
        .filter_map(|(label, value)| Some(value.transpose()?.map(|value| (label, value))))
        .collect()
}

fn repeats(labels: &[Label]) -> bool {
    let mut labels_and_earlier = labels.iter().enumerate();
    labels_and_earlier
        .any(|(index, label)| labels.iter().take(index).any(|earlier| earlier == label))
}

/// How many values are kept in place: so many scores take as little room as what would point to them.
const IN_PLACE: usize = 4;

/// Up to here comparing all with all is faster than hashing.
const FEW: usize = 32;

/// How many labels a map may share with the one before: an identification has up to 50 voiceprints.
const SHARED: usize = 64;

/// The heap of a label in a list that may have room for twice as many.
const LISTED: usize = 2 * size_of::<Label>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_of_equal_labels_counts_in_small_and_large_maps() {
        let small: LabelMap<i32> = [("a", 1), ("b", 2), ("a", 3)].into_iter().collect();
        assert_eq!(
            small.into_iter().collect::<Vec<_>>(),
            [("a".into(), 3), ("b".into(), 2)]
        );

        let twice = (0..2_000).map(|number| (format!("{}", number % 1_000), number));
        let large: LabelMap<i32> = twice.collect();
        assert_eq!(large.len(), 1_000);
        assert_eq!(large.get("0"), Some(&1_000));
        assert_eq!(large.get("999"), Some(&1_999));
    }

    #[test]
    fn nan_is_never_the_highest() {
        let map: LabelMap<f32> = [("a", f32::NAN), ("b", 7.0), ("c", 7.0), ("d", 1.0)]
            .into_iter()
            .collect();
        assert_eq!(map.max(), Some((&"b".into(), 7.0)));
        assert_eq!(LabelMap::from_iter([("a", f32::NAN)]).max(), None);
        assert_eq!(LabelMap::new().max(), None);
    }

    #[test]
    fn serde_leaves_out_nulls_and_keeps_the_order() {
        let map: LabelMap<f32> = serde_json::from_str(r#"{"b": 1, "a": null, "c": 2.5}"#).unwrap();
        assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"b":1.0,"c":2.5}"#);
        assert!(!map.contains_key("a"));
        assert_eq!(map.keys().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(map.values().copied().sum::<f32>(), 3.5);
    }
}
