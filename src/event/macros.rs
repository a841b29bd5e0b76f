/// Gives a type that has `as_str`, `heap` and `From<&str>` what is expected of a string.
macro_rules! string_like {
    ($type:ident) => {
        impl Deref for $type {
            type Target = str;

            fn deref(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl PartialEq<str> for $type {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $type {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl PartialEq<String> for $type {
            fn eq(&self, other: &String) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<$type> for str {
            fn eq(&self, other: &$type) -> bool {
                self == other.as_str()
            }
        }

        impl PartialEq<$type> for &str {
            fn eq(&self, other: &$type) -> bool {
                *self == other.as_str()
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl crate::event::json::reader::Scan for $type {
            #[inline]
            fn scan(json: &mut crate::event::json::reader::Scanner<'_>) -> Option<Self> {
                let text = json.string()?;
                json.has_room(text.len())?;
                let made = Self::from(&*text);
                json.take(made.heap())?;
                Some(made)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;

                impl de::Visitor<'_> for Visitor {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a string")
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        Ok($type::from(text))
                    }
                }

                deserializer.deserialize_str(Visitor)
            }
        }
    };
}

/// Gives a newtype over `Vec<$item>` what is expected of a list. Null items are left out.
macro_rules! list_of {
    ($type:ident, $item:ident) => {
        impl $type {
            /// Returns the items as a plain vector.
            #[must_use]
            pub fn into_vec(self) -> Vec<$item> {
                self.0
            }
        }

        impl Deref for $type {
            type Target = [$item];

            fn deref(&self) -> &[$item] {
                &self.0
            }
        }

        impl From<Vec<$item>> for $type {
            fn from(items: Vec<$item>) -> Self {
                Self(items)
            }
        }

        impl FromIterator<$item> for $type {
            fn from_iter<I: IntoIterator<Item = $item>>(items: I) -> Self {
                Self(items.into_iter().collect())
            }
        }

        impl IntoIterator for $type {
            type Item = $item;
            type IntoIter = std::vec::IntoIter<$item>;

            fn into_iter(self) -> Self::IntoIter {
                self.0.into_iter()
            }
        }

        impl<'a> IntoIterator for &'a $type {
            type Item = &'a $item;
            type IntoIter = std::slice::Iter<'a, $item>;

            fn into_iter(self) -> Self::IntoIter {
                self.0.iter()
            }
        }

        impl crate::event::json::reader::Scan for $type {
            fn scan(json: &mut crate::event::json::reader::Scanner<'_>) -> Option<Self> {
                json.items().map(Self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::event::read::items(deserializer).map(Self)
            }
        }
    };
}

/// Reads a struct from a JSON object: unknown keys are skipped, a null is the same as an absent
/// field, the last of two equal keys counts, and keys that are no valid Unicode are unknown keys.
///
/// It is written out because derived code refuses all of these but unknown keys, and so that both
/// readers, [`scan`](super::scan) and serde, follow from one table. They differ in two things: serde's
/// refuses half a surrogate pair, and a value of another shape even where its key comes again.
macro_rules! read_object {
    ($type:ident { $($key:literal => $field:ident: $as:ty = $absent:expr),+ $(,)? }) => {
        const _: () = {
            use crate::event::{json::reader as scan, read};

            #[expect(non_camel_case_types, reason = "variants are named as the fields")]
            enum Key {
                $($field,)+
                Unknown,
            }

            impl read::Key for Key {
                #[inline]
                fn from_bytes(key: &[u8]) -> Self {
                    $(if key == $key.as_bytes() {
                        return Self::$field;
                    })+
                    Self::Unknown
                }
            }

            impl scan::Scan for Key {
                #[inline]
                fn scan(json: &mut scan::Scanner<'_>) -> Option<Self> {
                    $(if json.eat(concat!("\"", $key, "\":")) {
                        return Some(Self::$field);
                    })+
                    let key = json.key()?;
                    Some(<Self as read::Key>::from_bytes(key.as_bytes()))
                }
            }

            #[derive(Default)]
            struct Fields {
                $($field: Option<$as>,)+
            }

            impl From<Fields> for $type {
                #[inline]
                fn from(fields: Fields) -> Self {
                    Self {
                        $($field: fields.$field.map_or_else(|| $absent, Into::into),)+
                    }
                }
            }

            impl scan::Scan for $type {
                fn scan(json: &mut scan::Scanner<'_>) -> Option<Self> {
                    $(let mut $field: scan::Field<$as> = Ok(None);)+
                    json.object(|json| {
                        match Key::scan(json)? {
                            $(Key::$field => $field = json.field(),)+
                            Key::Unknown => json.skip()?,
                        }
                        Some(())
                    })?;
                    let fields = Fields {
                        $($field: $field.ok()?,)+
                    };
                    Some(fields.into())
                }
            }

            impl<'de> serde::Deserialize<'de> for $type {
                fn deserialize<D: serde::Deserializer<'de>>(
                    deserializer: D,
                ) -> Result<Self, D::Error> {
                    deserializer.deserialize_map(Visitor)
                }
            }

            struct Visitor;

            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = $type;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<$type, A::Error> {
                    let mut fields = Fields::default();
                    while let Some(key) = read::next_key(&mut map)? {
                        match key {
                            $(Key::$field => fields.$field = map.next_value()?,)+
                            Key::Unknown => {
                                map.next_value::<serde::de::IgnoredAny>()?;
                            }
                        }
                    }
                    Ok(fields.into())
                }
            }
        };
    };
}
