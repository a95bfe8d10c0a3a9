//! Edits a rule as TOML in the operator's editor. Typed text is never lost.

use std::{
    env,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use ipblock_policy::edit::Edit;
use tempfile::NamedTempFile;

use super::super::{
    arguments::StageArgs,
    error::{CliError, OK, kept_text},
    input::read_text,
    prompt::choose,
    session::{Session, somebody_is_there},
    stage::{finish, send},
};

const FALLBACK_EDITOR: &str = "vi";

/// Exit status of a shell if the command does not exist: POSIX.1-2024, Shell Command Language,
/// section 2.8.2.
const NO_SUCH_COMMAND: i32 = 127;

/// Opens the rule, or the text of an earlier edit in `from`, until it is staged or cancelled.
pub(super) async fn run(
    name: &str,
    from: Option<&Path>,
    stage: &StageArgs,
    session: &mut Session<'_>,
) -> Result<u8, CliError> {
    let before = session.client.rule_text(name).await?.toml;
    let draft = match from {
        Some(path) => Draft::new(name, &read_text(path)?.0)?,
        None => Draft::new(name, &before)?,
    };
    loop {
        if let Err(error) = draft.open() {
            return Err(draft.abandon(name, &before, error, session));
        }
        let toml = draft.text()?;
        if toml == before {
            session.note("nothing was changed");
            return Ok(OK);
        }
        if toml.trim().is_empty() {
            session.note(&format!(
                "the text is empty: nothing was changed. `ipblock-ctl rule remove {name}` removes \
                 the rule"
            ));
            return Ok(OK);
        }
        let edit = Edit::ReplaceRule {
            name: name.to_owned(),
            toml,
        };
        let source = match send(vec![edit], stage.force, session).await {
            Ok(staged) => match finish(&staged, 1, stage, session).await {
                Err(CliError::NotDeployed {
                    source,
                    taken_back: true,
                }) => {
                    let (rule, kept) = (name.to_owned(), draft.keep()?);
                    return Err(CliError::EditRefused { source, rule, kept });
                }
                finished => return finished,
            },
            Err(error) => error,
        };
        if !somebody_is_there() {
            let (rule, kept) = (name.to_owned(), draft.keep()?);
            return Err(CliError::EditRefused { source, rule, kept });
        }
        session.output.report(&source);
        if !edit_again(draft.path())? {
            let (rule, kept) = (name.to_owned(), draft.keep()?);
            return Err(CliError::EditStopped { rule, kept });
        }
    }
}

fn edit_again(draft: &Path) -> io::Result<bool> {
    let mut messages = io::stderr();
    writeln!(
        messages,
        "  1  edit again\n  2  stop, and keep the text in {}",
        draft.display()
    )?;
    let mut input = io::stdin().lock();
    let answer = choose(&mut input, &mut messages, "Which? [1]", &["1", "2", ""])?;
    Ok(matches!(answer, Some("1" | "")))
}

/// The file for the editor; removed when dropped, unless kept.
struct Draft {
    file: NamedTempFile,
}

impl Draft {
    fn new(name: &str, text: &str) -> Result<Self, CliError> {
        let failed = |source| CliError::File {
            verb: "write",
            path: env::temp_dir(),
            source,
        };
        let mut file = tempfile::Builder::new()
            .prefix(&format!("ipblock-rule-{name}-"))
            .suffix(".toml")
            .tempfile()
            .map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.flush().map_err(failed)?;
        Ok(Self { file })
    }

    fn path(&self) -> &Path {
        self.file.path()
    }

    /// Runs the editor until it ends. It is a shell command, as for git, so it may contain
    /// arguments.
    fn open(&self) -> Result<(), CliError> {
        let editor = ["VISUAL", "EDITOR"]
            .into_iter()
            .filter_map(env::var_os)
            .find(|value| !value.is_empty())
            .unwrap_or_else(|| FALLBACK_EDITOR.into());
        let shown = editor.to_string_lossy().into_owned();
        let mut command = editor;
        command.push(" \"$1\"");
        let ended = Command::new("sh")
            .arg("-c")
            .arg(command)
            .arg("sh")
            .arg(self.path())
            .status();
        let problem = match ended {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) if status.code() == Some(NO_SUCH_COMMAND) => "is not there".to_owned(),
            Ok(status) => format!("ended with {status}"),
            Err(error) => format!("cannot be started: {error}"),
        };
        Err(CliError::Editor {
            editor: shown,
            problem,
        })
    }

    /// Returns the edited text. Opens the file by name, because editors replace files rather than
    /// rewrite them.
    fn text(&self) -> Result<String, CliError> {
        read_text(self.path()).map(|(text, _)| text)
    }

    /// After a failure of the editor: keeps the typed text, if there is any.
    fn abandon(
        self,
        rule: &str,
        before: &str,
        error: CliError,
        session: &mut Session<'_>,
    ) -> CliError {
        if self.text().is_ok_and(|text| text != before)
            && let Ok(path) = self.keep()
        {
            session.output.note(&kept_text(rule, &path));
        }
        error
    }

    fn keep(self) -> Result<PathBuf, CliError> {
        let path = self.path().to_path_buf();
        match self.file.into_temp_path().keep() {
            Ok(path) => Ok(path),
            Err(error) => Err(CliError::File {
                verb: "keep",
                path,
                source: error.error,
            }),
        }
    }
}
