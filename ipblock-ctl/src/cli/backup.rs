//! `backup` and `restore`.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    error::{CliError, OK, WOULD_CHANGE},
    session::Session,
};
use crate::{
    api::types::RestoreQuery,
    output::{
        backup::{BackupReport, render_backup},
        changes::render_restored,
    },
};

/// Save rules, lists, zones, bans, counters and history in one file
///
/// The file holds what `restore` needs on this machine or another one. Interfaces are not in it.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Where to; a file of that name is replaced, - is standard output
    file: PathBuf,
}

/// Replace rules, lists, zones, bans, counters and history by those of a backup
///
/// The ruleset of the backup is in force when this returns; until then every packet is judged by
/// the one from before. Interfaces stay attached as they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl backup /var/backups/ipblock.db
  ipblock-ctl restore /var/backups/ipblock.db --dry-run")]
pub(crate) struct RestoreArgs {
    /// A file that `backup` wrote; - for standard input
    file: PathBuf,
    /// Only show what would change in the rules; exit 6 if anything would
    #[arg(long)]
    dry_run: bool,
    /// Allow what is refused for safety, and replace edits that are staged
    #[arg(long)]
    force: bool,
}

pub(crate) async fn backup(args: &BackupArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let backup = session
        .wait("fetching the backup", session.client.backup())
        .await?;
    if args.file == Path::new("-") {
        return match io::stdout().write_all(&backup) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(on_file("write", &args.file)(error))
            }
            _ => Ok(OK),
        };
    }
    write_whole(&args.file, &backup).map_err(on_file("write", &args.file))?;
    let report = BackupReport {
        file: args.file.display().to_string(),
        bytes: backup.len() as u64,
    };
    session.show(&report, render_backup)?;
    Ok(OK)
}

pub(crate) async fn restore(args: &RestoreArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let backup = read_whole(&args.file).map_err(on_file("read", &args.file))?;
    let query = RestoreQuery {
        dry_run: args.dry_run,
        force: args.force,
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

/// Writes a file that is either the old one or the whole new one, for its owner alone.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&aside, path)
}

fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return fs::read(path);
    }
    let mut content = Vec::new();
    io::stdin().read_to_end(&mut content)?;
    Ok(content)
}

fn on_file(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_path_buf();
    move |source| CliError::File { verb, path, source }
}
