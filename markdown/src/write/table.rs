//! Tables, one line to a row.

use shared::domain::blocks::{Align, RichText, Table};

use super::escape::Flow;
use super::inline;

pub(super) fn write(out: &mut String, table: &Table) {
    let (head, body) = table.rows().split_first().expect("a table has at least one row");
    push_row(out, head);
    out.push_str("\n|");
    for align in table.align() {
        out.push_str(match align {
            Align::Left => " :-- |",
            Align::Center => " :-: |",
            Align::Right => " --: |",
            Align::None => " --- |",
        });
    }
    for row in body {
        out.push('\n');
        push_row(out, row);
    }
}

fn push_row(out: &mut String, row: &[RichText]) {
    out.push('|');
    for cell in row {
        out.push(' ');
        out.push_str(&inline::write(cell, Flow::Cell));
        out.push_str(" |");
    }
}
