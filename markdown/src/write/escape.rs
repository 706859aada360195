//! Escapes characters that Markdown would interpret.

use std::ops::Range;

/// Where a text is written, which decides what a line feed becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// A paragraph, which may have several lines.
    Lines,
    /// A header.
    OneLine,
    /// A cell of a table: `|` would end it.
    Cell,
}

/// Writes the characters of one text, a part at a time.
pub(super) struct Writer<'a> {
    pub(super) out: String,
    text: &'a [char],
    flow: Flow,
    line: Place,
}

/// How far a line has got, which decides whether a character could begin a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// Nothing but digits, so far.
    Digits,
    Within,
}

impl<'a> Writer<'a> {
    pub(super) fn new(text: &'a [char], flow: Flow) -> Self {
        Self { out: String::new(), text, flow, line: Place::Start }
    }

    /// Writes marks as they are.
    pub(super) fn mark(&mut self, mark: &str) {
        self.out.push_str(mark);
        self.line = Place::Within;
    }

    /// Writes a part of the text, with marks or nothing around it. What looks like a footnote is left as it is, as its
    /// note may be among the blocks, but not within brackets.
    pub(super) fn part(&mut self, part: &Range<usize>, in_brackets: bool) {
        let mut nth = part.start;
        while nth < part.end {
            let footnote = if in_brackets { 0 } else { self.footnote(nth, part.end) };
            if footnote > 0 {
                let footnote: String = self.text[nth..nth + footnote].iter().collect();
                self.mark(&footnote);
            } else {
                self.character(nth, part);
            }
            nth += footnote.max(1);
        }
    }

    /// How many characters from here are `[^label]` and nothing more than that.
    fn footnote(&self, nth: usize, end: usize) -> usize {
        let image = nth > 0 && self.text[nth - 1] == '!';
        let Some(label) = self.text[nth..end].strip_prefix(&['[', '^']).filter(|_| !image) else { return 0 };
        let length = label.iter().take_while(|c| c.is_ascii_alphanumeric()).count();
        let whole = matches!(label.get(length..), Some([']']) if end == self.text.len())
            || matches!(label.get(length..), Some([']', next, ..]) if !matches!(next, '(' | '[' | ':'));
        if whole && length > 0 { length + 3 } else { 0 }
    }

    fn character(&mut self, nth: usize, part: &Range<usize>) {
        let c = self.text[nth];
        let before = nth.checked_sub(1).map(|nth| self.text[nth]);
        let after = self.text.get(nth + 1).copied();
        let place = self.line;
        self.line = after_character(place, c);
        if c == '\n' {
            return self.line_feed(nth, part);
        }
        let at_edge = |beside: Option<char>| beside.is_none_or(|c| c == '\n');
        if c == '\u{FEFF}' || (c.is_whitespace() && (at_edge(before) || at_edge(after))) {
            return self.out.push_str(&entity(c));
        }
        if c == '|' && self.flow == Flow::Cell {
            return self.out.push_str(if before == Some('\\') { "&#124;" } else { "\\|" });
        }
        let within = |neighbour: Option<char>| neighbour.filter(|_| part.start < nth && nth + 1 < part.end);
        let escaped = match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '~' => true,
            '_' => {
                !(within(before).is_some_and(char::is_alphanumeric)
                    && within(after).is_some_and(char::is_alphanumeric))
            }
            '!' => nth + 1 == part.end && after.is_some(),
            '&' => nth + 1 < part.end && after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '#'),
            '^' => nth == part.start,
            '#' => place == Place::Start || self.flow == Flow::OneLine,
            '-' | '+' | '=' | ':' | '>' | '|' => place == Place::Start,
            '.' | ')' => place == Place::Digits,
            _ => false,
        };
        if escaped {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// A break that programs agree about, if there is no mark beside it and no white space.
    fn line_feed(&mut self, nth: usize, part: &Range<usize>) {
        let within = part.start < nth && nth + 1 < part.end;
        let plain = |c: char| !c.is_whitespace() && c != '\\';
        if self.flow == Flow::Lines && within && plain(self.text[nth - 1]) && plain(self.text[nth + 1]) {
            self.out.push_str("\\\n");
            self.line = Place::Start;
        } else if nth == 0 {
            // A tag at the very beginning could be taken for a block of HTML.
            self.out.push_str(&entity('\n'));
        } else {
            self.out.push_str("<br>");
        }
    }
}

fn after_character(place: Place, c: char) -> Place {
    match place {
        Place::Start | Place::Digits if c.is_ascii_digit() => Place::Digits,
        Place::Start | Place::Digits | Place::Within => Place::Within,
    }
}

/// The character by its number.
pub(super) fn entity(c: char) -> String {
    format!("&#{};", u32::from(c))
}

/// How often this character stands in a row, at most.
pub(super) fn longest_run(text: &str, wanted: char) -> usize {
    text.split(|c| c != wanted).map(str::len).max().unwrap_or_default()
}
