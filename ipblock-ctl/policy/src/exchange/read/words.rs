//! The words of a line, with quotes.

use std::borrow::Cow;

/// Returns the words between white space. Quotes keep white space in a word, also in its middle, and
/// a backslash keeps the character after it. `None` if a quote is not closed.
pub(super) fn words(line: &str) -> Option<Vec<Cow<'_, str>>> {
    if !line.contains(['"', '\\']) {
        return Some(line.split_whitespace().map(Cow::Borrowed).collect());
    }
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut is_quoted = false;
    let mut rest = line;
    loop {
        let ends = |c: char| matches!(c, '"' | '\\') || c.is_whitespace() && !is_quoted;
        let (part, after) = rest.split_at_checked(rest.find(ends).unwrap_or(rest.len()))?;
        if !part.is_empty() {
            word.get_or_insert_default().push_str(part);
        }
        let mut characters = after.chars();
        match characters.next() {
            None => break,
            Some('"') => {
                is_quoted = !is_quoted;
                // `""` is an empty word.
                word.get_or_insert_default();
            }
            Some('\\') => word.get_or_insert_default().push(characters.next()?),
            Some(_) => words.extend(word.take().map(Cow::Owned)),
        }
        rest = characters.as_str();
    }
    words.extend(word.map(Cow::Owned));
    (!is_quoted).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_keep_what_they_enclose() {
        let cases: [(&str, Option<&[&str]>); 6] = [
            (
                "-s 192.0.2.1 -j DROP",
                Some(&["-s", "192.0.2.1", "-j", "DROP"]),
            ),
            (
                r#"--comment "a \"b\" c" x"#,
                Some(&["--comment", r#"a "b" c"#, "x"]),
            ),
            (
                r#"comment="two words" list=a"#,
                Some(&["comment=two words", "list=a"]),
            ),
            (r#"a "" b"#, Some(&["a", "", "b"])),
            (r#"a "b"#, None),
            ("a b\\", None),
        ];
        for (line, expected) in cases {
            let read = words(line);
            let read = read
                .as_ref()
                .map(|words| words.iter().map(AsRef::as_ref).collect::<Vec<_>>());
            assert_eq!(read.as_deref(), expected, "{line}");
        }
    }
}
