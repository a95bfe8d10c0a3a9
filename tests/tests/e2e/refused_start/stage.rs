//! A live daemon with a filter, another one that must be refused, and a comparison of the whole
//! state.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use ipblock_tests::{Bpffs, Pinned, Privileged, binaries, pinned_under};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{
    answers::apply,
    scenario::{BLOCK, Scene, marked},
};

/// A file or a directory.
#[derive(Clone, PartialEq, Eq)]
struct Entry {
    inode: u64,
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    content: Vec<u8>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (
            Self {
                inode,
                mode,
                owner,
                modified,
                ..
            },
            length,
        ) = (self, self.content.len());
        write!(
            f,
            "inode {inode} mode {mode:o} owner {owner:?} modified {modified:?}, {length} bytes"
        )
    }
}

fn add_files(path: &Path, found: &mut BTreeMap<PathBuf, Entry>) -> anyhow::Result<()> {
    let metadata = fs::symlink_metadata(path).with_context(|| path.display().to_string())?;
    let content = if metadata.is_file() {
        fs::read(path)?
    } else {
        Vec::new()
    };
    let entry = Entry {
        inode: metadata.ino(),
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        content,
    };
    found.insert(path.to_owned(), entry);
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            add_files(&entry?.path(), found)?;
        }
    }
    Ok(())
}

/// A live daemon with its filter, and separate paths for one that must be refused.
pub(super) struct Stage {
    pub(super) root: Privileged,
    pub(super) scene: Scene,
    /// Contains the files of the other daemon.
    pub(super) elsewhere: TempDir,
    /// A bpffs of the other daemon's own.
    pub(super) other_bpffs: Bpffs,
}

/// The whole state, before and after.
#[derive(PartialEq, Eq)]
struct Everything {
    files: BTreeMap<PathBuf, Entry>,
    pins: BTreeMap<PathBuf, Pinned>,
}

impl Stage {
    pub(super) fn new(root: Privileged) -> anyhow::Result<Self> {
        // Other windows than those that a daemon without a configuration would set.
        let config = "[alerts]\nwindow = \"5s\"\nrate = 7\n";
        let scene = Scene::attached_with(root, "native", |daemon| daemon.config(config))?;
        apply(&scene.daemon, BLOCK)?;
        let ban = "ban 203.0.113.200 --for 1h";
        scene.daemon.ctl(ban)?.ok()?;
        scene.daemon.ctl("rule edit abuse --note staged")?.ok()?;
        scene.send(&[marked("203.0.113.7", 1), marked("198.51.100.7", 2)], 5)?;
        scene.judged(10)?;
        let elsewhere = tempfile::tempdir()?;
        fs::set_permissions(elsewhere.path(), fs::Permissions::from_mode(0o755))?;
        Ok(Self {
            root,
            scene,
            elsewhere,
            other_bpffs: Bpffs::mount(root)?,
        })
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.elsewhere.path().join(name)
    }

    fn everything(&self) -> anyhow::Result<Everything> {
        let mut files = BTreeMap::new();
        for place in [
            &self.scene.daemon.state_dir(),
            self.elsewhere.path(),
            &self.scene.daemon.socket(),
        ] {
            add_files(place, &mut files)?;
        }
        let mut pins = pinned_under(self.scene.daemon.bpffs())?;
        pins.extend(pinned_under(self.other_bpffs.path())?);
        assert!(pins.len() > 30, "{} pins", pins.len());
        Ok(Everything { files, pins })
    }

    /// A copy of the live daemon's store in a state directory of its own.
    pub(super) fn copy_of_the_store(&self, name: &str) -> anyhow::Result<PathBuf> {
        let directory = self.at(name);
        fs::create_dir(&directory)?;
        let file = directory.join("ipblock.db");
        let file = file.to_string_lossy().into_owned();
        self.scene.daemon.ctl(["backup", &file])?.ok()?;
        Ok(directory)
    }

    /// Such a copy, changed by SQL.
    pub(super) fn changed_store(&self, name: &str, sql: &str) -> anyhow::Result<PathBuf> {
        let directory = self.copy_of_the_store(name)?;
        let connection = Connection::open(directory.join("ipblock.db"))?;
        connection.execute_batch(sql)?;
        Ok(directory)
    }
}

/// Runs a function while the live daemon is stopped, so that its periodic work changes nothing.
struct Stopped(Pid);

impl Stopped {
    fn stop(pid: u32) -> anyhow::Result<Self> {
        let pid = Pid::from_raw(pid.try_into()?);
        kill(pid, Signal::SIGSTOP)?;
        Ok(Self(pid))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        kill(self.0, Signal::SIGCONT).ok();
    }
}

/// A start that must be refused.
pub(super) struct Refused {
    name: &'static str,
    /// What `setpriv` is given, when it runs under it.
    pub(super) privileges: Vec<String>,
    pub(super) socket: PathBuf,
    pub(super) state_dir: PathBuf,
    pub(super) bpffs: PathBuf,
    pub(super) config: String,
    pub(super) code: i32,
    said: &'static [&'static str],
}

impl Refused {
    /// With its own paths and without obstacles.
    pub(super) fn at(stage: &Stage, name: &'static str, said: &'static [&'static str]) -> Self {
        Self {
            name,
            privileges: Vec::new(),
            socket: stage.at("sockets/socket"),
            state_dir: stage.at("new/state"),
            bpffs: stage.other_bpffs.path().to_owned(),
            config: String::new(),
            code: 1,
            said,
        }
    }

    pub(super) fn on_the_live_bpffs(mut self, stage: &Stage) -> Self {
        self.bpffs = stage.scene.daemon.bpffs().to_owned();
        self
    }

    pub(super) fn with_store(mut self, directory: PathBuf) -> Self {
        self.state_dir = directory;
        self
    }

    pub(super) fn command(&self, stage: &Stage) -> anyhow::Result<Command> {
        let config = stage.at("ipblockd.toml");
        fs::write(&config, &self.config)?;
        let netns = &stage.scene.pair.host.netns;
        let mut command = if self.privileges.is_empty() {
            netns.command("timeout")
        } else {
            let mut command = netns.command("setpriv");
            command.args(&self.privileges).arg("timeout");
            command
        };
        command
            .arg("20")
            .arg(&binaries().ipblockd)
            .arg("--socket")
            .arg(&self.socket)
            .arg("--state-dir")
            .arg(&self.state_dir)
            .arg("--bpffs")
            .arg(&self.bpffs)
            .arg("--config")
            .arg(&config);
        Ok(command)
    }

    /// Runs it, and compares the whole state before and after.
    pub(super) fn run(&self, stage: &Stage) -> anyhow::Result<()> {
        let mut command = self.command(stage)?;
        let stopped = Stopped::stop(stage.scene.daemon.pid().context("a live daemon")?)?;
        let before = stage.everything()?;
        let output = command.output()?;
        let after = stage.everything()?;
        drop(stopped);
        let name = self.name;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(self.code), "{name}:\n{log}");
        for text in self.said {
            assert!(log.contains(text), "{name}: {text:?} in\n{log}");
        }
        assert!(!log.contains("ready"), "{name}:\n{log}");
        for (path, entry) in &before.pins {
            assert_eq!(
                after.pins.get(path),
                Some(entry),
                "{name}: {}\n{log}",
                path.display()
            );
        }
        for (path, entry) in &before.files {
            assert_eq!(
                after.files.get(path),
                Some(entry),
                "{name}: {}\n{log}",
                path.display()
            );
        }
        let more = |before: usize, after: usize| {
            assert_eq!(before, after, "{name}: more than before\n{log}");
        };
        more(before.pins.len(), after.pins.len());
        more(before.files.len(), after.files.len());
        Ok(())
    }
}
