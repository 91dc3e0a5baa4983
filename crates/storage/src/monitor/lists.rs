//! Lists of metric numbers in rising order: a count, a numbered page or a whole list without reading metrics.
//!
//! A list is cut into chunks of [`CHUNK`] numbers, packed as distances. Additions never change full chunks; the rest, the tail,
//! lies in the list's own row with its size. So a page is at most three rows wherever it is, and a new member rewrites one.

use super::numbers::Numbers;
use crate::db::Db;
use crate::error::StorageError;
use crate::insert::Insert;
use crate::value::{Value, values};
use casebook_model::id::SuiteId;
use std::collections::BTreeMap;
use std::ops::Range;

/// Chunks that are read at once while a list is packed anew.
const AT_ONCE: i64 = 256;

/// Members of a full chunk.
pub(super) const CHUNK: i64 = 512;

/// The list of all metrics.
pub(super) const ALL: i64 = 0;

const HEADS: &str = "/* monitor.lists */ select word_id, size, tail from monitor_list where suite_id = $1 and word_id = any($2)";
const CHUNKS: &str = "/* monitor.list_chunks */ select members from monitor_list_chunk \
     where suite_id = $1 and word_id = $2 and chunk >= $3 and chunk < $4 order by chunk";
const ALL_CHUNKS: &str = "/* monitor.all_list_chunks */ select members from monitor_list_chunk \
     where suite_id = $1 and word_id = any($2) order by word_id, chunk";
const PUT_HEADS: Insert = Insert {
    into: "monitor_list (suite_id, word_id, size, tail)",
    columns: 4,
    conflict: "on conflict (suite_id, word_id) do update set size = excluded.size, tail = excluded.tail",
};
const PUT_CHUNKS: Insert =
    Insert { into: "monitor_list_chunk (suite_id, word_id, chunk, members)", columns: 4, conflict: "" };

const REPLACE_CHUNKS: Insert = Insert {
    into: "monitor_list_chunk (suite_id, word_id, chunk, members)",
    columns: 4,
    conflict: "on conflict (suite_id, word_id, chunk) do update set members = excluded.members",
};
const DROP_CHUNKS: &str = "/* monitor.drop_list_chunks */ delete from monitor_list_chunk \
     where suite_id = $1 and word_id = $2 and chunk >= $3";
const DROP_HEADS: &str =
    "/* monitor.drop_lists */ delete from monitor_list where suite_id = $1 and word_id = any($2)";

/// A list's own row.
pub(super) struct Head {
    pub(super) size: i64,
    tail: Vec<u8>,
}

/// Adds members to lists; those of each list come in rising order, and are larger than all before.
pub(super) fn append(
    db: &mut Db<'_>,
    suite: SuiteId,
    additions: &BTreeMap<i64, Vec<i64>>,
) -> Result<(), StorageError> {
    let words: Vec<i64> = additions.keys().copied().collect();
    let mut known: BTreeMap<i64, Head> = heads(db, suite, &words)?.into_iter().collect();
    let mut changed = Vec::with_capacity(additions.len());
    let mut full = Vec::new();
    for (word, members) in additions {
        let mut head = known.remove(word).unwrap_or_else(Head::empty);
        head.extend(members, |chunk, members| full.push((*word, chunk, members)))?;
        changed.push((*word, head));
    }
    put_chunks(db, suite, &PUT_CHUNKS, &full)?;
    put_heads(db, suite, &changed)
}

/// Takes those members out of lists which `gone` has; a list that is left empty goes. Linear in the length of the lists.
pub(super) fn remove(
    db: &mut Db<'_>,
    suite: SuiteId,
    words: &[i64],
    gone: &Numbers,
) -> Result<(), StorageError> {
    let (mut changed, mut empty) = (Vec::new(), Vec::new());
    for (word, old) in heads(db, suite, words)? {
        let new = if old.size < CHUNK {
            // Most are short, and are read and written together.
            let mut new = Head::empty();
            new.extend(&old.tail_without(gone)?, |_, _| ())?;
            new
        } else {
            pack_anew(db, suite, word, &old, gone)?
        };
        if new.size == 0 {
            empty.push(word);
        } else if new.size != old.size {
            changed.push((word, new));
        }
    }
    put_heads(db, suite, &changed)?;
    db.execute(DROP_HEADS, &[suite.get().into(), Value::Ints(&empty)])?;
    Ok(())
}

/// Writes the chunks of a list without what is gone, and returns its new row.
fn pack_anew(
    db: &mut Db<'_>,
    suite: SuiteId,
    word: i64,
    old: &Head,
    gone: &Numbers,
) -> Result<Head, StorageError> {
    let (chunks, mut new) = (old.size / CHUNK, Head::empty());
    for first in (0..chunks).step_by(AT_ONCE as usize) {
        let mut kept = members(db, suite, word, old, first * CHUNK..chunks.min(first + AT_ONCE) * CHUNK)?;
        let before = kept.len();
        kept.retain(|member| !gone.contains(*member));
        let is_as_it_was = kept.len() == before && new.size == first * CHUNK;
        let mut full = Vec::new();
        new.extend(&kept, |chunk, members| full.push((word, chunk, members)))?;
        if !is_as_it_was {
            put_chunks(db, suite, &REPLACE_CHUNKS, &full)?;
        }
    }
    let mut full = Vec::new();
    new.extend(&old.tail_without(gone)?, |chunk, members| full.push((word, chunk, members)))?;
    put_chunks(db, suite, &REPLACE_CHUNKS, &full)?;
    db.execute(DROP_CHUNKS, values![suite.get(), word, new.size / CHUNK])?;
    Ok(new)
}

impl Head {
    const fn empty() -> Self {
        Self { size: 0, tail: Vec::new() }
    }

    /// The members in the list's own row, without what is gone.
    fn tail_without(&self, gone: &Numbers) -> Result<Vec<i64>, StorageError> {
        let mut members = Vec::new();
        unpack(&self.tail, |member| members.push(member))?;
        members.retain(|member| !gone.contains(*member));
        Ok(members)
    }

    /// Puts members behind those that are there; `full` gets the number and the bytes of each chunk that becomes full.
    fn extend(&mut self, members: &[i64], mut full: impl FnMut(i64, Vec<u8>)) -> Result<(), StorageError> {
        let mut last = unpack(&self.tail, |_| ())?;
        for member in members {
            put(&mut self.tail, member - last);
            last = *member;
            self.size += 1;
            if self.size % CHUNK == 0 {
                full(self.size / CHUNK - 1, std::mem::take(&mut self.tail));
                last = 0;
            }
        }
        Ok(())
    }
}

/// Writes chunks of lists: word, number of the chunk, and its bytes.
fn put_chunks(
    db: &mut Db<'_>,
    suite: SuiteId,
    insert: &Insert,
    full: &[(i64, i64, Vec<u8>)],
) -> Result<(), StorageError> {
    let mut rows: Vec<Value<'_>> = Vec::with_capacity(full.len() * insert.columns);
    for (word, chunk, members) in full {
        rows.extend_from_slice(values![suite.get(), *word, *chunk, members.as_slice()]);
    }
    insert.rows(db, &rows)
}

fn put_heads(db: &mut Db<'_>, suite: SuiteId, heads: &[(i64, Head)]) -> Result<(), StorageError> {
    let mut rows: Vec<Value<'_>> = Vec::with_capacity(heads.len() * PUT_HEADS.columns);
    for (word, head) in heads {
        rows.extend_from_slice(values![suite.get(), *word, head.size, head.tail.as_slice()]);
    }
    PUT_HEADS.rows(db, &rows)
}

fn heads(db: &mut Db<'_>, suite: SuiteId, words: &[i64]) -> Result<Vec<(i64, Head)>, StorageError> {
    db.query(HEADS, &[suite.get().into(), Value::Ints(words)], |row| {
        Ok((row.get(0)?, Head { size: row.get(1)?, tail: row.get(2)? }))
    })
}

/// The list of a word; empty if it has none.
pub(super) fn head(db: &mut Db<'_>, suite: SuiteId, word: i64) -> Result<Head, StorageError> {
    let found = heads(db, suite, &[word])?.into_iter().next();
    Ok(found.map_or_else(Head::empty, |(_, head)| head))
}

/// The members at the places `range` of a list, counted from 0.
pub(super) fn members(
    db: &mut Db<'_>,
    suite: SuiteId,
    word: i64,
    head: &Head,
    range: Range<i64>,
) -> Result<Vec<i64>, StorageError> {
    let range = range.start.max(0)..range.end.min(head.size);
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let (first, full) = (range.start / CHUNK, head.size / CHUNK);
    let end = full.min((range.end - 1) / CHUNK + 1);
    let mut found = Vec::with_capacity((range.end - first * CHUNK) as usize);
    if first < end {
        db.each(CHUNKS, values![suite.get(), word, first, end], |row| {
            unpack(row.bytes(0)?, |member| found.push(member)).map(|_| ())
        })?;
    }
    if range.end > full * CHUNK {
        unpack(&head.tail, |member| found.push(member))?;
    }
    let skipped = (range.start - first * CHUNK) as usize;
    found.truncate((range.end - first * CHUNK) as usize);
    found.drain(..skipped.min(found.len()));
    Ok(found)
}

/// All members of some lists.
pub(super) fn all(db: &mut Db<'_>, suite: SuiteId, words: &[i64]) -> Result<Numbers, StorageError> {
    let heads = heads(db, suite, words)?;
    let mut found = Numbers::default();
    let long: Vec<i64> = heads.iter().filter(|(_, head)| head.size >= CHUNK).map(|(word, _)| *word).collect();
    if !long.is_empty() {
        db.each(ALL_CHUNKS, &[suite.get().into(), Value::Ints(&long)], |row| {
            unpack(row.bytes(0)?, |member| found.insert(member)).map(|_| ())
        })?;
    }
    for (_, head) in &heads {
        unpack(&head.tail, |member| found.insert(member))?;
    }
    Ok(found)
}

/// Reads packed members, and returns the last; 0 of none.
fn unpack(bytes: &[u8], mut take: impl FnMut(i64)) -> Result<i64, StorageError> {
    let (mut last, mut number, mut shift) = (0i64, 0i64, 0u32);
    for byte in bytes {
        if shift == 0 && *byte < 0x80 {
            last += i64::from(*byte);
            take(last);
            continue;
        }
        number |= i64::from(byte & 0x7f) << shift;
        shift += 7;
        if *byte < 0x80 {
            last += number;
            take(last);
            (number, shift) = (0, 0);
        } else if shift > 56 {
            return Err(damaged(bytes));
        }
    }
    if shift == 0 { Ok(last) } else { Err(damaged(bytes)) }
}

fn damaged(bytes: &[u8]) -> StorageError {
    StorageError::Damaged { place: "monitor_list", found: format!("{} bytes", bytes.len()) }
}

fn put(bytes: &mut Vec<u8>, distance: i64) {
    let mut number = distance.max(0).cast_unsigned();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
