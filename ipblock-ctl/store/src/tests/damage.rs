//! Opening a store: locks, damage, other versions, and file systems that refuse.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
};

use ipblock_policy::Hinted;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use super::*;

/// Returns a closed store with one deployed revision.
fn closed() -> (TempDir, PathBuf) {
    let fixture = Fixture::new();
    let stored = ruleset(&"192.0.2.0/24\n".repeat(2_000), &[("abuse", 1)]);
    fixture.revision(&stored, RevisionState::Deployed);
    let Fixture { store, dir } = fixture;
    let path = store.path().to_owned();
    drop(store);
    (dir, path)
}

fn refusal(dir: &TempDir) -> StoreError {
    let before = fs::read(dir.path().join("ipblock.db")).ok();
    let error = Store::open(dir.path()).unwrap_err();
    let after = fs::read(dir.path().join("ipblock.db")).ok();
    assert!(before == after, "a refused database was changed");
    error
}

fn assert_corrupt(error: &StoreError, dir: &TempDir) {
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let path = dir.path().join("ipblock.db").display().to_string();
    assert!(error.to_string().contains(&path), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("keeps filtering"), "{hint}");
    assert!(hint.contains("backup"), "{hint}");
}

#[test]
fn a_first_start_makes_a_private_directory_and_an_identity_that_stays() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("lib/ipblock");
    let store = Store::open(&dir).unwrap();
    let id = store.store_id();
    assert_ne!(id, [0; 16]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(store.path()), 0o600);
    drop(store);
    let store = Store::open(&dir).unwrap();
    assert_eq!(store.store_id(), id);
    assert_ne!(Fixture::new().store.store_id(), id);
}

#[test]
fn a_second_daemon_is_refused_with_the_process_id_of_the_first() {
    let fixture = Fixture::new();
    let error = Store::open(fixture.dir.path()).unwrap_err();
    let pid = std::process::id();
    assert!(matches!(error, StoreError::Locked { pid: Some(held), .. } if held == pid));
    assert!(error.to_string().contains(&format!("process {pid}")));
    fixture.store.allocate_rule_ids(1).unwrap();
    let left_behind = fixture.reopen();
    left_behind.store.allocate_rule_ids(1).unwrap();
}

#[test]
fn a_newer_schema_is_refused() {
    let (dir, path) = closed();
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.close().unwrap();
    let error = refusal(&dir);
    let expected = "has schema version 99; this ipblockd knows versions up to 5";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert!(error.hint().unwrap().contains("newer ipblockd"));
}

#[test]
fn an_empty_file_is_damage_and_not_a_first_start() {
    let (dir, path) = closed();
    File::create(&path).unwrap();
    assert_corrupt(&refusal(&dir), &dir);
}

#[test]
fn a_truncated_file_is_damage() {
    let (dir, path) = closed();
    let length = fs::metadata(&path).unwrap().len();
    for length in [10, 4_096, length / 2, length - 4_096, length - 1] {
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(length).unwrap();
        assert_corrupt(&refusal(&dir), &dir);
    }
}

#[test]
fn a_garbage_header_is_damage() {
    let (dir, path) = closed();
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all(&[0xa5; 100]).unwrap();
    assert_corrupt(&refusal(&dir), &dir);
}

#[test]
fn another_programs_database_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let connection = Connection::open(dir.path().join("ipblock.db")).unwrap();
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    connection.close().unwrap();
    assert_corrupt(&refusal(&dir), &dir);
}

/// In a restored backup, the view would keep the daemon busy permanently.
#[test]
fn a_query_in_a_tables_place_is_damage_and_is_not_run() {
    for (sql, named) in [
        (
            "DROP TABLE ban; CREATE VIEW ban AS WITH RECURSIVE n(prefix) AS \
             (SELECT 1 UNION ALL SELECT prefix + 1 FROM n) SELECT * FROM n",
            "view `ban`",
        ),
        (
            "CREATE TRIGGER t DELETE ON generation BEGIN DELETE FROM revision; END",
            "trigger `t`",
        ),
        (
            "CREATE VIEW \"a\u{1b}[2J\" AS SELECT 1",
            "view `a\\u{1b}[2J`",
        ),
    ] {
        let (dir, path) = closed();
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(sql).unwrap();
        connection.close().unwrap();
        let error = refusal(&dir);
        assert_corrupt(&error, &dir);
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn a_log_without_its_database_is_damage() {
    let (dir, path) = closed();
    fs::rename(&path, dir.path().join("ipblock.db-wal")).unwrap();
    assert_corrupt(&refusal(&dir), &dir);
    assert!(!path.exists());
}

#[test]
fn a_half_made_database_of_an_interrupted_first_start_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["ipblock.db.new", "ipblock.db.new-journal"] {
        fs::write(dir.path().join(name), b"torn").unwrap();
    }
    Store::open(dir.path()).unwrap();
    let mut names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["ipblock.db", "ipblock.lock"]);
}

/// Whichever page is damaged, open or the read of the ruleset finds it. A ruleset that can be read
/// is the one that was written.
#[test]
fn a_flipped_page_never_gives_another_ruleset() {
    let (dir, path) = closed();
    let sound = fs::read(&path).unwrap();
    let expected = Store::open(dir.path()).unwrap().ruleset(1).unwrap();
    let (mut at_open, mut at_read) = (0, 0);
    for page in (0..sound.len()).step_by(4_096) {
        // The whole page, and one byte that may be in the middle of a text.
        for flipped in [page..page + 4_096, page + 2_000..page + 2_001] {
            let mut damaged = sound.clone();
            for byte in &mut damaged[flipped] {
                *byte ^= 0x5a;
            }
            fs::write(&path, &damaged).unwrap();
            match Store::open(dir.path()).map(|store| store.ruleset(1)) {
                Err(error) => {
                    assert_corrupt(&error, &dir);
                    at_open += 1;
                }
                Ok(Err(error)) => {
                    assert_corrupt(&error, &dir);
                    at_read += 1;
                }
                Ok(Ok(read)) => assert_eq!(read, expected),
            }
        }
    }
    assert!(at_open > 10, "{at_open} found at open");
    assert!(at_read > 3, "{at_read} found when read");
}

#[test]
fn a_word_that_this_build_does_not_know_is_damage() {
    let fixture = Fixture::new();
    fixture.revision(&ruleset("a", &[]), RevisionState::Deployed);
    let sql = "UPDATE revision SET state = 'nonsense', rules = -1";
    fixture.store.connection().execute(sql, []).unwrap();
    let error = fixture.store.revision(1).unwrap_err();
    assert_corrupt(&error, &fixture.dir);
}

#[test]
fn a_full_store_says_so_and_keeps_what_it_has() {
    let fixture = Fixture::new();
    let first = fixture.revision(&ruleset("a", &[]), RevisionState::Deployed);
    let pages: i64 = {
        let connection = fixture.store.connection();
        let pages: i64 = connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        connection
            .pragma_update_and_check(None, "max_page_count", pages, |row| row.get(0))
            .unwrap()
    };
    let large = ruleset(&"x".repeat(100_000), &[]);
    let error = fixture.store.stage(first, &large, &[]).unwrap_err();
    assert!(pages > 10);
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(error.hint().unwrap().contains("free space"));
    assert_eq!(fixture.store.staged().unwrap(), None);
    assert_eq!(fixture.store.ruleset(first).unwrap().toml, "a");
}

#[test]
fn a_database_that_another_program_locks_is_busy() {
    let (dir, path) = closed();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = refusal(&dir);
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    Store::open(dir.path()).unwrap();
}

/// Runs `test` on a private file system of 512 KiB, which is removed with the thread.
fn on_a_tiny_file_system(test: fn(&Path)) {
    if !nix::unistd::geteuid().is_root() {
        assert!(
            std::env::var_os("IPBLOCK_REQUIRE_PRIVILEGED").is_none(),
            "this test mounts a file system: run it as root"
        );
        eprintln!("skipped: mounting a file system needs root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mount_point = dir.path().to_owned();
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none = None::<&str>;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(none, "/", none, private, none).unwrap();
        let tmpfs = Some("tmpfs");
        let flags = MsFlags::empty();
        mount(tmpfs, &mount_point, tmpfs, flags, Some("size=512k")).unwrap();
        test(&mount_point);
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_full_disk_says_so_and_loses_nothing() {
    on_a_tiny_file_system(|dir| {
        let store = Store::open(dir).unwrap();
        store.stage(0, &ruleset("a", &[]), &[]).unwrap();
        let large = ruleset(&"x".repeat(1_000_000), &[]);
        let error = store.stage(0, &large, &[]).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        assert_eq!(store.staged().unwrap().unwrap().ruleset.toml, "a");
        // With free space again, the same store continues.
        store.stage(0, &ruleset("b", &[]), &[]).unwrap();
        drop(store);
        let store = Store::open(dir).unwrap();
        assert_eq!(store.staged().unwrap().unwrap().ruleset.toml, "b");
    });
}

#[test]
fn a_read_only_disk_says_so() {
    on_a_tiny_file_system(|dir| {
        drop(Store::open(dir).unwrap());
        let none = None::<&str>;
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(none, dir, none, flags, none).unwrap();
        let error = Store::open(dir).unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        assert!(error.hint().unwrap().contains("findmnt"));
    });
}

/// Fills the file system to its last page.
fn filler(dir: &Path) -> File {
    let mut file = File::create(dir.join("filler")).unwrap();
    while file.write_all(&[0; 4_096]).is_ok() {}
    file
}

#[test]
fn a_store_opens_and_reads_on_a_full_disk() {
    on_a_tiny_file_system(|dir| {
        let store = Store::open(dir).unwrap();
        store.stage(0, &ruleset("a", &[]), &[]).unwrap();
        drop(store);
        let _filler = filler(dir);
        let store = Store::open(dir).unwrap();
        assert_eq!(store.staged().unwrap().unwrap().ruleset.toml, "a");
        let error = store.clear_staged().unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        assert_eq!(store.staged().unwrap().unwrap().ruleset.toml, "a");
    });
}

#[test]
fn no_room_for_a_first_start_leaves_no_half_made_database() {
    on_a_tiny_file_system(|dir| {
        let filler = filler(dir);
        let error = Store::open(dir).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        filler.set_len(0).unwrap();
        Store::open(dir).unwrap();
    });
}
