//! Texts from outside in messages.

/// A text from outside as messages show it: at most 100 characters, none of them a control
/// character that a terminal would obey.
pub(in crate::policy) fn shown(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut out = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == LONGEST {
            out.push_str("...");
            break;
        }
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}
