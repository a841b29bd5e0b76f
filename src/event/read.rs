//! What the hand-written visitors share.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};

use super::json::reader::{Scan, Scanner};

/// The known keys of one object.
pub(super) trait Key {
    fn from_bytes(key: &[u8]) -> Self;
}

/// Reads the next key as bytes, since a key such as `"\ud800"` is JSON but no string of Rust's.
pub(super) fn next_key<'de, A: MapAccess<'de>, K: Key>(map: &mut A) -> Result<Option<K>, A::Error> {
    map.next_key_seed(KeySeed(PhantomData))
}

struct KeySeed<K>(PhantomData<K>);

impl<'de, K: Key> DeserializeSeed<'de> for KeySeed<K> {
    type Value = K;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<K, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<K: Key> Visitor<'_> for KeySeed<K> {
    type Value = K;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<K, E> {
        Ok(K::from_bytes(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<K, E> {
        Ok(K::from_bytes(key.as_bytes()))
    }
}

/// Reads an array, leaving out the nulls in it.
pub(super) fn items<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(ItemsVisitor(PhantomData))
}

/// A `Vec` field whose nulls are left out.
pub(super) struct Items<T>(Vec<T>);

impl<T> From<Items<T>> for Vec<T> {
    fn from(items: Items<T>) -> Self {
        items.0
    }
}

impl<T: Scan> Scan for Items<T> {
    fn scan(json: &mut Scanner<'_>) -> Option<Self> {
        json.items().map(Self)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        items(deserializer).map(Self)
    }
}

struct ItemsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ItemsVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Option<T>>()? {
            items.extend(item);
        }
        items.shrink_to_fit();
        Ok(items)
    }
}
