//! One result object as it stands in the report: its known members, still as text.

use crate::json::{self, Raw};
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// An object with known members, or the kind of value there is instead.
pub(super) enum Shape<T> {
    Object(T),
    Other(&'static str),
}

/// A type with a place for each member it knows. Of several members of one name the last one counts.
pub(super) trait Members<'de>: Default {
    /// Takes the value of the member `key`, if this type knows it.
    fn take<A: MapAccess<'de>>(&mut self, key: Key, map: &mut A) -> Result<(), A::Error>;
}

/// The members of a result object.
#[derive(Default)]
pub(super) struct Row<'a> {
    pub(super) id: Option<Raw<'a>>,
    pub(super) external_id: Option<Raw<'a>>,
    pub(super) scope: Option<Raw<'a>>,
    pub(super) name: Option<Raw<'a>>,
    pub(super) location: Option<Raw<'a>>,
    pub(super) file_name: Option<Raw<'a>>,
    pub(super) result: Option<Raw<'a>>,
    pub(super) failure_reason: Option<Raw<'a>>,
    pub(super) failure_expanded: Option<Raw<'a>>,
    pub(super) history: Option<Shape<Span<'a>>>,
    pub(super) tags: Option<Raw<'a>>,
    pub(super) resources: Option<Raw<'a>>,
}

impl<'a> Row<'a> {
    /// Reads a record on its own, for which no number is too large and no text too odd.
    pub(super) fn read(record: Raw<'a>) -> Shape<Self> {
        let Some(object) = json::object(record) else { return Shape::Other(json::kind(record)) };
        let mut row = Self::default();
        for (name, value) in object.0 {
            let key = Key::from(name.as_bytes());
            if let Some(place) = row.place(key) {
                *place = Some(value);
            } else if matches!(key, Key::History) {
                let other = Shape::Other(json::kind(value));
                row.history = Some(serde_json::from_str(value.get()).unwrap_or(other));
            }
        }
        Shape::Object(row)
    }

    fn place(&mut self, key: Key) -> Option<&mut Option<Raw<'a>>> {
        Some(match key {
            Key::Id => &mut self.id,
            Key::ExternalId => &mut self.external_id,
            Key::Scope => &mut self.scope,
            Key::Name => &mut self.name,
            Key::Location => &mut self.location,
            Key::FileName => &mut self.file_name,
            Key::Result => &mut self.result,
            Key::FailureReason => &mut self.failure_reason,
            Key::FailureExpanded => &mut self.failure_expanded,
            Key::Tags => &mut self.tags,
            Key::Resources => &mut self.resources,
            _ => return None,
        })
    }
}

impl<'de> Members<'de> for Row<'de> {
    fn take<A: MapAccess<'de>>(&mut self, key: Key, map: &mut A) -> Result<(), A::Error> {
        if let Some(place) = self.place(key) {
            *place = Some(map.next_value()?);
        } else if matches!(key, Key::History) {
            self.history = Some(map.next_value()?);
        } else {
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// The members of a history that matter.
#[derive(Default)]
pub(super) struct Span<'a> {
    pub(super) start_at: Option<Raw<'a>>,
    pub(super) end_at: Option<Raw<'a>>,
    pub(super) duration: Option<Raw<'a>>,
    pub(super) children: Option<Raw<'a>>,
}

impl<'de> Members<'de> for Span<'de> {
    fn take<A: MapAccess<'de>>(&mut self, key: Key, map: &mut A) -> Result<(), A::Error> {
        let place = match key {
            Key::StartAt => &mut self.start_at,
            Key::EndAt => &mut self.end_at,
            Key::Duration => &mut self.duration,
            Key::Children => &mut self.children,
            _ => return map.next_value::<IgnoredAny>().map(|_| ()),
        };
        *place = Some(map.next_value()?);
        Ok(())
    }
}

/// The members of an object in `failure_expanded`.
#[derive(Default)]
pub(super) struct Detail<'a> {
    pub(super) expanded: Option<Raw<'a>>,
    pub(super) backtrace: Option<Raw<'a>>,
}

impl<'de> Members<'de> for Detail<'de> {
    fn take<A: MapAccess<'de>>(&mut self, key: Key, map: &mut A) -> Result<(), A::Error> {
        let place = match key {
            Key::Expanded => &mut self.expanded,
            Key::Backtrace => &mut self.backtrace,
            _ => return map.next_value::<IgnoredAny>().map(|_| ()),
        };
        *place = Some(map.next_value()?);
        Ok(())
    }
}

/// The name of a member.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Id,
    ExternalId,
    Scope,
    Name,
    Location,
    FileName,
    Result,
    FailureReason,
    FailureExpanded,
    History,
    Tags,
    Resources,
    StartAt,
    EndAt,
    Duration,
    Children,
    Expanded,
    Backtrace,
    Other,
}

impl From<&[u8]> for Key {
    fn from(name: &[u8]) -> Self {
        match name {
            b"id" => Self::Id,
            b"external_id" => Self::ExternalId,
            b"scope" => Self::Scope,
            b"name" => Self::Name,
            b"location" => Self::Location,
            b"file_name" => Self::FileName,
            b"result" => Self::Result,
            b"failure_reason" => Self::FailureReason,
            b"failure_expanded" => Self::FailureExpanded,
            b"history" => Self::History,
            b"tags" => Self::Tags,
            b"resources" => Self::Resources,
            b"start_at" => Self::StartAt,
            b"end_at" => Self::EndAt,
            b"duration" => Self::Duration,
            b"children" => Self::Children,
            b"expanded" => Self::Expanded,
            b"backtrace" => Self::Backtrace,
            _ => Self::Other,
        }
    }
}

/// Reads a member's name as bytes, so that no odd name of an unknown member can fail.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_bytes<E: de::Error>(self, name: &[u8]) -> Result<Key, E> {
        Ok(Key::from(name))
    }
}

impl<'de, T: Members<'de>> Deserialize<'de> for Shape<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor(PhantomData))
    }
}

struct ShapeVisitor<T>(PhantomData<T>);

impl<'de, T: Members<'de>> Visitor<'de> for ShapeVisitor<T> {
    type Value = Shape<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = T::default();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            members.take(key, &mut map)?;
        }
        Ok(Shape::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Shape::Other("an array"))
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Shape::Other("a string"))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Shape::Other("a boolean"))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Shape::Other("a number"))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Shape::Other("a number"))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Shape::Other("a number"))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Shape::Other("null"))
    }
}
