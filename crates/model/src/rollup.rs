//! Roll-ups: what happened to a test on one day and branch class, packed for [`CHUNK_TESTS`] neighbouring tests at a time.
//!
//! One packed row for 32 tests instead of 32 rows makes an upload of a whole suite touch a thirty-second of the rows, and a
//! window over all tests of a suite a scan of a few thousand rows. The packing is versioned by its first byte.

/// Tests per packed chunk. Keeps a chunk of ordinary cells under the 1,000 bytes that SQLite stores without overflow pages.
pub const CHUNK_TESTS: i64 = 32;

const VERSION: u8 = 1;

/// Counts and durations of one test, day and branch class.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RollupCell {
    /// Passed executions, without measured ones.
    pub passed: u64,
    /// Failed executions.
    pub failed: u64,
    /// Executions that ended in error.
    pub error: u64,
    /// Skipped executions, pending ones included.
    pub skipped: u64,
    /// Those of the skipped that were reported as pending.
    pub pending: u64,
    /// Executions without an outcome.
    pub unknown: u64,
    /// Executions derived from resource metrics; in none of the counts above.
    pub measured: u64,
    /// Executions with a duration.
    pub timed: u64,
    /// Sum of their durations.
    pub duration_sum_us: u64,
    /// Shortest duration; 0 without any.
    pub duration_min_us: u64,
    /// Longest duration.
    pub duration_max_us: u64,
}

impl RollupCell {
    /// Executions that count in rates and lists.
    #[must_use]
    pub const fn executions(&self) -> u64 {
        self.passed + self.failed + self.error + self.skipped + self.unknown
    }

    /// Takes a duration in.
    pub fn add_duration(&mut self, duration_us: i64) {
        let duration = duration_us.max(0).cast_unsigned();
        self.duration_min_us = if self.timed == 0 { duration } else { self.duration_min_us.min(duration) };
        self.duration_max_us = self.duration_max_us.max(duration);
        self.duration_sum_us = self.duration_sum_us.saturating_add(duration);
        self.timed += 1;
    }

    /// Takes the executions of `other` in.
    pub fn merge(&mut self, other: &Self) {
        if other.timed > 0 {
            self.duration_min_us = if self.timed == 0 {
                other.duration_min_us
            } else {
                self.duration_min_us.min(other.duration_min_us)
            };
            self.duration_max_us = self.duration_max_us.max(other.duration_max_us);
            self.duration_sum_us = self.duration_sum_us.saturating_add(other.duration_sum_us);
            self.timed += other.timed;
        }
        self.passed += other.passed;
        self.failed += other.failed;
        self.error += other.error;
        self.skipped += other.skipped;
        self.pending += other.pending;
        self.unknown += other.unknown;
        self.measured += other.measured;
    }

    /// The integer fields, the most frequent first, so that an ordinary cell has a one-byte mask.
    fn numbers(&mut self) -> [&mut u64; 11] {
        [
            &mut self.passed,
            &mut self.timed,
            &mut self.duration_sum_us,
            &mut self.duration_min_us,
            &mut self.duration_max_us,
            &mut self.failed,
            &mut self.skipped,
            &mut self.error,
            &mut self.pending,
            &mut self.unknown,
            &mut self.measured,
        ]
    }
}

/// The chunk that holds `test`.
#[must_use]
pub const fn chunk_of(test: i64) -> i64 {
    test / CHUNK_TESTS
}

/// The cells of one chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct RollupChunk {
    cells: [Option<RollupCell>; CHUNK_TESTS as usize],
}

impl Default for RollupChunk {
    fn default() -> Self {
        Self { cells: [None; CHUNK_TESTS as usize] }
    }
}

/// The bytes are no packed chunk of a version this program knows.
#[derive(Debug, thiserror::Error)]
#[error("the packed roll-up is damaged or was written by a newer version")]
pub struct DamagedRollup;

impl RollupChunk {
    /// The cell of `test`, made if it is not there.
    pub fn cell_mut(&mut self, test: i64) -> &mut RollupCell {
        self.cells[Self::slot(test)].get_or_insert_default()
    }

    /// The cell of `test`.
    #[must_use]
    pub fn cell(&self, test: i64) -> Option<&RollupCell> {
        self.cells[Self::slot(test)].as_ref()
    }

    /// The cells that are there, with their tests, when this is chunk number `chunk`.
    pub fn cells(&self, chunk: i64) -> impl Iterator<Item = (i64, &RollupCell)> {
        (chunk * CHUNK_TESTS..).zip(&self.cells).filter_map(|(test, cell)| Some((test, cell.as_ref()?)))
    }

    const fn slot(test: i64) -> usize {
        test.rem_euclid(CHUNK_TESTS) as usize
    }

    /// Takes the cells of `other` in.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.cells.iter_mut().zip(&other.cells) {
            if let Some(theirs) = theirs {
                mine.get_or_insert_default().merge(theirs);
            }
        }
    }

    /// The packed form: version, presence mask, then each cell as field mask and variable-length numbers.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(640);
        bytes.push(VERSION);
        let present = (0..)
            .zip(&self.cells)
            .filter(|(_, cell)| cell.is_some())
            .fold(0u32, |mask, (n, _)| mask | 1 << n);
        bytes.extend_from_slice(&present.to_le_bytes());
        for cell in self.cells.iter().flatten() {
            let mut cell = *cell;
            let numbers = cell.numbers();
            let mut mask = 0u64;
            for (bit, number) in numbers.iter().enumerate() {
                mask |= u64::from(**number != 0) << bit;
            }
            put(&mut bytes, mask);
            for number in numbers {
                if *number != 0 {
                    put(&mut bytes, *number);
                }
            }
        }
        bytes
    }

    /// Reads the packed form.
    ///
    /// # Errors
    /// The bytes end too early, or have an unknown version.
    pub fn unpack(bytes: &[u8]) -> Result<Self, DamagedRollup> {
        let mut chunk = Self::default();
        let mut at = bytes;
        let [version] = take::<1>(&mut at)?;
        if version != VERSION {
            return Err(DamagedRollup);
        }
        let present = u32::from_le_bytes(take(&mut at)?);
        for slot in (0..CHUNK_TESTS as usize).filter(|slot| present >> slot & 1 == 1) {
            let mut cell = RollupCell::default();
            let mask = get(&mut at)?;
            for (bit, number) in cell.numbers().into_iter().enumerate() {
                if mask >> bit & 1 == 1 {
                    *number = get(&mut at)?;
                }
            }
            chunk.cells[slot] = Some(cell);
        }
        Ok(chunk)
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn get(at: &mut &[u8]) -> Result<u64, DamagedRollup> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take::<1>(at)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(DamagedRollup)
}

fn take<const N: usize>(at: &mut &[u8]) -> Result<[u8; N], DamagedRollup> {
    let (head, rest) = at.split_first_chunk::<N>().ok_or(DamagedRollup)?;
    *at = rest;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cell() -> impl Strategy<Value = RollupCell> {
        (any::<[u8; 6]>(), proptest::collection::vec(0i64..1 << 40, 0..4)).prop_map(|(counts, durations)| {
            let [passed, failed, error, skipped, unknown, measured] = counts.map(u64::from);
            let mut cell =
                RollupCell { passed, failed, error, skipped, unknown, measured, ..RollupCell::default() };
            durations.into_iter().for_each(|duration| cell.add_duration(duration));
            cell
        })
    }

    proptest! {
        #[test]
        fn packing_loses_nothing(cells in proptest::collection::vec((0i64..CHUNK_TESTS, cell()), 0..20)) {
            let mut chunk = RollupChunk::default();
            for (test, cell) in cells {
                chunk.cell_mut(test + 7 * CHUNK_TESTS).merge(&cell);
            }
            prop_assert_eq!(RollupChunk::unpack(&chunk.pack()).unwrap(), chunk);
        }

        #[test]
        fn damaged_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = RollupChunk::unpack(&bytes);
        }

        #[test]
        fn the_order_of_merging_does_not_matter(a in cell(), b in cell()) {
            let (mut left, mut right) = (a, b);
            left.merge(&b);
            right.merge(&a);
            prop_assert_eq!(left, right);
        }
    }

    #[test]
    fn an_ordinary_chunk_fits_a_page() {
        let mut chunk = RollupChunk::default();
        for test in 0..CHUNK_TESTS {
            let cell = chunk.cell_mut(test);
            cell.passed = 80;
            (0..80).for_each(|n| cell.add_duration(120_000 + n * 1000));
        }
        assert!(chunk.pack().len() < 1000, "{}", chunk.pack().len());
    }
}
