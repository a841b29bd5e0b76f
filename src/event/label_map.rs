use std::{fmt, iter, slice};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

use super::{
    Label,
    json::{self, Map, Read, Reader},
};

/// A small map from speaker labels to values, in the order in which they were sent.
///
/// When read from JSON, the last of two equal labels counts, and nulls are left out.
///
/// A map shares its labels with the map that was read before it, if both have the same labels in the same order. It keeps up
/// to four values in place. So the scores of a turn rarely allocate.
#[derive(Clone)]
pub struct LabelMap<V>(Map<Label, V>);

impl<V> LabelMap<V> {
    /// Creates an empty map; it does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self(Map::new())
    }

    /// Returns the value of a label.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<&V> {
        self.iter()
            .find(|(key, _)| *key == label)
            .map(|(_, value)| value)
    }

    /// Returns whether the map holds a label.
    #[must_use]
    pub fn contains_key(&self, label: &str) -> bool {
        self.get(label).is_some()
    }

    /// Returns the number of labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().len()
    }

    /// Returns whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().is_empty()
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
        self.0.values().iter()
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
        let entries = entries.into_iter();
        Self(
            entries
                .map(|(label, value)| (label.into(), value))
                .collect(),
        )
    }
}

impl<V> IntoIterator for LabelMap<V> {
    type Item = (Label, V);
    type IntoIter = std::vec::IntoIter<(Label, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_entries().collect::<Vec<_>>().into_iter()
    }
}

impl<'a, V> IntoIterator for &'a LabelMap<V> {
    type Item = (&'a Label, &'a V);
    type IntoIter = iter::Zip<slice::Iter<'a, Label>, slice::Iter<'a, V>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<V: Serialize> Serialize for LabelMap<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<V: Read<Label>> Read<Label> for LabelMap<V> {
    fn read(json: &mut Reader<'_, Label>) -> Option<Self> {
        Map::read(json).map(Self)
    }
}

impl<'de, V: DeserializeOwned> Deserialize<'de> for LabelMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::deserialize_map(deserializer).map(Self)
    }
}

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
