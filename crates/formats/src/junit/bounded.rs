//! Long texts, of which only head and tail are kept while they are collected.

/// What text is added to.
pub(super) trait Sink {
    fn push_str(&mut self, text: &str);
    fn push(&mut self, character: char);
}

impl Sink for String {
    fn push_str(&mut self, text: &str) {
        self.push_str(text);
    }

    fn push(&mut self, character: char) {
        self.push(character);
    }
}

impl Sink for Bounded {
    fn push_str(&mut self, text: &str) {
        self.add(text);
    }

    fn push(&mut self, character: char) {
        self.add(character.encode_utf8(&mut [0; 4]));
    }
}

/// A text that keeps its head and its tail when it grows too long. What it keeps depends on the text alone, not on the
/// pieces in which it came.
#[derive(Debug, Default)]
pub(super) struct Bounded {
    head: String,
    /// Holds at least the last `half` bytes after the head.
    tail: String,
    half: usize,
    head_is_full: bool,
    dropped: usize,
}

impl Bounded {
    /// An empty text that keeps `most` bytes at most, and a note when it was longer.
    pub(super) fn new(most: usize) -> Self {
        Self { half: most / 2, ..Self::default() }
    }

    fn add(&mut self, mut text: &str) {
        if !self.head_is_full {
            let room = self.half - self.head.len();
            if text.len() <= room {
                return self.head.push_str(text);
            }
            let (fits, rest) = text.split_at(text.floor_char_boundary(room));
            self.head.push_str(fits);
            self.head_is_full = true;
            text = rest;
        }
        if text.len() > self.half {
            let skipped = text.ceil_char_boundary(text.len() - self.half);
            self.dropped += self.tail.len() + skipped;
            self.tail.clear();
            text = &text[skipped..];
        }
        self.tail.push_str(text);
        if self.tail.len() > self.half * 2 {
            self.trim_tail();
        }
    }

    fn trim_tail(&mut self) {
        if self.tail.len() > self.half {
            let cut = self.tail.ceil_char_boundary(self.tail.len() - self.half);
            self.tail.drain(..cut);
            self.dropped += cut;
        }
    }

    /// The text, and whether it lost its middle.
    pub(super) fn finish(mut self) -> (String, bool) {
        self.trim_tail();
        let cut = self.dropped > 0;
        if cut {
            self.head.push_str(&format!("\n[... {} bytes left out ...]\n", self.dropped));
        }
        self.head.push_str(&self.tail);
        (self.head, cut)
    }
}
