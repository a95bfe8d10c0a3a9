//! Questions on a terminal: asked on standard error, answered on standard input.

use std::io::{self, BufRead, Write};

/// Asks until the answer is one of `choices`, and returns it; `None` at the end of input.
pub(crate) fn choose<'a>(
    input: &mut dyn BufRead,
    messages: &mut dyn Write,
    question: &str,
    choices: &[&'a str],
) -> io::Result<Option<&'a str>> {
    loop {
        let Some(answer) = ask(input, messages, question)? else {
            return Ok(None);
        };
        if let Some(choice) = choices.iter().find(|&&choice| choice == answer) {
            return Ok(Some(choice));
        }
        writeln!(messages, "Please answer one of: {}", choices.join(", "))?;
    }
}

/// Asks once, and returns the answer without surrounding spaces; `None` at the end of input.
pub(crate) fn ask(
    input: &mut dyn BufRead,
    messages: &mut dyn Write,
    question: &str,
) -> io::Result<Option<String>> {
    // In one write: standard error is not buffered, so an observer always sees the whole question.
    messages.write_all(format!("{question} ").as_bytes())?;
    messages.flush()?;
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        writeln!(messages)?;
        return Ok(None);
    }
    Ok(Some(line.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_no_choice_is_asked_again() {
        let mut messages = Vec::new();
        let mut input: &[u8] = b"yes\n 2 \n";
        let choice = choose(&mut input, &mut messages, "Which?", &["1", "2"]).expect("written");
        assert_eq!(choice, Some("2"));
        assert_eq!(
            String::from_utf8(messages).expect("UTF-8"),
            "Which? Please answer one of: 1, 2\nWhich? "
        );
    }

    #[test]
    fn the_end_of_input_is_no_answer() {
        let mut input: &[u8] = b"";
        let choice = choose(&mut input, &mut Vec::new(), "Which?", &["1"]).expect("written");
        assert_eq!(choice, None);
    }
}
