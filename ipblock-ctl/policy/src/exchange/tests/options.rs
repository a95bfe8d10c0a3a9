//! Options that say where in a table the addresses are.

use super::{faults::told, *};
use crate::{Hinted, samples::shown_by_block};

/// Prints the result of each text. The options are in its first line: `@column 1-2; where 3=AU`.
/// `@same` after it means the text of the previous case.
#[test]
fn options_choose_columns_and_records() {
    let mut last = String::new();
    let show = |case: &str| {
        let (how, text) = case.split_once('\n').unwrap();
        if text != "@same\n" {
            text.clone_into(&mut last);
        }
        match read_with(last.as_bytes(), &options(how.strip_prefix('@').unwrap())) {
            Ok(parsed) => told(&parsed),
            Err(error) => format!("{error}\n  hint: {}\n", error.hint().unwrap_or_default()),
        }
    };
    let shown = shown_by_block(include_str!("options.txt"), show);
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("options", shown);
    });
}

fn options(how: &str) -> ReadOptions {
    let mut options = ReadOptions::default();
    for part in how.split("; ").filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once(' ').unwrap();
        match key {
            "format" => options.format = Some(value.parse().unwrap()),
            "column" => options.column = Some(value.parse().unwrap()),
            "delimiter" => options.delimiter = Some(value.parse().unwrap()),
            "where" => options.filters.push(value.parse().unwrap()),
            "set" => options.sets.push(value.to_owned()),
            "at" => options.at = Some(value.parse().unwrap()),
            other => panic!("{other}"),
        }
    }
    options
}
