//! Patterns: comparisons of addresses that are joined by `OR`. Anything else that has an address is
//! rejected: with `AND`, `NOT` or a qualifier an address alone is not the pattern.

const COMPARED: &str = "a pattern of more than addresses that are joined by OR";

/// The meaning of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Any of these addresses or prefixes.
    Addresses(Vec<String>),
    /// Nothing about addresses.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'p> {
    Word(&'p str),
    Text(String),
    Mark(char),
}

/// Reads a pattern.
pub(super) fn read(text: &str) -> Result<Pattern, &'static str> {
    let tokens = tokens(text).ok_or("a pattern that is cut off")?;
    let is_about_addresses = tokens.iter().any(|token| match token {
        Token::Word(word) => ["ipv4-addr", "ipv6-addr", "network-traffic"]
            .iter()
            .any(|kind| word.starts_with(kind)),
        _ => false,
    });
    if !is_about_addresses {
        return Ok(Pattern::Other);
    }
    let mut tokens = tokens.into_iter().peekable();
    let mut addresses = Vec::new();
    loop {
        if tokens.next() != Some(Token::Mark('[')) {
            return Err(COMPARED);
        }
        loop {
            comparison(&mut tokens, &mut addresses)?;
            match tokens.next() {
                Some(Token::Word("OR")) => {}
                Some(Token::Mark(']')) => break,
                _ => return Err(COMPARED),
            }
        }
        match tokens.next() {
            None => return Ok(Pattern::Addresses(addresses)),
            Some(Token::Word("OR")) => {}
            Some(_) => return Err(COMPARED),
        }
    }
}

/// Reads `ipv4-addr:value = 'A'`, `ISSUBSET 'A/24'` or `IN ('A', 'B')`.
fn comparison<'p>(
    tokens: &mut std::iter::Peekable<impl Iterator<Item = Token<'p>>>,
    addresses: &mut Vec<String>,
) -> Result<(), &'static str> {
    let Some(Token::Word("ipv4-addr:value" | "ipv6-addr:value")) = tokens.next() else {
        return Err(COMPARED);
    };
    match tokens.next() {
        Some(Token::Mark('=') | Token::Word("ISSUBSET")) => {
            let Some(Token::Text(address)) = tokens.next() else {
                return Err(COMPARED);
            };
            addresses.push(address);
            Ok(())
        }
        Some(Token::Word("IN")) => {
            if tokens.next() != Some(Token::Mark('(')) {
                return Err(COMPARED);
            }
            loop {
                let Some(Token::Text(address)) = tokens.next() else {
                    return Err(COMPARED);
                };
                addresses.push(address);
                match tokens.next() {
                    Some(Token::Mark(',')) => {}
                    Some(Token::Mark(')')) => return Ok(()),
                    _ => return Err(COMPARED),
                }
            }
        }
        _ => Err(COMPARED),
    }
}

/// Returns the tokens; `None` if a text is not closed.
fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..)?;
        if first == '\'' {
            let (value, after) = quoted(after)?;
            tokens.push(Token::Text(value));
            rest = after.trim_start();
            continue;
        }
        let end = rest.find(|c: char| c.is_whitespace() || "[]()=,!<>'".contains(c));
        let end = end.unwrap_or(rest.len());
        if end == 0 {
            tokens.push(Token::Mark(first));
            rest = after.trim_start();
            continue;
        }
        let (word, after) = rest.split_at_checked(end)?;
        tokens.push(Token::Word(word));
        rest = after.trim_start();
    }
    Some(tokens)
}

/// Returns a text up to its closing quote, and the rest.
fn quoted(rest: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = rest.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next()?.1),
            '\'' => return Some((value, rest.get(at + 1..)?)),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_alternatives_are_addresses() {
        let taken: [(&str, &[&str]); 5] = [
            ("[ipv4-addr:value = '192.0.2.1']", &["192.0.2.1"]),
            (
                "[ ipv4-addr:value='192.0.2.1' OR ipv6-addr:value = '2001:db8::1' ]",
                &["192.0.2.1", "2001:db8::1"],
            ),
            (
                "[ipv4-addr:value ISSUBSET '192.0.2.0/24']",
                &["192.0.2.0/24"],
            ),
            (
                "[ipv4-addr:value = '192.0.2.1'] OR [ipv4-addr:value = '192.0.2.2']",
                &["192.0.2.1", "192.0.2.2"],
            ),
            (
                "[ipv4-addr:value IN ('192.0.2.1', '192.0.2.2')]",
                &["192.0.2.1", "192.0.2.2"],
            ),
        ];
        for (text, addresses) in taken {
            let addresses = addresses
                .iter()
                .map(|address| (*address).to_owned())
                .collect();
            assert_eq!(read(text), Ok(Pattern::Addresses(addresses)), "{text}");
        }
        for text in [
            "[ipv4-addr:value = '192.0.2.1' AND network-traffic:dst_port = 22]",
            "[ipv4-addr:value != '192.0.2.1']",
            "[NOT ipv4-addr:value = '192.0.2.1']",
            "[ipv4-addr:value NOT IN ('192.0.2.1')]",
            "[ipv4-addr:value = '192.0.2.1' OR domain-name:value = 'example.org']",
            "[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [ipv4-addr:value = '192.0.2.2']",
            "[ipv4-addr:value = '192.0.2.1'] WITHIN 300 SECONDS",
            "([ipv4-addr:value = '192.0.2.1'])",
            "[network-traffic:src_ref.value = '192.0.2.1']",
            "[ipv4-addr:value ISSUPERSET '192.0.2.1']",
            "[ipv4-addr:value LIKE '192.0.2.%']",
            "[ipv4-addr:value = '192.0.2.1'",
            "[ipv4-addr:value = '192.0.2.1",
            "[ipv4-addr:value = ]",
            "[ipv4-addr:resolves_to_refs[*].value = '192.0.2.1']",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(
            read("[domain-name:value = 'example.org']"),
            Ok(Pattern::Other)
        );
    }
}
