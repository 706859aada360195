//! Where items stand: markers, numbers and margins of nested lists.

/// The lists that are open, outermost first.
pub(super) struct Lists {
    /// The column at which each level begins; of the last one there may be no item yet.
    columns: Vec<usize>,
    /// The number of the last item of each level, if it is numbered.
    numbers: Vec<Option<usize>>,
}

impl Default for Lists {
    fn default() -> Self {
        Self { columns: vec![0], numbers: Vec::new() }
    }
}

impl Lists {
    /// Writes the marker of an item, and returns the margin of its further lines. Levels that have no item before it
    /// get an empty one each, on the same line.
    pub(super) fn item(&mut self, out: &mut String, depth: u8, ordered: bool) -> String {
        let level = usize::from(depth);
        self.columns.truncate(level + 1);
        self.numbers.truncate(level + 1);
        let mut column = self.columns.last().copied().unwrap_or_default();
        out.push_str(&" ".repeat(column));
        while self.columns.len() <= level {
            out.push_str("- ");
            column += 2;
            self.columns.push(column);
        }
        self.numbers.resize(level + 1, None);
        let number = ordered.then(|| self.numbers[level].map_or(1, |number| number + 1));
        self.numbers[level] = number;
        let marker = number.map_or_else(|| "- ".to_owned(), |number| format!("{number}. "));
        out.push_str(&marker);
        column += marker.len();
        self.columns.push(column);
        " ".repeat(column)
    }
}
