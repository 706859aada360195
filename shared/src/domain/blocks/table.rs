//! Tables: rectangles of texts.

use serde::Serialize;
use serde_json::Value;

use super::LARGEST_CONTENT;
use super::fields::{ContentError, Fields, array};
use super::rich_text::RichText;

pub(super) const MOST_COLUMNS: usize = 50;
pub(super) const MOST_ROWS: usize = 1_000;

/// Rows of cells, of which the first row is the head. Every row has as many cells as there are columns: 1 to 50; at
/// most 1,000 rows, and 180 KiB as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Table {
    align: Vec<Align>,
    rows: Vec<Vec<RichText>>,
}

/// To which side the cells of a column keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Align {
    /// To the left.
    Left,
    /// To the middle.
    Center,
    /// To the right.
    Right,
    /// As the reader's program has it.
    #[default]
    None,
}

impl Table {
    /// A table with one [`Align`] for each column.
    pub fn new(align: Vec<Align>, rows: Vec<Vec<RichText>>) -> Result<Self, ContentError> {
        if !(1..=MOST_COLUMNS).contains(&align.len()) {
            return Err(ContentError::new(
                "/align",
                format!("must be 1 to {MOST_COLUMNS}, one for each column"),
            ));
        }
        if !(1..=MOST_ROWS).contains(&rows.len()) {
            return Err(ContentError::new(
                "/rows",
                format!("must be 1 to {MOST_ROWS}, of which the first is the head"),
            ));
        }
        if let Some(nth) = rows.iter().position(|row| row.len() != align.len()) {
            let detail = format!("must have {} cells, as many as there are columns", align.len());
            return Err(ContentError::new(format!("/rows/{nth}"), detail));
        }
        let table = Self { align, rows };
        if serde_json::to_vec(&table).is_ok_and(|json| json.len() <= LARGEST_CONTENT - 1024) {
            Ok(table)
        } else {
            Err(ContentError::new("/rows", "must have at most 180 KiB as JSON"))
        }
    }

    /// The alignment of each column.
    pub fn align(&self) -> &[Align] {
        &self.align
    }

    /// The rows; the first one is the head.
    pub fn rows(&self) -> &[Vec<RichText>] {
        &self.rows
    }

    pub(super) fn read(fields: &mut Fields) -> Result<Self, ContentError> {
        let align = fields.array("align")?;
        let align =
            align.iter().enumerate().map(|(nth, align)| Align::read(align, nth)).collect::<Result<_, _>>()?;
        let rows = fields.array("rows")?;
        let rows =
            rows.into_iter().enumerate().map(|(nth, row)| read_row(row, nth)).collect::<Result<_, _>>()?;
        Self::new(align, rows)
    }
}

impl Align {
    fn read(value: &Value, nth: usize) -> Result<Self, ContentError> {
        match value.as_str() {
            Some("left") => Ok(Self::Left),
            Some("center") => Ok(Self::Center),
            Some("right") => Ok(Self::Right),
            Some("none") => Ok(Self::None),
            Some(_) | None => {
                Err(ContentError::new(format!("/align/{nth}"), "must be left, center, right or none"))
            }
        }
    }
}

fn read_row(row: Value, nth: usize) -> Result<Vec<RichText>, ContentError> {
    let cells = array(row, &format!("/rows/{nth}"))?.into_iter().enumerate();
    cells.map(|(column, cell)| RichText::read_whole(cell, &format!("/rows/{nth}/{column}"))).collect()
}
