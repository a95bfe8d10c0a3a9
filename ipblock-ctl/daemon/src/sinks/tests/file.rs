//! The file: whole lines, rotation, and changes of the file by other programs.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use ipblock_api::types::{AlertInfo, SinkState};
use tempfile::TempDir;

use super::{
    super::{Batch, DeliveryError, File, Receiver as _, SinkPlan},
    QUICK, Sinks, alert, alerts, counts, one, sink, until, until_counts,
};
use crate::settings::SinkTarget;

const LARGE: u64 = 1 << 20;

fn directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("alerts.jsonl");
    (directory, path)
}

fn write(file: &mut File, id: u64) {
    let batch = Batch::from(vec![alert(id)]);
    file.deliver(&batch).unwrap();
}

/// Returns the ids of the file's lines; -1 for a line that is not an alert.
fn ids(path: &Path) -> Vec<i64> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let id = |line| match serde_json::from_str::<AlertInfo>(line) {
        Ok(alert) => alert.id.cast_signed(),
        Err(_) => -1,
    };
    text.lines().map(id).collect()
}

fn renamed(path: &Path, number: u32) -> PathBuf {
    format!("{}.{number}", path.display()).into()
}

#[test]
fn every_alert_is_a_line_of_a_file_that_others_cannot_read() {
    let (_directory, path) = directory();
    let target = SinkTarget::File {
        path: path.clone(),
        max_bytes: LARGE,
        keep: 1,
    };
    let sinks = Sinks::start(&[sink("file", 1000, target)]);
    sinks.offer(&alerts(1..=3));
    sinks.offer(&alerts(4..=250));
    until_counts(&sinks, (250, 0, 0));
    assert_eq!(ids(&path), (1..=250).collect::<Vec<_>>());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
}

#[test]
fn a_full_file_is_renamed_and_so_many_are_kept() {
    let (_directory, path) = directory();
    let line = serde_json::to_vec(&alert(1)).unwrap().len() as u64 + 1;
    let mut file = File::new(path.clone(), 2 * line, 2);
    for id in 1..=9 {
        write(&mut file, id);
    }
    assert_eq!(ids(&path), [9]);
    assert_eq!(ids(&renamed(&path, 1)), [7, 8]);
    assert_eq!(ids(&renamed(&path, 2)), [5, 6]);
    assert!(!renamed(&path, 3).exists());
}

#[test]
fn a_batch_larger_than_a_file_has_one_to_itself() {
    let (_directory, path) = directory();
    let mut file = File::new(path.clone(), 1, 1);
    let two = |id| Batch::from(vec![alert(id), alert(id + 1)]);
    file.deliver(&two(1)).unwrap();
    file.deliver(&two(3)).unwrap();
    assert_eq!(ids(&renamed(&path, 1)), [1, 2]);
    assert_eq!(ids(&path), [3, 4]);
}

#[test]
fn without_any_to_keep_a_full_file_is_removed() {
    let (directory, path) = directory();
    let mut file = File::new(path.clone(), 1, 0);
    write(&mut file, 1);
    write(&mut file, 2);
    assert_eq!(ids(&path), [2]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_rotation_that_stopped_half_way_is_taken_up_without_losing_a_file() {
    let (_directory, path) = directory();
    let mut file = File::new(path.clone(), 1, 3);
    for id in 1..=3 {
        write(&mut file, id);
    }
    // The first steps were done, the last were not.
    fs::rename(renamed(&path, 2), renamed(&path, 3)).unwrap();
    write(&mut file, 4);
    assert_eq!(ids(&path), [4]);
    assert_eq!(ids(&renamed(&path, 1)), [3]);
    assert_eq!(ids(&renamed(&path, 2)), [2]);
}

#[test]
fn a_file_that_was_moved_or_removed_is_begun_anew() {
    let (directory, path) = directory();
    let mut file = File::new(path.clone(), LARGE, 1);
    write(&mut file, 1);
    let moved = directory.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    write(&mut file, 2);
    assert_eq!(ids(&moved), [1]);
    assert_eq!(ids(&path), [2]);
    fs::remove_file(&path).unwrap();
    write(&mut file, 3);
    assert_eq!(ids(&path), [3]);
    fs::write(&path, "").unwrap();
    write(&mut file, 4);
    assert_eq!(ids(&path), [4]);
}

#[test]
fn a_torn_line_spoils_no_other() {
    let (_directory, path) = directory();
    let mut file = File::new(path.clone(), LARGE, 1);
    write(&mut file, 1);
    let whole = fs::read(&path).unwrap();
    let torn = [&whole[..], &whole[..20]].concat();
    fs::write(&path, torn).unwrap();
    write(&mut file, 2);
    assert_eq!(ids(&path), [1, -1, 2]);
}

#[test]
fn what_is_no_file_is_refused_until_it_is_one() {
    let mut file = File::new("/dev/null".into(), LARGE, 1);
    let failure = file.deliver(&Batch::from(vec![alert(1)])).unwrap_err();
    assert_eq!(
        failure,
        DeliveryError::again("/dev/null: is not a regular file")
    );
}

#[test]
fn no_symbolic_link_makes_root_write_to_another_file() {
    let (directory, path) = directory();
    let victim = directory.path().join("victim");
    fs::write(&victim, "as it was\n").unwrap();
    symlink(&victim, &path).unwrap();
    let mut file = File::new(path.clone(), LARGE, 1);
    let failure = file.deliver(&Batch::from(vec![alert(1)])).unwrap_err();
    let why = "is a symbolic link, which is not followed: write as `path` where it leads";
    assert_eq!(
        failure,
        DeliveryError::again(format!("{}: {why}", path.display()))
    );
    assert_eq!(fs::read_to_string(&victim).unwrap(), "as it was\n");
}

#[test]
fn no_hard_link_makes_root_write_to_another_file() {
    let (directory, path) = directory();
    let victim = directory.path().join("victim");
    fs::write(&victim, "as it was\n").unwrap();
    fs::hard_link(&victim, &path).unwrap();
    let mut file = File::new(path.clone(), LARGE, 1);
    let failure = file.deliver(&Batch::from(vec![alert(1)])).unwrap_err();
    let why = "has a second name (a hard link), and could be any file: remove one of them";
    assert_eq!(
        failure,
        DeliveryError::again(format!("{}: {why}", path.display()))
    );
    assert_eq!(fs::read_to_string(&victim).unwrap(), "as it was\n");
    fs::remove_file(&victim).unwrap();
    write(&mut file, 1);
}

#[test]
fn while_its_directory_is_away_alerts_wait_and_then_all_are_written() {
    let (directory, _) = directory();
    let path = directory.path().join("away/alerts.jsonl");
    let target = SinkTarget::File {
        path: path.clone(),
        max_bytes: LARGE,
        keep: 1,
    };
    let plan = SinkPlan::from(&sink("file", 3, target));
    let sinks = Sinks::begin([plan], QUICK);
    sinks.offer(&alerts(1..=2));
    until("a failure", || one(&sinks).state == SinkState::Failing);
    let status = one(&sinks);
    assert_eq!(counts(&status), (0, 0, 2));
    let detail = format!("{}: its directory does not exist: make it", path.display());
    assert_eq!(status.detail, Some(detail));
    sinks.offer(&alerts(3..=4));
    until_counts(&sinks, (0, 1, 3));
    fs::create_dir(path.parent().unwrap()).unwrap();
    until_counts(&sinks, (3, 1, 0));
    assert_eq!(ids(&path), [2, 3, 4]);
    let status = one(&sinks);
    assert_eq!((status.state, status.detail), (SinkState::Ok, None));
}
