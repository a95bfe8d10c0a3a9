//! The tokens of a Python value, as `repr` prints lists and dictionaries of texts.

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Text(String),
    /// One of `[`, `]`, `{`, `}`, `,` and `:`.
    Mark(char),
    /// A text that is not closed.
    CutOff,
    /// Anything else.
    Other,
}

/// Returns the tokens of a line.
pub(super) fn tokens(line: &str) -> impl Iterator<Item = Token> {
    let mut characters = line.chars();
    std::iter::from_fn(move || {
        let first = characters.find(|character| !character.is_whitespace())?;
        Some(match first {
            '[' | ']' | '{' | '}' | ',' | ':' => Token::Mark(first),
            '\'' | '"' => text(first, &mut characters),
            _ => Token::Other,
        })
    })
}

/// Reads a text up to its closing quote.
fn text(quote: char, characters: &mut impl Iterator<Item = char>) -> Token {
    let mut text = String::new();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped) => text.push(escaped),
                None => return Token::CutOff,
            },
            end if end == quote => return Token::Text(text),
            other => text.push(other),
        }
    }
    Token::CutOff
}
