//! `cscli decisions list -o raw`: records with a header, and `Ip:192.0.2.7` in the column `ip`.

use std::io::BufRead;

use csv::StringRecord;

use super::{Decision, FORM};
use crate::exchange::read::{
    ReadError,
    collect::Collector,
    csv::records::{cells, close_quotes},
    lines::Lines,
};

/// The header begins with these columns in every version.
const HEADER: &str = "id,source,ip,reason,action,";

/// Whether a line is the header.
pub(super) fn is_header(line: &str) -> bool {
    line.starts_with(HEADER)
}

/// The index of each column.
struct Columns {
    value: usize,
    reason: usize,
    action: usize,
    expiration: usize,
    simulated: Option<usize>,
}

impl Columns {
    fn of(header: &[&str]) -> Option<Self> {
        let find = |name: &str| header.iter().position(|cell| *cell == name);
        Some(Self {
            value: find("ip")?,
            reason: find("reason")?,
            action: find("action")?,
            expiration: find("expiration")?,
            simulated: find("simulated"),
        })
    }
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut lines = Lines::new(input);
    let (mut record, mut quoted) = (String::new(), StringRecord::new());
    let mut columns = None;
    while let Some((number, line)) = lines.next(out)? {
        if line.trim().is_empty() {
            continue;
        }
        record.clear();
        record.push_str(line);
        if !close_quotes(&mut record, ',', &mut lines, out)? {
            let hint = "close it with another quote";
            out.spoil(number, &record, "a quote that is not closed", hint);
            continue;
        }
        let cells = cells(&record, ',', &mut quoted);
        let Some(columns) = &columns else {
            columns = Columns::of(&cells);
            if columns.is_none() {
                out.spoil(number, &record, "not the header of decisions", FORM);
                return Ok(());
            }
            continue;
        };
        let cell = |column: usize| cells.get(column).copied();
        let simulated = columns.simulated.map(cell);
        let (Some(value), Some(expiration), None | Some(Some(_))) =
            (cell(columns.value), cell(columns.expiration), simulated)
        else {
            out.refuse(number, &record, "a record that is cut off", Some(FORM));
            continue;
        };
        let (scope, value) = value.split_once(':').unwrap_or_default();
        Decision {
            line: number,
            value,
            scope,
            kind: cell(columns.action).unwrap_or_default(),
            note: cell(columns.reason).unwrap_or_default(),
            duration: expiration,
            is_simulated: simulated.flatten() == Some("true"),
        }
        .add_to(out)?;
    }
    Ok(())
}
