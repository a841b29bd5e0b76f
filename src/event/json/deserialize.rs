//! Deserializes types through the reader, from any format of serde.

use std::{fmt, hash::Hash};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::Value;

use super::{heap::Heap, map::Map, read::Read, reader::Reader};

/// Deserializes a value by way of its JSON text. Its heap has no limit, as usual with serde.
pub(crate) fn deserialize<'de, D, K, T>(deserializer: D, name: &str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Read<K>,
{
    with(deserializer, name, T::read)
}

/// Deserializes a map whose values serde reads.
pub(crate) fn deserialize_map<'de, D, K, V>(deserializer: D) -> Result<Map<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Read<K> + Clone + Eq + Hash,
    V: DeserializeOwned,
{
    let value = |json: &mut Reader<'_, K>| match json.raw()? {
        "null" => None,
        value => serde_json::from_str(value).ok(),
    };
    with(deserializer, "map", |json| json.map(value))
}

fn with<'de, D, K, T>(
    deserializer: D,
    name: &str,
    read: impl FnOnce(&mut Reader<'_, K>) -> Option<T>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    let text = deserializer.deserialize_newtype_struct(RAW_VALUE, Text)?;
    let value = read(&mut Reader::new(&text, Heap::UNLIMITED));
    value.ok_or_else(|| D::Error::custom(format_args!("a value does not fit a {name}")))
}

/// Takes the text that `serde_json` gives a `RawValue`, half surrogate pairs and huge numbers included. Other formats, and
/// what serde buffers, become a [`Value`], which is written as text.
struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<String, D::Error> {
        Value::deserialize(deserializer).map(|value| value.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<String, A::Error> {
        self.visit_newtype_struct(SeqAccessDeserializer::new(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<String, A::Error> {
        let mut object = serde_json::Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if key == RAW_VALUE {
                return entries.next_value();
            }
            object.insert(key, entries.next_value()?);
        }
        Ok(Value::from(object).to_string())
    }
}

/// The name by which `serde_json` knows a `RawValue`. Under any other name it calls `visit_newtype_struct`.
const RAW_VALUE: &str = "$serde_json::private::RawValue";
