use super::*;

mod ends;
mod faults;
mod formats;
mod gzip;
mod options;
mod readers;
mod refused;
mod round_trip;
mod speed;

/// Reads a text in the given format, or in the detected one.
fn read_text(text: &str, format: Option<FileFormat>) -> Parsed {
    read(text.as_bytes(), format).unwrap()
}

/// Returns the prefixes and notes of a text without rejections.
#[track_caller]
fn held(text: &str, format: FileFormat) -> Vec<(String, String)> {
    let parsed = read_text(text, Some(format));
    assert_eq!(parsed.refused, []);
    assert_eq!(read_text(text, None), parsed, "its format is found");
    pairs(&parsed)
}

fn pairs(parsed: &Parsed) -> Vec<(String, String)> {
    let elements = parsed.elements.iter();
    elements
        .map(|element| (element.prefix.to_string(), element.note.to_string()))
        .collect()
}

fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(prefix, note)| ((*prefix).to_owned(), (*note).to_owned()))
        .collect()
}

/// Returns lines and problems of rejections.
fn problems(parsed: &Parsed) -> Vec<(u64, &str, &str)> {
    let refused = parsed.refused.iter();
    refused
        .map(|refusal| {
            (
                refusal.line,
                refusal.text.as_str(),
                refusal.problem.as_str(),
            )
        })
        .collect()
}
