//! Network namespaces that are removed with the test.

use std::{
    ffi::OsStr,
    fs::{self, File},
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::Command,
    sync::Once,
    thread,
};

use anyhow::{Context as _, ensure};
use nix::{
    mount::{MntFlags, umount2},
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    Privileged,
    leftovers::{NETNS_DIR, leftovers, unique_name},
};

/// Settings that suppress the kernel's own packets, for tests that count every frame.
const QUIET: [(&str, &str); 5] = [
    ("accept_dad", "0"),
    ("dad_transmits", "0"),
    ("accept_ra", "0"),
    ("router_solicitations", "0"),
    // No link-local address (`IN6_ADDR_GEN_MODE_NONE`), so nothing to announce for it.
    ("addr_gen_mode", "1"),
];

/// A named network namespace with `lo` up, removed in `Drop`.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// A fresh namespace: no duplicate address detection, no router advertisements, no link-local
    /// addresses.
    pub fn new(_root: Privileged) -> anyhow::Result<Self> {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(|| {
            for name in leftovers(Path::new(NETNS_DIR)) {
                let orphaned = Self { name };
                orphaned.kill_processes();
            }
        });
        let name = unique_name();
        run_command(Command::new("ip").args(["netns", "add", &name]))?;
        let netns = Self { name };
        netns.enter(|| {
            for conf in ["all", "default"] {
                for (key, value) in QUIET {
                    let path = format!("/proc/sys/net/ipv6/conf/{conf}/{key}");
                    fs::write(&path, value).with_context(|| format!("{path} = {value}"))?;
                }
            }
            anyhow::Ok(())
        })?;
        netns.run(["ip", "link", "set", "lo", "up"])?;
        Ok(netns)
    }

    /// Ends processes that a killed run left inside: a running daemon would keep its filter.
    fn kill_processes(&self) {
        let pids = run_command(Command::new("ip").args(["netns", "pids", &self.name]));
        for pid in pids.iter().flat_map(|pids| pids.split_whitespace()) {
            // One that has ended meanwhile needs no signal.
            let _ = pid
                .parse()
                .map(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL));
        }
    }

    /// Its name, as `ip -netns` takes it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the file of the namespace.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new(NETNS_DIR).join(&self.name)
    }

    /// A command that runs inside. Only the network changes: bpffs mounts stay visible, which
    /// `ip netns exec` would hide.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path().display()))
            .arg("--")
            .arg(program);
        command
    }

    /// Runs a program with its arguments inside and returns what it printed.
    ///
    /// # Errors
    /// When it cannot be started or fails; the error holds what it said.
    pub fn run<S: AsRef<OsStr>>(
        &self,
        argv: impl IntoIterator<Item = S>,
    ) -> anyhow::Result<String> {
        let mut argv = argv.into_iter();
        let program = argv.next().context("no program to run")?;
        run_command(self.command(program).args(argv))
    }

    /// Runs `inside` on its own thread in this namespace. Sockets opened there stay in the
    /// namespace when they are returned.
    ///
    /// # Panics
    /// When `inside` does, or when the namespace cannot be joined.
    pub fn enter<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        let outcome = thread::scope(|scope| {
            scope
                .spawn(|| {
                    let path = self.path();
                    let joined = File::open(&path)
                        .context("open")
                        .and_then(|file| Ok(setns(file, CloneFlags::CLONE_NEWNET)?));
                    match joined {
                        Ok(()) => inside(),
                        Err(error) => panic!("join {}: {error:#}", path.display()),
                    }
                })
                .join()
        });
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for Netns {
    #[expect(clippy::print_stderr, reason = "Drop has nobody else to tell")]
    fn drop(&mut self) {
        // Does the same as `ip netns delete`, without a program that a second Ctrl-C would end.
        let path = self.path();
        let gone = umount2(&path, MntFlags::MNT_DETACH)
            .map_err(anyhow::Error::from)
            .and_then(|()| Ok(fs::remove_file(&path)?));
        if let Err(error) = gone {
            eprintln!("namespace {} stays behind: {error:#}", self.name);
        }
    }
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn run_command(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("start {command:?}; is it installed?"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
