//! Rust text taken apart into code, comments and string literals, so that a rule about code does not stumble
//! over a comment. Not a parser: it only has to know where comments and literals begin and end.

/// A source file in three views. `code` and `comments` have the lines of the original, with blanks where the
/// other views have something.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RustSource {
    pub(super) code: String,
    pub(super) comments: String,
    pub(super) literals: Vec<Literal>,
}

/// A string literal as written, without its quotes; escapes are left as they are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Literal {
    /// Where it begins, counted from one.
    pub(super) line: usize,
    pub(super) text: String,
}

impl RustSource {
    pub(super) fn read(text: &str) -> RustSource {
        let mut scanner =
            Scanner { characters: text.chars().collect(), at: 0, line: 1, source: RustSource::default() };
        while let Some(next) = scanner.peek(0) {
            scanner.token(next);
        }
        scanner.source
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    Code,
    Comment,
    Literal,
}

struct Scanner {
    characters: Vec<char>,
    at: usize,
    line: usize,
    source: RustSource,
}

impl Scanner {
    fn token(&mut self, next: char) {
        match (next, self.peek(1)) {
            ('/', Some('/')) => self.line_comment(),
            ('/', Some('*')) => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', _) => self.quote(),
            _ if is_identifier(next) => self.identifier(),
            _ => self.take(View::Code, 1),
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    /// Moves on, copying the characters to one view and blanks to the others.
    fn take(&mut self, view: View, count: usize) {
        for _ in 0..count {
            let Some(character) = self.peek(0) else { return };
            let blank = if character == '\n' { '\n' } else { ' ' };
            self.source.code.push(if view == View::Code { character } else { blank });
            self.source.comments.push(if view == View::Comment { character } else { blank });
            self.line += usize::from(character == '\n');
            self.at += 1;
        }
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|next| next != '\n') {
            self.take(View::Comment, 1);
        }
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (Some(_), _) => {
                    self.take(View::Comment, 1);
                    continue;
                }
                (None, _) => return,
            }
            self.take(View::Comment, 2);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.take(View::Code, 1);
        let (start, line) = (self.at, self.line);
        while let Some(next) = self.peek(0).filter(|next| *next != '"') {
            self.take(View::Literal, if next == '\\' { 2 } else { 1 });
        }
        self.finish_literal(start, line);
        self.take(View::Code, 1);
    }

    fn raw_string(&mut self, hashes: usize) {
        self.take(View::Code, hashes + 1);
        let (start, line) = (self.at, self.line);
        while self.peek(0).is_some() && !self.raw_string_ends(hashes) {
            self.take(View::Literal, 1);
        }
        self.finish_literal(start, line);
        self.take(View::Code, hashes + 1);
    }

    fn raw_string_ends(&self, hashes: usize) -> bool {
        self.peek(0) == Some('"') && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'))
    }

    fn finish_literal(&mut self, start: usize, line: usize) {
        let text = self.characters[start..self.at].iter().collect();
        self.source.literals.push(Literal { line, text });
    }

    /// A character literal, or the mark of a lifetime.
    fn quote(&mut self) {
        self.take(View::Code, 1);
        if self.peek(0) == Some('\\') {
            self.take(View::Literal, 2);
            while self.peek(0).is_some_and(|next| next != '\'') {
                self.take(View::Literal, 1);
            }
            self.take(View::Code, 1);
        } else if self.peek(1) == Some('\'') {
            self.take(View::Literal, 1);
            self.take(View::Code, 1);
        }
    }

    /// A whole word, because a raw string starts with one: `r`, `br` or `cr`.
    fn identifier(&mut self) {
        let start = self.at;
        while self.peek(0).is_some_and(is_identifier) {
            self.take(View::Code, 1);
        }
        let word: String = self.characters[start..self.at].iter().collect();
        let hashes = self.characters[self.at..].iter().take_while(|next| **next == '#').count();
        if ["r", "br", "cr"].contains(&word.as_str()) && self.peek(hashes) == Some('"') {
            self.raw_string(hashes);
        }
    }
}

fn is_identifier(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(text: &str) -> Vec<String> {
        RustSource::read(text).literals.into_iter().map(|literal| literal.text).collect()
    }

    #[test]
    fn comments_are_not_code() {
        let source = RustSource::read("a(); // b\n/* c /* d */ e */ f();");
        assert_eq!(source.code, "a();     \n                  f();");
        assert_eq!(source.comments, "     // b\n/* c /* d */ e */     ");
    }

    #[test]
    fn strings_are_not_code() {
        let source = RustSource::read("let a = \"// \\\" no\"; // yes");
        assert_eq!(source.literals, [Literal { line: 1, text: "// \\\" no".to_owned() }]);
        assert_eq!(source.comments.trim(), "// yes");
        assert!(source.code.starts_with("let a = \""));
    }

    #[test]
    fn every_kind_of_string() {
        assert_eq!(
            literals(r##"r"a\" b"b" r#"c"c"# br#"d"# c"e" for"f" r#type"##),
            ["a\\", "b", "c\"c", "d", "e", "f"]
        );
        assert_eq!(literals("\"a\\\\\" \"b\""), ["a\\\\", "b"]);
    }

    #[test]
    fn quotes_and_lifetimes() {
        assert_eq!(literals(r#"fn a<'a>(b: &'a str) { ['"', '\'', '\u{1F600}', b'"']; "c" }"#), ["c"]);
        assert_eq!(literals("'outer: loop { break 'outer \"d\" }"), ["d"]);
    }

    #[test]
    fn literals_know_their_line() {
        let source = RustSource::read("\n/*\n*/ \"a\n\" + \"b\"");
        assert_eq!(source.literals.iter().map(|literal| literal.line).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn half_a_file_does_no_harm() {
        for text in ["\"a", "/* a", "r#\"a", "'", "'\\", "r#", "\"a\\"] {
            RustSource::read(text);
        }
    }
}
