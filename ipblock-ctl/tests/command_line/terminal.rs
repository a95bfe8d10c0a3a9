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
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, tcgetattr},
    },
    unistd::Pid,
};

use crate::{DEADLINE, fake_daemon::FakeDaemon};

const POLL: Duration = Duration::from_millis(10);

pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_D: &str = "\x04";

/// Columns and rows.
#[derive(Clone, Copy)]
pub(crate) struct Size(pub(crate) u16, pub(crate) u16);

/// What most terminals begin with.
pub(crate) const USUAL: Size = Size(80, 24);

/// A command that runs on a terminal of its own.
pub(crate) struct Terminal {
    size: Size,
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
    /// Whether the first screen is shown, with the cursor.
    pub(crate) is_given_back: bool,
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
        Self::sized(USUAL, daemon, arguments, environment)
    }

    /// The same, on a terminal of another size.
    pub(crate) fn sized(
        size: Size,
        daemon: &FakeDaemon,
        arguments: &[&str],
        environment: &[(&str, &OsStr)],
    ) -> Self {
        let mut command = vec![OsStr::new(env!("CARGO_BIN_EXE_ipblock-ctl"))];
        command.extend(arguments.iter().map(OsStr::new));
        let socket = daemon.socket();
        let mut environment = environment.to_vec();
        environment.insert(0, ("IPBLOCK_SOCKET", socket.as_os_str()));
        Self::of(size, &command, &environment)
    }

    /// Runs any command.
    pub(crate) fn of(size: Size, command: &[&OsStr], environment: &[(&str, &OsStr)]) -> Self {
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
        let Size(columns, rows) = size;
        let sized = format!("stty rows {rows} cols {columns} && exec \"$@\"");
        let child = Command::new("setsid")
            .args(["--ctty", "sh", "-c", &sized, "sh"])
            .args(command)
            .env_remove("NO_COLOR")
            .env_remove("VISUAL")
            .env_remove("EDITOR")
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
            size,
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
        let size = self.size;
        let asked = self.wait_until(question, |shown| {
            screen_of(shown, size)
                .contents()
                .trim_end()
                .ends_with(question)
        });
        self.press(keys);
        self.wait_until("what was typed", |shown| shown.len() > asked);
    }

    /// Types keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("typed");
    }

    /// Waits until the screen shows what is asked for, and returns it.
    pub(crate) fn wait_for(&mut self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let size = self.size;
        self.wait_until(what, |shown| is_there(&screen_of(shown, size).contents()));
        let shown = self.shown.lock().expect("no panic").clone();
        screen_of(&shown, size).contents()
    }

    /// Waits until the screen shows this text.
    pub(crate) fn wait_for_text(&mut self, text: &str) -> String {
        self.wait_for(text, |screen| screen.contains(text))
    }

    /// Sends a signal to the command.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("a signal");
    }

    /// Whether the command has the other screen, and whether the cursor is hidden.
    pub(crate) fn is_taken(&self) -> (bool, bool) {
        let shown = self.shown.lock().expect("no panic").clone();
        let terminal = screen_of(&shown, self.size);
        (terminal.alternate_screen(), terminal.hide_cursor())
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
                panic!(
                    "`{what}` never came:\n{}",
                    screen_of(&shown, self.size).contents()
                );
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
                let screen = screen_of(&self.shown.lock().expect("no panic"), self.size);
                panic!("the command hangs:\n{}", screen.contents());
            }
            thread::sleep(POLL);
        };
        self.reader.join().expect("no panic");
        let modes = tcgetattr(&self.keys).expect("a terminal").local_flags;
        let written = self.shown.lock().expect("no panic").clone();
        let screen = screen_of(&written, self.size);
        Ended {
            code: status.code(),
            signal: status.signal(),
            screen: screen.contents(),
            is_given_back: !screen.alternate_screen() && !screen.hide_cursor(),
            written: String::from_utf8(written).expect("UTF-8"),
            is_sane: modes.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG),
        }
    }
}

/// Reads until nobody has the other end open, which Linux reports as an error.
///
/// The first such error is no end yet: when the last bytes are written and the terminal is closed
/// between the two looks that one read takes, it finds the terminal closed and the bytes not yet
/// handed over (`n_tty_read` in `drivers/tty/n_tty.c`). A read that begins after that waits for them.
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

/// What a terminal that was sent this shows; its contents are without spaces at line ends.
fn screen_of(written: &[u8], size: Size) -> vt100::Screen {
    let Size(columns, rows) = size;
    let not_zero = |number| NonZero::new(number).expect("a size");
    let mut terminal = vt100::Parser::new(not_zero(rows), not_zero(columns), 0);
    terminal.process(written);
    terminal.screen().clone()
}
