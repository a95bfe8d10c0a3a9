//! `doctor`: one line per check.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    table::{Cell, Column, Table},
    view::{Tone, View, visible},
};

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The subject of the check.
    pub check: String,
    /// Its state.
    pub state: FindingState,
    /// The details.
    pub detail: String,
    /// What to do; null if nothing is to be done.
    pub advice: Option<String>,
}

/// The state of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    /// Good.
    Ok,
    /// Works, but worse than possible.
    Warning,
    /// Prevents ipblock from working.
    Error,
}

impl Finding {
    /// Returns a finding without a problem.
    pub fn ok(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            state: FindingState::Ok,
            detail: detail.into(),
            advice: None,
        }
    }

    /// Returns a finding that could be improved.
    pub fn warning(
        check: impl Into<String>,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            state: FindingState::Warning,
            advice: Some(advice.into()),
            ..Self::ok(check, detail)
        }
    }

    /// Returns a finding that must be fixed.
    pub fn error(
        check: impl Into<String>,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            state: FindingState::Error,
            ..Self::warning(check, detail, advice)
        }
    }
}

/// Renders one line per finding, with advice below it.
#[must_use]
pub fn render(findings: &[Finding], view: &View) -> String {
    let mut table = Table::new(&[Column::left(""), Column::left(""), Column::left("")]);
    for finding in findings {
        let (word, tone) = match finding.state {
            FindingState::Ok => ("ok", Tone::Good),
            FindingState::Warning => ("warning", Tone::Caution),
            FindingState::Error => ("ERROR", Tone::Bad),
        };
        table.row(vec![
            Cell::toned(word, tone),
            finding.check.as_str().into(),
            finding.detail.as_str().into(),
        ]);
    }
    let mut text = table.render(view);
    let mut separator = "\n";
    for finding in findings {
        if let Some(advice) = &finding.advice {
            let check = view.paint(Tone::Strong, &finding.check);
            let _ = writeln!(text, "{separator}{check}: {}", visible(advice));
            separator = "";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn advice_stands_below_the_findings() {
        insta::assert_snapshot!(render(&samples::findings(), &samples::view()));
    }

    #[test]
    fn doctor_json_is_an_array_of_objects() {
        insta::assert_json_snapshot!(samples::findings());
    }
}
