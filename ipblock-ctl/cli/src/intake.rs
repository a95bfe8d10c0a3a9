//! Options that say how a file is read.

use clap::{Args, builder::TypedValueParser};
use ipblock_policy::exchange::{Columns, Delimiter, FileFormat, Filter, JsonPath, ReadOptions};

use super::arguments::auto_or;

/// The options of a reader, the same for each command that reads a file.
#[derive(Clone, Debug, Args)]
pub(crate) struct IntakeArgs {
    /// What the file is written in [default: auto]
    #[arg(
        long,
        default_value = "auto",
        hide_default_value = true,
        value_parser = format_parser(),
        help_heading = READING
    )]
    format: AskedFormat,
    /// Read this set of a file with several; for nft its name, or FAMILY TABLE NAME in quotes
    #[arg(long, value_name = "NAME", help_heading = READING)]
    set: Vec<String>,
    /// Read this column of a table, by name or number; 1-2 is a range, 1/2 an address and its mask,
    /// 1+2 an address and a count
    #[arg(long, value_name = "NAME|N", help_heading = READING)]
    column: Option<Columns>,
    /// The character between columns, or tab
    #[arg(long, value_name = "C", help_heading = READING)]
    delimiter: Option<Delimiter>,
    /// Read this place of a JSON document: .key for a key, [] for each element of an array, such as
    /// .values[].prefixes[]
    #[arg(long, value_name = "PATH", help_heading = READING)]
    at: Option<JsonPath>,
    /// Read only records with this value, such as country=CN; values of one column are alternatives
    #[arg(long = "where", value_name = "COLUMN=VALUE", help_heading = READING)]
    conditions: Vec<Filter>,
}

const READING: &str = "Reading";

/// The requested format; `None` means that the content determines it.
type AskedFormat = Option<FileFormat>;

fn format_parser() -> impl TypedValueParser<Value = AskedFormat> {
    auto_or(
        "Find out",
        FileFormat::ALL.map(|format| (format.as_str(), format.summary())),
    )
}

impl IntakeArgs {
    /// Returns the options.
    pub(crate) fn options(&self) -> ReadOptions {
        ReadOptions {
            format: self.format,
            sets: self.set.clone(),
            column: self.column.clone(),
            delimiter: self.delimiter,
            at: self.at.clone(),
            filters: self.conditions.clone(),
        }
    }
}
