//! `backup`.

use serde::Serialize;

use super::{
    number::bytes,
    view::{View, visible},
};

/// The result of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// The file.
    pub file: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Renders one line.
#[must_use]
pub fn render_backup(report: &BackupReport, _view: &View) -> String {
    format!(
        "saved {} ({})\n",
        visible(&report.file),
        bytes(report.bytes)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_backup_says_where_and_how_large() {
        let report = BackupReport {
            file: "/var/backups/ipblock.db".to_owned(),
            bytes: 123_400,
        };
        insta::assert_snapshot!(
            render_backup(&report, &samples::view()),
            @"saved /var/backups/ipblock.db (123.4 kB)"
        );
    }
}
