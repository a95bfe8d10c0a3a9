//! `backup` and `restore`.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use ipblock_api::types::RestoreQuery;
use ipblock_output::{
    backup::{BackupReport, render_backup},
    restored::render_restored,
};

use super::{
    error::{CliError, OK, WOULD_CHANGE},
    input::read_backup,
    new_file::NewFile,
    session::Session,
};

/// Save rules, lists, zones, bans, counters and history in one file
///
/// The file holds what `restore` needs on this machine or another one. Interfaces are not in it.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Where to; an older backup of that name is replaced, - is standard output
    file: PathBuf,
    /// Replace a file of that name that is not a backup
    #[arg(long)]
    force: bool,
}

/// Replace rules, lists, zones, bans, counters and history by those of a backup
///
/// The ruleset of the backup is in force when this returns; until then every packet is judged by
/// the one from before. A backup that ipblockd could not start from is refused, and so is all of it
/// when its ruleset cannot be put in force: nothing has changed then. Interfaces stay attached as
/// they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl backup /var/backups/ipblock.db
  ipblock-ctl restore /var/backups/ipblock.db --dry-run")]
pub(crate) struct RestoreArgs {
    /// A file that `backup` wrote; - for standard input
    file: PathBuf,
    /// Only show what would change; exit 6 if anything would
    #[arg(long)]
    dry_run: bool,
    /// Allow what newly drops 1 % of an address family or more; no other guard
    #[arg(long)]
    wide: bool,
    /// Allow whatever is refused for safety, and replace edits that are staged
    #[arg(long)]
    force: bool,
}

pub(crate) async fn backup(args: &BackupArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let is_standard_output = args.file == Path::new("-");
    // Before any request.
    let file = (!is_standard_output)
        .then(|| NewFile::at(&args.file, args.force, is_backup))
        .transpose()?;
    let backup = session
        .wait("fetching the backup", session.client.backup())
        .await?;
    let Some(file) = file else {
        return match io::stdout().write_all(&backup) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(on_file("write", &args.file)(error))
            }
            _ => Ok(OK),
        };
    };
    file.write(&backup)?;
    let report = BackupReport {
        file: args.file.display().to_string(),
        bytes: backup.len() as u64,
    };
    session.show(&report, render_backup)?;
    Ok(OK)
}

pub(crate) async fn restore(args: &RestoreArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let backup = read_backup(&args.file)?;
    let query = RestoreQuery {
        dry_run: args.dry_run,
        force: args.force,
        wide: args.wide,
    };
    let what = if args.dry_run {
        "comparing"
    } else {
        "restoring"
    };
    let restore = session.client.restore(backup, query);
    let applied = session.wait(what, restore).await?;
    session.show(&applied, render_restored)?;
    Ok(if args.dry_run && applied.changed {
        WOULD_CHANGE
    } else {
        OK
    })
}

/// Whether a file begins like a backup: an SQLite database with ipblock's application id.
fn is_backup(head: &[u8]) -> bool {
    head.starts_with(b"SQLite format 3\0") && head.get(68..72) == Some(b"ipbk")
}

fn on_file(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_path_buf();
    move |source| CliError::File { verb, path, source }
}
