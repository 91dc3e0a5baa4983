//! Sets of metric numbers: one bit for each metric of the suite, so lists are merged without sorting them.

use super::columns::BLOCK;
use std::ops::Range;

/// Bits of a word.
const WORD: i64 = 64;

/// A set of metric numbers, which count from 1.
#[derive(Default)]
pub(super) struct Numbers {
    bits: Vec<u64>,
    len: i64,
}

impl Numbers {
    pub(super) fn insert(&mut self, number: i64) {
        let (word, bit) = ((number - 1) / WORD, (number - 1) % WORD);
        let Ok(word) = usize::try_from(word) else { return };
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.len += i64::from(self.bits[word] >> bit & 1 == 0);
        self.bits[word] |= 1 << bit;
    }

    pub(super) const fn len(&self) -> i64 {
        self.len
    }

    pub(super) fn contains(&self, number: i64) -> bool {
        let word = usize::try_from((number - 1) / WORD).ok().and_then(|word| self.bits.get(word));
        word.is_some_and(|word| word >> ((number - 1) % WORD) & 1 == 1)
    }

    /// The numbers at these places in rising order, counted from 0.
    pub(super) fn places(&self, places: Range<i64>) -> Vec<i64> {
        let mut found = Vec::with_capacity(usize::try_from(places.end - places.start).unwrap_or(0));
        let mut place = 0;
        for (first, word) in (1..).step_by(WORD as usize).zip(&self.bits) {
            let count = i64::from(word.count_ones());
            if place + count > places.start {
                let numbers = set_bits(*word).map(|bit| first + bit).zip(place..);
                found.extend(numbers.filter(|(_, place)| places.contains(place)).map(|(number, _)| number));
            }
            place += count;
            if place >= places.end {
                break;
            }
        }
        found
    }

    /// Those of one block, counted from the block's beginning.
    pub(super) fn of_block(&self, block: i64) -> impl Iterator<Item = usize> {
        let words = (BLOCK / WORD) as usize;
        let first = usize::try_from(block).unwrap_or(usize::MAX).saturating_mul(words);
        let part = self.bits.iter().skip(first).take(words);
        part.enumerate()
            .flat_map(|(at, word)| set_bits(*word).map(move |bit| at * WORD as usize + bit as usize))
    }

    /// The blocks with at least one of them, below block `end`.
    pub(super) fn blocks(&self, end: i64) -> Vec<i64> {
        let chunks = self.bits.chunks((BLOCK / WORD) as usize);
        let blocks = (0..end).zip(chunks).filter(|(_, words)| words.iter().any(|word| *word != 0));
        blocks.map(|(block, _)| block).collect()
    }

    /// Leaves those which the other set has, too.
    pub(super) fn intersect(&mut self, other: &Self) {
        self.bits.truncate(other.bits.len());
        self.bits.iter_mut().zip(&other.bits).for_each(|(word, other)| *word &= other);
        self.len = self.bits.iter().map(|word| i64::from(word.count_ones())).sum();
    }
}

/// The places of the bits that are set, lowest first.
fn set_bits(mut word: u64) -> impl Iterator<Item = i64> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| i64::from(word.trailing_zeros()));
        word &= word.wrapping_sub(1);
        bit
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(numbers: &[i64]) -> Numbers {
        let mut set = Numbers::default();
        numbers.iter().for_each(|number| set.insert(*number));
        set
    }

    #[test]
    fn numbers_come_back_in_rising_order_by_place_and_by_block() {
        let numbers = [1, 2, 64, 65, 512, 513, 514, 1024, 1025, 5000];
        let mut shuffled = numbers;
        shuffled.reverse();
        let set = set(&[shuffled, numbers].concat());
        assert_eq!(set.len(), 10);
        for start in 0..=10 {
            for end in start..=10 {
                assert_eq!(set.places(start..end), numbers[start as usize..end as usize]);
            }
        }
        assert_eq!(set.blocks(100), [0, 1, 2, 9]);
        assert_eq!(set.blocks(2), [0, 1]);
        assert_eq!(set.of_block(0).collect::<Vec<_>>(), [0, 1, 63, 64, 511]);
        assert_eq!(set.of_block(1).collect::<Vec<_>>(), [0, 1, 511]);
        assert_eq!(set.of_block(50).count(), 0);
        assert!(set.contains(65) && !set.contains(66) && !set.contains(1_000_000));
    }

    #[test]
    fn what_two_sets_share() {
        let mut some = set(&[1, 5, 70, 600]);
        some.intersect(&set(&[5, 70, 71]));
        assert_eq!((some.len(), some.places(0..2)), (2, vec![5, 70]));
        some.intersect(&Numbers::default());
        assert_eq!(some.len(), 0);
    }
}
