//! Rows of lists: a table on a terminal, JSON Lines elsewhere.

use std::io::{IsTerminal, stdout};

use clap::{Arg, ArgMatches};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use serde_json::Value;

use super::output::{json, json_flag, try_print_line};
use crate::command_error::CommandError;

/// The flag that prints JSON Lines even on a terminal.
pub(super) fn flag() -> Arg {
    json_flag("Print JSON Lines, as elsewhere than on a terminal")
}

/// How a list is printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Printer {
    /// The fields that a table shows; JSON Lines have all.
    columns: &'static [&'static str],
    is_table: bool,
}

impl Printer {
    pub fn of(matches: &ArgMatches, columns: &'static [&'static str]) -> Self {
        let is_table = stdout().is_terminal() && !matches.get_flag("json");
        Self { columns, is_table }
    }

    /// Prints a page, and returns whether there is still a reader.
    pub fn print<T: Serialize>(
        self,
        rows: impl IntoIterator<Item = Result<T, CommandError>>,
    ) -> Result<bool, CommandError> {
        let mut cells = Vec::new();
        for row in rows {
            let line = json(&row?)?;
            if self.is_table {
                cells.push(self.cells(&line));
            } else if !try_print_line(&line)? {
                return Ok(false);
            }
        }
        if !self.is_table || cells.is_empty() {
            return Ok(true);
        }
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(self.columns.iter().copied());
        table.add_rows(cells);
        try_print_line(&table.to_string())
    }

    fn cells(self, line: &str) -> Vec<String> {
        let row: Value = serde_json::from_str(line).unwrap_or_default();
        let cell = |column: &&str| match row.get(*column) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        self.columns.iter().map(cell).collect()
    }
}
