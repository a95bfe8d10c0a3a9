//! What the operator says about a file: its format, and where in it the addresses are.
//!
//! An option that the format does not use is rejected: the operator expects it to change what is
//! read.

use std::{fmt, str::FromStr};

use super::{FileFormat, JsonPath, ReadError};
use crate::{text::excerpt, word::words};

/// Maximum number of a column.
const MAX_COLUMN: usize = 10_000;

words! {
    /// An option that only some formats use.
    pub enum ReadOption {
        /// A set of several.
        Set = "set",
        /// The column of addresses.
        Column = "column",
        /// The character between columns.
        Delimiter = "delimiter",
        /// The place in a JSON document.
        At = "at",
        /// The records to take.
        Where = "where",
    }
}

impl FileFormat {
    /// Returns the options that a format uses.
    #[must_use]
    pub const fn takes(self) -> &'static [ReadOption] {
        match self {
            Self::Csv => &[ReadOption::Column, ReadOption::Delimiter, ReadOption::Where],
            Self::Rir => &[ReadOption::Where],
            Self::Json => &[ReadOption::Set, ReadOption::At],
            Self::Ndjson => &[ReadOption::At],
            Self::Ipset | Self::Nft | Self::Iptables | Self::Mikrotik | Self::Fail2ban => {
                &[ReadOption::Set]
            }
            Self::Plain
            | Self::Spamhaus
            | Self::Toml
            | Self::Crowdsec
            | Self::Firewalld
            | Self::Csf
            | Self::HostsDeny
            | Self::Nginx
            | Self::Apache
            | Self::P2p
            | Self::Ipfilter
            | Self::Stix => &[],
        }
    }
}

/// Options of a reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format; `None` means that it is detected.
    pub format: Option<FileFormat>,
    /// The sets to read if a file has several; empty means its only one.
    pub sets: Vec<String>,
    /// The columns with the addresses; `None` means that the header or the content tells.
    pub column: Option<Columns>,
    /// The character between columns; `None` means that it is detected.
    pub delimiter: Option<Delimiter>,
    /// Where the addresses are in a JSON document.
    pub at: Option<JsonPath>,
    /// The records to take; empty means all.
    pub filters: Vec<Filter>,
}

/// The key of [`ReadOptions::format`] in ruleset files and in JSON, and its flag.
pub const FORMAT: &str = "format";

/// Every key, in the order in which they are printed.
pub const KEYS: [&str; 6] = [
    FORMAT,
    ReadOption::Set.as_str(),
    ReadOption::Column.as_str(),
    ReadOption::Delimiter.as_str(),
    ReadOption::At.as_str(),
    ReadOption::Where.as_str(),
];

/// Whether an option may have several values.
#[must_use]
pub fn is_repeated(key: &str) -> bool {
    [ReadOption::Set, ReadOption::Where]
        .iter()
        .any(|option| option.as_str() == key)
}

impl ReadOptions {
    /// Returns the given options as texts, each with its key.
    #[must_use]
    pub fn written(&self) -> Vec<(&'static str, Vec<String>)> {
        let one = |text: Option<String>| -> Vec<String> { text.into_iter().collect() };
        let of = |key: &str| match key.parse() {
            Ok(ReadOption::Set) => self.sets.clone(),
            Ok(ReadOption::Column) => one(self.column.as_ref().map(Columns::to_string)),
            Ok(ReadOption::Delimiter) => one(self.delimiter.map(|one| one.to_string())),
            Ok(ReadOption::At) => one(self.at.as_ref().map(JsonPath::to_string)),
            Ok(ReadOption::Where) => self.filters.iter().map(Filter::to_string).collect(),
            Err(_) => one(self.format.map(|format| format.to_string())),
        };
        let all = KEYS.into_iter().map(|key| (key, of(key)));
        all.filter(|(_, texts)| !texts.is_empty()).collect()
    }

    /// Sets the option with this key from a text.
    pub fn put(&mut self, key: &str, text: &str) -> Result<(), String> {
        match key.parse() {
            Ok(ReadOption::Set) => self.sets.push(text.to_owned()),
            Ok(ReadOption::Column) => self.column = Some(text.parse()?),
            Ok(ReadOption::Delimiter) => self.delimiter = Some(text.parse()?),
            Ok(ReadOption::At) => self.at = Some(text.parse()?),
            Ok(ReadOption::Where) => self.filters.push(text.parse()?),
            Err(_) => self.format = Some(text.parse()?),
        }
        Ok(())
    }

    /// Rejects an option that the named format does not use.
    pub fn check(&self) -> Result<(), ReadError> {
        match self.format {
            Some(format) => self.format_of(format).map(drop),
            None => Ok(()),
        }
    }

    /// Returns the format of a text that looks like `detected`.
    pub(super) fn format_of(&self, detected: FileFormat) -> Result<FileFormat, ReadError> {
        let has_columns =
            self.column.is_some() || self.delimiter.is_some() || !self.filters.is_empty();
        let format = match self.format {
            Some(format) => format,
            // Plain text is what no other format fits: an option that names columns decides.
            None if detected == FileFormat::Plain && has_columns => FileFormat::Csv,
            None => detected,
        };
        let is_given = |option: ReadOption| match option {
            ReadOption::Set => !self.sets.is_empty(),
            ReadOption::Column => self.column.is_some(),
            ReadOption::Delimiter => self.delimiter.is_some(),
            ReadOption::At => self.at.is_some(),
            ReadOption::Where => !self.filters.is_empty(),
        };
        let mut given = ReadOption::ALL
            .into_iter()
            .filter(|option| is_given(*option));
        match given.find(|option| !format.takes().contains(option)) {
            Some(option) => Err(ReadError::Unused { option, format }),
            None => Ok(format),
        }
    }
}

/// Returns what to do about an option that a format does not use.
pub(super) fn unused_hint(option: ReadOption) -> String {
    let formats = FileFormat::ALL.into_iter();
    let using = formats.filter(|format| format.takes().contains(&option));
    let using: Vec<&str> = using.map(FileFormat::as_str).collect();
    match using.split_last() {
        None => "leave it out".to_owned(),
        Some((one, [])) => format!("it belongs to the format {one}: name that, or leave it out"),
        Some((last, others)) => {
            let others = others.join(", ");
            format!("it belongs to the formats {others} and {last}: name one, or leave it out")
        }
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// By its number, from 1.
    Number(usize),
    /// By its name in the header.
    Name(String),
}

impl FromStr for Column {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("a column has a name or a number".to_owned());
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Name(text.to_owned()));
        }
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=MAX_COLUMN).contains(number));
        number
            .map(Self::Number)
            .ok_or_else(|| format!("columns have the numbers 1 to {MAX_COLUMN}"))
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// The columns with the address of a record, in words such as `2`, `src_ip`, `1-2`, `1/2`, `4+5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The address, or the first one of a range.
    pub address: Column,
    /// The column that belongs to it.
    pub other: Option<(Joint, Column)>,
}

/// What the second column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// The last address of a range: `1-2`.
    Last,
    /// The mask or prefix length: `1/2`.
    Mask,
    /// The number of addresses: `4+5`.
    Count,
}

impl Joint {
    const ALL: [(char, Self); 3] = [('-', Self::Last), ('/', Self::Mask), ('+', Self::Count)];

    const fn mark(self) -> char {
        match self {
            Self::Last => '-',
            Self::Mask => '/',
            Self::Count => '+',
        }
    }
}

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Names may contain these characters, so only numbers are joined.
        for (mark, joint) in Joint::ALL {
            if let Some((first, second)) = text.split_once(mark)
                && let (Ok(address @ Column::Number(_)), Ok(other @ Column::Number(_))) =
                    (first.parse(), second.parse())
            {
                let other = Some((joint, other));
                return Ok(Self { address, other });
            }
        }
        let address = text.parse()?;
        Ok(Self {
            address,
            other: None,
        })
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        match &self.other {
            Some((joint, other)) => write!(f, "{}{other}", joint.mark()),
            None => Ok(()),
        }
    }
}

/// The character between columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiter(u8);

impl Delimiter {
    /// Returns the character.
    #[must_use]
    pub const fn as_char(self) -> char {
        self.0 as char
    }
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one = match text {
            "tab" | "\\t" => b'\t',
            "space" => b' ',
            text => match text.as_bytes() {
                [one] if one.is_ascii_graphic() || matches!(one, b'\t' | b' ') => *one,
                _ => return Err("write one ASCII character, or `tab`".to_owned()),
            },
        };
        if one.is_ascii_alphanumeric() || b".:/-\"#".contains(&one) {
            let shown = excerpt(text);
            return Err(format!(
                "`{shown}` is part of addresses, names or quotes: write for example ',', ';', '|' \
                 or `tab`"
            ));
        }
        Ok(Self(one))
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b'\t' => f.write_str("tab"),
            b' ' => f.write_str("space"),
            other => fmt::Write::write_char(f, other as char),
        }
    }
}

/// A condition on records: `country=CN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The column.
    pub column: Column,
    /// Its content, in upper or lower case.
    pub value: String,
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((column, value)) = text.split_once('=') else {
            return Err("write COLUMN=VALUE, such as country=CN".to_owned());
        };
        let value = value.trim().to_owned();
        Ok(Self {
            column: column.parse()?,
            value,
        })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.column, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_printed_as_they_are_written() {
        for text in ["2", "src_ip", "start-ip", "1-2", "1/2", "4+5", "a/b"] {
            let columns: Columns = text.parse().unwrap();
            assert_eq!(columns.to_string(), text);
        }
        for text in ["tab", "space", "|", ";", ","] {
            assert_eq!(text.parse::<Delimiter>().unwrap().to_string(), text);
        }
        for text in ["country=CN", "4=CN", "note=a=b", "cc="] {
            assert_eq!(text.parse::<Filter>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn every_option_is_read_as_it_is_printed() {
        let mut options = ReadOptions::default();
        assert!(options.written().is_empty());
        let texts = [
            ("format", "csv"),
            ("set", "bad"),
            ("set", "worse"),
            ("column", "1-2"),
            ("delimiter", "tab"),
            ("at", ".prefixes[]"),
            ("where", "cc=CN"),
        ];
        for (key, text) in texts {
            options.put(key, text).unwrap();
        }
        let written = options.written();
        let flat = written
            .iter()
            .flat_map(|(key, texts)| texts.iter().map(move |text| (*key, text.as_str())));
        assert_eq!(flat.collect::<Vec<_>>(), texts);
        assert!(
            written
                .iter()
                .all(|(key, texts)| texts.len() == 1 || is_repeated(key))
        );
        assert!(options.check().is_err(), "csv has no sets");
    }

    #[test]
    fn options_that_mean_nothing_are_refused() {
        assert!("0".parse::<Columns>().is_err());
        assert!("10001".parse::<Columns>().is_err());
        assert!("".parse::<Columns>().is_err());
        for text in ["", "ab", ".", ":", "/", "-", "\"", "a", "1", "\u{e9}", "\n"] {
            assert!(text.parse::<Delimiter>().is_err(), "{text}");
        }
        assert!("country".parse::<Filter>().is_err());
        assert!("=CN".parse::<Filter>().is_err());
    }

    #[test]
    fn an_option_that_the_format_does_not_use_is_refused() {
        let options = ReadOptions {
            sets: vec!["bad".to_owned()],
            ..ReadOptions::default()
        };
        assert!(options.format_of(FileFormat::Ipset).is_ok());
        let error = options.format_of(FileFormat::Plain).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`set` is not an option of the format plain"
        );
        assert_eq!(
            unused_hint(ReadOption::Set),
            "it belongs to the formats json, ipset, nft, fail2ban, iptables and mikrotik: name one, or \
             leave it out"
        );
    }
}
