//! A terminal with a command in front and an operator at the keys.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    num::NonZero,
    os::unix::{fs::OpenOptionsExt as _, process::ExitStatusExt as _},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    fcntl::OFlag,
    pty::{grantpt, posix_openpt, ptsname_r, unlockpt},
    sys::termios::{LocalFlags, tcgetattr},
};

use crate::{DEADLINE, fake_daemon::FakeDaemon};

const ROWS: NonZero<u16> = NonZero::new(24).expect("not zero");
const COLUMNS: NonZero<u16> = NonZero::new(80).expect("not zero");
const POLL: Duration = Duration::from_millis(10);

pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_D: &str = "\x04";

/// A command that runs on a terminal of its own.
pub(crate) struct Terminal {
    child: Child,
    keys: File,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

/// How a command on a terminal ended.
pub(crate) struct Ended {
    /// None when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// Everything that was written, as it came.
    pub(crate) written: String,
    /// What the operator sees at the end, typed text included.
    pub(crate) screen: String,
    /// Whether the terminal echoes and reads lines, as before the command.
    pub(crate) is_sane: bool,
}

impl Terminal {
    /// Runs `ipblock-ctl` with this daemon, in the foreground of a terminal of 80x24.
    pub(crate) fn run(daemon: &FakeDaemon, arguments: &[&str]) -> Self {
        Self::run_with(daemon, arguments, &[])
    }

    /// The same, with more in the environment.
    pub(crate) fn run_with(
        daemon: &FakeDaemon,
        arguments: &[&str],
        environment: &[(&str, &OsStr)],
    ) -> Self {
        // Close-on-exec from the start: other tests start processes meanwhile, and one that held
        // an end of this terminal would keep it open.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).expect("a terminal");
        grantpt(&master).expect("a terminal");
        unlockpt(&master).expect("a terminal");
        let inner = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(ptsname_r(&master).expect("a name"))
            .expect("a terminal");
        let stream = || Stdio::from(inner.try_clone().expect("a terminal"));
        // A session of its own, so that the keys send signals; the size has to be there before the
        // command looks.
        let sized = format!("stty rows {ROWS} cols {COLUMNS} && exec \"$@\"");
        let child = Command::new("setsid")
            .args(["--ctty", "sh", "-c", &sized, "sh"])
            .arg(env!("CARGO_BIN_EXE_ipblock-ctl"))
            .args(arguments)
            .env_remove("NO_COLOR")
            .env_remove("VISUAL")
            .env_remove("EDITOR")
            .env("IPBLOCK_SOCKET", daemon.socket())
            .env("IPBLOCK_SSH_PEER", "none")
            .env("TERM", "xterm")
            .env("TZ", "UTC")
            .envs(environment.iter().copied())
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .expect("setsid of util-linux");
        let keys = File::from(std::os::fd::OwnedFd::from(master));
        let shown = Arc::new(Mutex::new(Vec::new()));
        let reader = read_all(keys.try_clone().expect("a terminal"), Arc::clone(&shown));
        Self {
            child,
            keys,
            shown,
            reader,
        }
    }

    /// Waits until the last thing on the screen is `question`, and types `keys`.
    ///
    /// Returns when the screen has moved on: the same question may come again.
    pub(crate) fn answer(&mut self, question: &str, keys: &str) {
        let asked = self.wait_until(question, |shown| {
            screen_of(shown).trim_end().ends_with(question)
        });
        self.keys.write_all(keys.as_bytes()).expect("typed");
        self.wait_until("what was typed", |shown| shown.len() > asked);
    }

    /// Waits, and returns how much is shown then, in bytes.
    fn wait_until(&mut self, what: &str, is_there: impl Fn(&[u8]) -> bool) -> usize {
        let started = Instant::now();
        loop {
            let shown = self.shown.lock().expect("no panic").clone();
            if is_there(&shown) {
                return shown.len();
            }
            if started.elapsed() > DEADLINE {
                let _ = self.child.kill();
                panic!("`{what}` never came:\n{}", screen_of(&shown));
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until the command has ended.
    pub(crate) fn end(mut self) -> Ended {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            if started.elapsed() > DEADLINE {
                let _ = self.child.kill();
                let screen = screen_of(&self.shown.lock().expect("no panic"));
                panic!("the command hangs:\n{screen}");
            }
            thread::sleep(POLL);
        };
        self.reader.join().expect("no panic");
        let modes = tcgetattr(&self.keys).expect("a terminal").local_flags;
        let written = self.shown.lock().expect("no panic").clone();
        Ended {
            code: status.code(),
            signal: status.signal(),
            screen: screen_of(&written),
            written: String::from_utf8(written).expect("UTF-8"),
            is_sane: modes.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG),
        }
    }
}

/// Reads until nobody has the other end open, which Linux reports as an error.
///
/// The first such error is no end yet: when the last bytes are written and the terminal is closed
/// between the two looks that one read takes, it finds the terminal closed and the bytes not yet
/// handed over (`drivers/tty/n_tty.c`, `n_tty_read`). A read that begins after that waits for them.
fn read_all(mut screen: File, shown: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        let mut is_closed = false;
        loop {
            match screen.read(&mut buffer) {
                Ok(length @ 1..) => {
                    let read = buffer.get(..length).expect("no more than the buffer");
                    shown.lock().expect("no panic").extend_from_slice(read);
                }
                _ if is_closed => break,
                _ => is_closed = true,
            }
        }
    })
}

/// What a terminal that was sent this shows, without spaces at line ends.
fn screen_of(written: &[u8]) -> String {
    let mut terminal = vt100::Parser::new(ROWS, COLUMNS, 0);
    terminal.process(written);
    terminal.screen().contents()
}
