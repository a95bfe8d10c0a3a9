//! Suggests the intended word for a mistyped one.

use super::name::MAX_NAME_LEN;

/// Returns the candidates that differ from `word` by few characters, nearest first, at most three.
pub(super) fn close_words<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    // One difference in a short word, up to three in a long one; else every word is similar to
    // every other.
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let mut close: Vec<_> = candidates
        .into_iter()
        // The distance is at least the difference in length: avoids the expensive computation.
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= 4 * allowed)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .collect();
    close.sort_unstable();
    close.truncate(3);
    close.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Returns ``did you mean `abuse`?`` if a candidate is close.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let close: Vec<_> = close_words(word, candidates)
        .into_iter()
        .map(|candidate| format!("`{candidate}`"))
        .collect();
    (!close.is_empty()).then(|| format!("did you mean {}?", close.join(" or ")))
}

/// Returns what to write instead of a rejected name.
pub(super) fn name_hint(refused: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let near: String = refused
        .chars()
        .take(MAX_NAME_LEN)
        .map(|c| if word(c) { c } else { '-' })
        .collect();
    match near.trim_matches(['-', '.']) {
        "" => "write a word such as `abuse`".to_owned(),
        near => format!("write a name such as `{near}`"),
    }
}
