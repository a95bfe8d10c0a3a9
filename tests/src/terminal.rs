//! A terminal with a command in the foreground and an operator at the keyboard.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    num::NonZero,
    os::{
        fd::OwnedFd,
        unix::{fs::OpenOptionsExt as _, process::ExitStatusExt as _},
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, bail};
use nix::{
    fcntl::OFlag,
    pty::{grantpt, posix_openpt, ptsname_r, unlockpt},
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, tcgetattr},
    },
    unistd::Pid,
};

use crate::{DEADLINE, wait_for};

/// Columns and rows.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u16, pub u16);

impl Size {
    /// The initial size of most terminals.
    pub const USUAL: Self = Self(80, 24);
}

/// A command that runs on a terminal of its own.
#[derive(Debug)]
pub struct Terminal {
    size: Size,
    child: Child,
    keys: File,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

/// How a command on a terminal ended.
#[derive(Debug)]
pub struct Ended {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal.
    pub signal: Option<i32>,
    /// Everything that was written, as it came.
    pub written: String,
    /// What the operator sees at the end, typed text included.
    pub screen: String,
    /// Whether the terminal echoes and reads lines, as before the command.
    pub is_sane: bool,
    /// Whether the first screen is shown, with the cursor.
    pub is_given_back: bool,
}

impl Terminal {
    /// Runs a command, with the environment that it has, in the foreground of a terminal.
    pub fn start(command: &Command, size: Size) -> anyhow::Result<Self> {
        // Close-on-exec from the start: other tests start processes meanwhile, and one that held
        // an end of this terminal would keep it open.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let inner = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(ptsname_r(&master)?)?;
        // A session of its own, so that the keys send signals; the size has to be there before the
        // command looks.
        let Size(columns, rows) = size;
        let sized = format!("stty rows {rows} cols {columns} && exec \"$@\"");
        let mut session = Command::new("setsid");
        session
            .args(["--ctty", "sh", "-c", &sized, "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .env("TERM", "xterm")
            .env("TZ", "UTC")
            .stdin(Stdio::from(inner.try_clone()?))
            .stdout(Stdio::from(inner.try_clone()?))
            .stderr(Stdio::from(inner));
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        let child = session.spawn().context("start setsid of util-linux")?;
        // Its copies of the terminal's other end would keep that open.
        drop(session);
        let keys = File::from(OwnedFd::from(master));
        let shown = Arc::new(Mutex::new(Vec::new()));
        let reader = read_all(keys.try_clone()?, Arc::clone(&shown));
        Ok(Self {
            size,
            child,
            keys,
            shown,
            reader,
        })
    }

    /// Waits until the screen ends with `question`, and types `keys`.
    ///
    /// Returns when the screen shows the typed text: the same question may follow, and text that is
    /// typed before a question appears elsewhere on the screen.
    pub fn answer(&mut self, question: &str, keys: &str) -> anyhow::Result<()> {
        let size = self.size;
        self.wait_until(question, |written| {
            let shown = visible(written, size).0;
            shown.ends_with(question).then_some(())
        })?;
        // A space after the question may arrive later, and is not visible.
        let asked = visible(&lock(&self.shown).clone(), size);
        self.press(keys)?;
        self.wait_until("what was typed", |written| {
            (visible(written, size) != asked).then_some(())
        })
    }

    /// Types keys.
    pub fn press(&mut self, keys: &str) -> anyhow::Result<()> {
        Ok(self.keys.write_all(keys.as_bytes())?)
    }

    /// Waits until the screen matches, and returns it.
    pub fn wait_for(
        &mut self,
        what: &str,
        is_there: impl Fn(&str) -> bool,
    ) -> anyhow::Result<String> {
        let size = self.size;
        self.wait_until(what, |written| {
            // Returns the matching screen, because the next check may find it half redrawn.
            let shown = screen_of(written, size).contents();
            is_there(&shown).then_some(shown)
        })
    }

    /// Sends a signal to the command.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id())?;
        Ok(kill(Pid::from_raw(pid), signal)?)
    }

    /// Whether the command uses the alternate screen, and whether the cursor is hidden.
    #[must_use]
    pub fn is_taken(&self) -> (bool, bool) {
        let screen = self.screen();
        (screen.alternate_screen(), screen.hide_cursor())
    }

    /// Waits until the command has ended.
    pub fn end(mut self) -> anyhow::Result<Ended> {
        let child = &mut self.child;
        let ended = wait_for(DEADLINE, "the command to end", || {
            child.try_wait().transpose()
        });
        let status: ExitStatus = match ended {
            Ok(status) => status?,
            Err(error) => {
                let _ = self.child.kill();
                bail!("{error:#}; its screen:\n{}", self.screen().contents());
            }
        };
        if self.reader.join().is_err() {
            bail!("the terminal could not be read");
        }
        let modes = tcgetattr(&self.keys)?.local_flags;
        let written = lock(&self.shown).clone();
        let screen = screen_of(&written, self.size);
        Ok(Ended {
            code: status.code(),
            signal: status.signal(),
            screen: screen.contents(),
            is_given_back: !screen.alternate_screen() && !screen.hide_cursor(),
            written: String::from_utf8(written)?,
            is_sane: modes.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG),
        })
    }

    fn screen(&self) -> vt100::Screen {
        screen_of(&lock(&self.shown).clone(), self.size)
    }

    fn wait_until<T>(
        &mut self,
        what: &str,
        find: impl Fn(&[u8]) -> Option<T>,
    ) -> anyhow::Result<T> {
        let shown = &self.shown;
        let found = wait_for(DEADLINE, what, || find(&lock(shown).clone()));
        found.map_err(|error| {
            let _ = self.child.kill();
            error.context(format!("on the screen:\n{}", self.screen().contents()))
        })
    }
}

fn lock(shown: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads until the other end is closed, which Linux reports as an error.
///
/// The first such error is not the end yet. If the last bytes are written and the terminal is
/// closed between the two checks of one read, that read finds the terminal closed and the bytes not
/// yet delivered (`n_tty_read` in `drivers/tty/n_tty.c`). A later read waits for them.
fn read_all(mut screen: File, shown: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        let mut is_closed = false;
        loop {
            match screen.read(&mut buffer) {
                Ok(length @ 1..) => {
                    let read = buffer.get(..length).unwrap_or(&buffer);
                    lock(&shown).extend_from_slice(read);
                }
                _ if is_closed => break,
                _ => is_closed = true,
            }
        }
    })
}

/// The text on the screen, and the line of the cursor.
fn visible(written: &[u8], size: Size) -> (String, u16) {
    let screen = screen_of(written, size);
    let (row, _) = screen.cursor_position();
    (screen.contents().trim_end().to_owned(), row)
}

/// Returns the screen of a terminal that received this; lines have no trailing spaces.
fn screen_of(written: &[u8], size: Size) -> vt100::Screen {
    let Size(columns, rows) = size;
    let not_zero = |number| NonZero::new(number).unwrap_or(NonZero::<u16>::MIN);
    let mut terminal = vt100::Parser::new(not_zero(rows), not_zero(columns), 0);
    terminal.process(written);
    terminal.screen().clone()
}
