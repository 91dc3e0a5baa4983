//! Values going into statements and columns coming out, the same on both engines.

use crate::error::StorageError;
use postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use rusqlite::types::{FromSql as _, FromSqlError, ToSqlOutput, ValueRef};
use std::error::Error;

/// A value bound to a statement.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// Any integer column.
    Int(i64),
    /// A double.
    Real(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list of integers for `= any($n)`.
    Ints(&'a [i64]),
    /// A list of 16-byte keys for `= any($n::bytea[])`.
    Keys(&'a [[u8; 16]]),
    /// A list of texts for `= any($n)`.
    Texts(&'a [&'a str]),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(value: &'a [u8; N]) -> Self {
        Self::Bytes(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Builds the list of bound values of a statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::value::Value::from($value)),*] };
}
pub(crate) use values;

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let list = |items: String| ToSqlOutput::Owned(rusqlite::types::Value::Text(items));
        Ok(match *self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Int(value) => ToSqlOutput::Borrowed(ValueRef::Integer(value)),
            Self::Real(value) => ToSqlOutput::Borrowed(ValueRef::Real(value)),
            Self::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Self::Bytes(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
            Self::Ints(values) => {
                list(json_list(values.iter(), |item, text| text.push_str(&item.to_string())))
            }
            Self::Keys(values) => list(json_list(values.iter(), |key, text| {
                text.push('"');
                for byte in *key {
                    for digit in [byte >> 4, byte & 15] {
                        text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
                    }
                }
                text.push('"');
            })),
            Self::Texts(values) => list(json_list(values.iter(), |item, text| quote(item, text))),
        })
    }
}

/// Writes a JSON string.
fn quote(item: &str, text: &mut String) {
    text.push('"');
    for c in item.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_ascii_control() => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
}

fn json_list<T>(items: impl Iterator<Item = T>, mut write: impl FnMut(T, &mut String)) -> String {
    let mut text = String::from("[");
    for item in items {
        if text.len() > 1 {
            text.push(',');
        }
        write(item, &mut text);
    }
    text.push(']');
    text
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match *self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => match *ty {
                Type::INT2 => i16::try_from(value)?.to_sql(ty, out),
                Type::INT4 => i32::try_from(value)?.to_sql(ty, out),
                _ => value.to_sql(&Type::INT8, out),
            },
            Self::Real(value) => value.to_sql(ty, out),
            // PostgreSQL has no NUL in texts; nothing that was stored holds one, so nothing is found by one.
            Self::Text(value) if value.contains('\0') => value.replace('\0', "\u{fffd}").to_sql(ty, out),
            Self::Text(value) => value.to_sql(ty, out),
            Self::Bytes(value) => value.to_sql(ty, out),
            Self::Ints(values) => match *ty {
                Type::INT2_ARRAY => values
                    .iter()
                    .map(|value| i16::try_from(*value))
                    .collect::<Result<Vec<_>, _>>()?
                    .to_sql(ty, out),
                Type::INT4_ARRAY => values
                    .iter()
                    .map(|value| i32::try_from(*value))
                    .collect::<Result<Vec<_>, _>>()?
                    .to_sql(ty, out),
                _ => values.to_sql(ty, out),
            },
            Self::Keys(values) => values.iter().map(<[u8; 16]>::as_slice).collect::<Vec<_>>().to_sql(ty, out),
            Self::Texts(values) => values.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// One row of an answer.
pub enum Row<'a> {
    /// From SQLite.
    Sqlite(&'a rusqlite::Row<'a>),
    /// From PostgreSQL.
    Postgres(&'a postgres::Row),
}

impl Row<'_> {
    /// The value of column number `index`, counted from 0.
    ///
    /// # Errors
    /// The column holds another type.
    pub fn get<T: Column>(&self, index: usize) -> Result<T, StorageError> {
        match self {
            Self::Sqlite(row) => Ok(T::from_sqlite(row.get_ref(index)?).map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Null, Box::new(error))
            })?),
            Self::Postgres(row) => T::from_postgres(row, index),
        }
    }

    /// The bytes in column number `index`, where they lie.
    ///
    /// # Errors
    /// The column holds another type.
    pub fn bytes(&self, index: usize) -> Result<&[u8], StorageError> {
        match self {
            Self::Sqlite(row) => Ok(row.get_ref(index)?.as_blob().map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Blob, Box::new(error))
            })?),
            Self::Postgres(row) => Ok(row.try_get(index)?),
        }
    }

    /// The boolean in column number `index`, stored as 0 or 1.
    ///
    /// # Errors
    /// The column holds another type.
    pub fn flag(&self, index: usize) -> Result<bool, StorageError> {
        Ok(self.get::<i64>(index)? != 0)
    }
}

/// A type that a column can be read as.
pub trait Column: Sized {
    /// Reads SQLite's value.
    ///
    /// # Errors
    /// It has another type.
    fn from_sqlite(value: ValueRef<'_>) -> Result<Self, FromSqlError>;

    /// Reads PostgreSQL's value.
    ///
    /// # Errors
    /// It has another type.
    fn from_postgres(row: &postgres::Row, index: usize) -> Result<Self, StorageError>;
}

/// An integer of any width.
struct AnyInteger(i64);

impl<'a> FromSql<'a> for AnyInteger {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match *ty {
            Type::INT2 => i64::from(i16::from_sql(ty, raw)?),
            Type::INT4 => i64::from(i32::from_sql(ty, raw)?),
            _ => i64::from_sql(ty, raw)?,
        }))
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT2 | Type::INT4 | Type::INT8)
    }
}

impl Column for i64 {
    fn from_sqlite(value: ValueRef<'_>) -> Result<Self, FromSqlError> {
        Self::column_result(value)
    }

    fn from_postgres(row: &postgres::Row, index: usize) -> Result<Self, StorageError> {
        Ok(row.try_get::<_, AnyInteger>(index)?.0)
    }
}

impl Column for Option<i64> {
    fn from_sqlite(value: ValueRef<'_>) -> Result<Self, FromSqlError> {
        Self::column_result(value)
    }

    fn from_postgres(row: &postgres::Row, index: usize) -> Result<Self, StorageError> {
        Ok(row.try_get::<_, Option<AnyInteger>>(index)?.map(|value| value.0))
    }
}

macro_rules! columns {
    ($($ty:ty),+) => {$(
        impl Column for $ty {
            fn from_sqlite(value: ValueRef<'_>) -> Result<Self, FromSqlError> {
                Self::column_result(value)
            }

            fn from_postgres(row: &postgres::Row, index: usize) -> Result<Self, StorageError> {
                Ok(row.try_get(index)?)
            }
        }
    )+};
}
columns!(f64, Option<f64>, String, Option<String>, Vec<u8>, Option<Vec<u8>>);

impl Column for [u8; 16] {
    fn from_sqlite(value: ValueRef<'_>) -> Result<Self, FromSqlError> {
        Self::column_result(value)
    }

    fn from_postgres(row: &postgres::Row, index: usize) -> Result<Self, StorageError> {
        let bytes: &[u8] = row.try_get(index)?;
        bytes.try_into().map_err(|_| StorageError::Damaged {
            place: "16-byte key",
            found: format!("{} bytes", bytes.len()),
        })
    }
}
