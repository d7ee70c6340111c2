//! Requests as clients write them: of a key that is there twice the last one counts, what is not known is skipped, `null` is the same as absent,
//! and an array is never taken for an object, all as the reference server does. Derived code refuses a repeated key.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::de::DeserializeSeed;
use serde::{Deserialize, Deserializer};

use super::fields;

/// Reads a string; see [`fields::text`].
pub(crate) struct Text;

/// Reads a payload; see [`fields::payload`].
pub(crate) struct Payload;

/// Reads a payload for which `null` is none.
pub(crate) struct Given;

/// Reads a number or the like; see [`fields::nullable`].
pub(crate) struct Plain<T>(PhantomData<T>);

/// A [`Plain`] for the field that it is assigned to.
pub(crate) fn plain<T>() -> Plain<T> {
    Plain(PhantomData)
}

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        fields::text(deserializer)
    }
}

impl<'de> DeserializeSeed<'de> for Payload {
    type Value = Option<Cow<'de, [u8]>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        fields::payload(deserializer)
    }
}

impl<'de> DeserializeSeed<'de> for Given {
    type Value = Option<Cow<'de, [u8]>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        Ok(fields::payload(deserializer)?.filter(|document| **document != *b"null"))
    }
}

impl<'de, T: Deserialize<'de> + Default> DeserializeSeed<'de> for Plain<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        fields::nullable(deserializer)
    }
}

/// Reads the named type from an object: each key into its field, by its seed.
macro_rules! read_leniently {
    ($name:ident { $($key:literal => $field:ident: $seed:expr,)* }) => {
        impl<'de> serde::Deserialize<'de> for $name<'de> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name<'de>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name<'de>, A::Error> {
                        let mut read = $name::default();
                        while let Some(key) = map.next_key_seed($crate::json::lenient::Text)? {
                            match &*key {
                                $($key => read.$field = map.next_value_seed($seed)?,)*
                                _ => drop(map.next_value::<serde::de::IgnoredAny>()?),
                            }
                        }
                        Ok(read)
                    }
                }
                deserializer.deserialize_map(Fields)
            }
        }
    };
}

pub(crate) use read_leniently;
