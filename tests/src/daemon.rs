//! `ipblockd` in a namespace, with its own socket, state directory and bpffs.

use std::{
    ffi::OsString,
    fs::{self, File},
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    Binaries, Bpffs, DEADLINE, FaultFile, Netns, Privileged, binaries, leftovers::unique_name,
    wait_for,
};

/// How a daemon is started.
#[derive(Debug)]
pub struct DaemonBuilder {
    root: Privileged,
    netns: Arc<Netns>,
    arguments: Vec<String>,
    config: String,
    resolv_conf: String,
    group_file: Option<String>,
    uid: Option<u32>,
    binaries: Option<Binaries>,
    state_dir: Option<PathBuf>,
    environment: Vec<(&'static str, OsString)>,
}

/// A running `ipblockd`, or one that was stopped and can be started again.
///
/// `Drop` kills it and unmounts its bpffs, which removes its filter too. If the test panics, it
/// prints the log first.
#[derive(Debug)]
pub struct Daemon {
    netns: Arc<Netns>,
    arguments: Vec<String>,
    binaries: Binaries,
    uid: Option<u32>,
    state_dir: PathBuf,
    environment: Vec<(&'static str, OsString)>,
    child: Option<Child>,
    bpffs: Bpffs,
    dir: TempDir,
}

impl DaemonBuilder {
    /// With `--interface`: `IF[=native|generic|auto][@ZONE]`.
    #[must_use]
    pub fn interface(self, interface: impl Into<String>) -> Self {
        self.argument("--interface").argument(interface)
    }

    /// With one more argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With this in its configuration file, which is empty otherwise.
    #[must_use]
    pub fn config(mut self, text: impl Into<String>) -> Self {
        self.config = text.into();
        self
    }

    /// Sets its /etc/resolv.conf, which is empty otherwise: tests must not use the resolvers of the
    /// machine.
    #[must_use]
    pub fn resolv_conf(mut self, text: impl Into<String>) -> Self {
        self.resolv_conf = text.into();
        self
    }

    /// With this as its /etc/group.
    #[must_use]
    pub fn group_file(mut self, text: impl Into<String>) -> Self {
        self.group_file = Some(text.into());
        self
    }

    /// As a user other than root, who owns its directories and has the capabilities of the unit file.
    #[must_use]
    pub fn as_user(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// With other binaries than those of this workspace: an older release, for upgrades.
    #[must_use]
    pub fn binaries(mut self, binaries: Binaries) -> Self {
        self.binaries = Some(binaries);
        self
    }

    /// Sets the state directory.
    #[must_use]
    pub fn state_dir(mut self, path: PathBuf) -> Self {
        self.state_dir = Some(path);
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Starts it and waits until it answers `ipblock-ctl status`.
    pub fn start(self) -> anyhow::Result<Daemon> {
        let dir = TempDir::with_prefix(format!("{}-", unique_name()))?;
        let mut daemon = Daemon {
            netns: self.netns,
            arguments: self.arguments,
            binaries: self.binaries.unwrap_or_else(|| binaries().clone()),
            uid: self.uid,
            child: None,
            bpffs: Bpffs::mount(self.root)?,
            state_dir: self.state_dir.unwrap_or_else(|| dir.path().join("state")),
            environment: self.environment,
            dir,
        };
        fs::write(daemon.config_path(), self.config)?;
        fs::write(daemon.resolv_conf_path(), self.resolv_conf)?;
        if let Some(text) = self.group_file {
            fs::write(daemon.group_path(), text)?;
        }
        for directory in [daemon.dir.path(), daemon.bpffs()] {
            chown(directory, self.uid, self.uid)?;
        }
        daemon.start()?;
        Ok(daemon)
    }
}

impl Daemon {
    /// A daemon that will run in this namespace.
    #[must_use]
    pub fn in_netns(root: Privileged, netns: &Arc<Netns>) -> DaemonBuilder {
        DaemonBuilder {
            root,
            netns: Arc::clone(netns),
            arguments: Vec::new(),
            config: String::new(),
            resolv_conf: String::new(),
            group_file: None,
            uid: None,
            binaries: None,
            state_dir: None,
            environment: Vec::new(),
        }
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// Its state directory.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.state_dir.clone()
    }

    /// Returns the path of a file next to its other files.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the file that makes it end or wait at a step.
    #[must_use]
    pub fn fault(&self) -> FaultFile {
        FaultFile::at(self.dir.path().join("fault"))
    }

    /// Its bpffs.
    #[must_use]
    pub fn bpffs(&self) -> &Path {
        self.bpffs.path()
    }

    /// The mount of its bpffs.
    #[must_use]
    pub fn bpffs_mount(&self) -> &Bpffs {
        &self.bpffs
    }

    /// Everything that it has logged, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        match fs::read(self.log_path()) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => format!("{}: {error}", self.log_path().display()),
        }
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Starts it again after it was stopped, and waits until it answers.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "the daemon runs already");
        if !self.state_dir.exists() {
            fs::create_dir_all(&self.state_dir)?;
            chown(&self.state_dir, self.uid, self.uid)?;
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        let child = self
            .with_own_files(&self.as_its_user())
            .arg("--socket")
            .arg(self.socket())
            .arg("--state-dir")
            .arg(self.state_dir())
            .arg("--bpffs")
            .arg(self.bpffs())
            .arg("--config")
            .arg(self.config_path())
            .args(&self.arguments)
            .env_remove("NOTIFY_SOCKET")
            .env("IPBLOCK_FAULT", self.fault().path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start unshare")?;
        self.child = Some(child);
        self.wait_until_it_answers()
    }

    /// Kills it without warning (`SIGKILL`).
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.end(Signal::SIGKILL).map(drop)
    }

    /// Whether it has ended by itself, with its status; it can be started again then.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let child = self.child.as_mut().context("the daemon does not run")?;
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    /// Asks it to end (`SIGTERM`) and returns its status.
    pub fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        self.end(Signal::SIGTERM)
    }

    /// Uses these binaries from the next start on, as after an upgrade.
    pub fn replace_binaries(&mut self, binaries: Binaries) {
        self.binaries = binaries;
    }

    /// Terminates it and starts it again.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        let status = self.terminate()?;
        ensure!(status.success(), "SIGTERM ended the daemon with {status}");
        self.start()
    }

    /// The command line that belongs to it.
    pub(crate) fn ctl_program(&self) -> &Path {
        &self.binaries.ipblock_ctl
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("ipblockd.log")
    }

    /// Its configuration file, read at each start.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.dir.path().join("ipblockd.toml")
    }

    fn resolv_conf_path(&self) -> PathBuf {
        self.dir.path().join("resolv.conf")
    }

    /// The daemon's program, in its namespace.
    fn as_its_user(&self) -> Command {
        let Some(uid) = self.uid else {
            return self.netns.command(&self.binaries.ipblockd);
        };
        let capabilities = "-all,+bpf,+net_admin,+perfmon";
        let mut command = self.netns.command("setpriv");
        command
            .arg(format!("--reuid={uid}"))
            .arg(format!("--regid={uid}"))
            .arg("--clear-groups")
            .arg("--no-new-privs")
            .arg(format!("--inh-caps={capabilities}"))
            .arg(format!("--ambient-caps={capabilities}"))
            .arg(format!("--bounding-set={capabilities}"))
            .arg(&self.binaries.ipblockd);
        command
    }

    fn group_path(&self) -> PathBuf {
        self.dir.path().join("group")
    }

    /// Runs the command in its own mount namespace, where other files replace /etc/resolv.conf and,
    /// if there is one, /etc/group. Mounts of the machine still propagate into it.
    fn with_own_files(&self, command: &Command) -> Command {
        const SCRIPT: &str = "for own in \"$1\" \"$2\"; do \
                                  file=/etc/${own##*/}; \
                                  [ ! -e \"$file\" ] || [ ! -e \"$own\" ] || mount --bind \"$own\" \"$file\"; \
                              done; shift 2; exec \"$@\"";
        let mut unshare = Command::new("unshare");
        unshare
            .args([
                "--mount",
                "--propagation",
                "slave",
                "sh",
                "-c",
                SCRIPT,
                "sh",
            ])
            .arg(self.resolv_conf_path())
            .arg(self.group_path())
            .arg(command.get_program())
            .args(command.get_args());
        unshare
    }

    fn wait_until_it_answers(&mut self) -> anyhow::Result<()> {
        let mut ended = None;
        let answer = wait_for(DEADLINE, "the daemon to answer", || {
            ended = self.child.as_mut().and_then(|child| child.try_wait().ok()?);
            let answers = || self.ctl(["status"]).is_ok_and(|output| output.code == 0);
            (ended.is_some() || answers()).then_some(())
        });
        if let Some(status) = ended {
            self.child = None;
            bail!("the daemon ended with {status}; its log:\n{}", self.log());
        }
        answer.with_context(|| format!("the daemon's log:\n{}", self.log()))
    }

    fn end(&mut self, signal: Signal) -> anyhow::Result<ExitStatus> {
        let mut child = self.child.take().context("the daemon does not run")?;
        // unshare has become the daemon: what it executes, executes it without forking.
        kill(Pid::from_raw(child.id().try_into()?), signal)?;
        let status = wait_for(Duration::from_secs(30), "the daemon to end", || {
            child.try_wait().transpose()
        });
        match status {
            Ok(status) => Ok(status?),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error.context(format!("{signal}; the daemon's log:\n{}", self.log())))
            }
        }
    }
}

impl Drop for Daemon {
    #[expect(clippy::print_stderr, reason = "shown when the test fails")]
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let ended = child.kill().and_then(|()| child.wait());
            if let Err(error) = ended {
                eprintln!("cannot end the daemon: {error}");
            }
        }
        if thread::panicking() {
            eprintln!("log of ipblockd in {}:\n{}", self.netns.name(), self.log());
        }
    }
}
