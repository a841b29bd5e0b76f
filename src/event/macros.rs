/// Implements the traits of strings for a type that has `as_str`, `heap` and `From<&str>`.
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

        impl<K> json::Read<K> for $type {
            #[inline]
            fn read(json: &mut json::Reader<'_, K>) -> Option<Self> {
                let text = json.string()?;
                json.has_room(text.len())?;
                let made = Self::from(&*text);
                json.take(made.heap())?;
                Some(made)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::from)
            }
        }
    };
}

/// Implements the traits of lists for a newtype over `Vec<$item>`. Nulls are left out when it is read.
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

        const _: () = {
            use crate::event::{Label, json};

            impl json::Read<Label> for $type {
                fn read(json: &mut json::Reader<'_, Label>) -> Option<Self> {
                    json::Read::read(json).map(Self)
                }
            }
        };

        deserialize!($type);
    };
}

/// Implements `Deserialize` through the reader of JSON text.
macro_rules! deserialize {
    ($type:ident) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::event::json::deserialize(deserializer, stringify!($type))
            }
        }
    };
}

/// Reads a struct from a JSON object.
///
/// Unknown keys are skipped, null is the same as an absent field, and the last of two equal keys counts. Derived code accepts
/// only the first of these.
macro_rules! read_object {
    ($type:ident { $($key:literal => $field:ident: $as:ty = $absent:expr),+ $(,)? }) => {
        const _: () = {
            use crate::event::{Label, json};

            #[expect(non_camel_case_types, reason = "variants are named as the fields")]
            enum Key {
                $($field,)+
                Unknown,
            }

            impl json::Read<Label> for Key {
                #[inline]
                fn read(json: &mut json::Reader<'_, Label>) -> Option<Self> {
                    $(if json.eat(concat!("\"", $key, "\":")) {
                        return Some(Self::$field);
                    })+
                    Some(match &*json.key()? {
                        $($key => Self::$field,)+
                        _ => Self::Unknown,
                    })
                }
            }

            impl json::Read<Label> for $type {
                fn read(json: &mut json::Reader<'_, Label>) -> Option<Self> {
                    $(let mut $field: json::Field<$as> = Ok(None);)+
                    json.object(|json| {
                        match Key::read(json)? {
                            $(Key::$field => $field = json.field(),)+
                            Key::Unknown => json.skip()?,
                        }
                        Some(())
                    })?;
                    Some(Self {
                        $($field: $field.ok()?.map_or_else(|| $absent, Into::into),)+
                    })
                }
            }
        };

        deserialize!($type);
    };
}
