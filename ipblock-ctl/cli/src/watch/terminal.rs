//! The terminal during the live view: raw, on its alternate screen, and always restored.

use std::{
    io::{self, IsTerminal as _, Stdout},
    panic,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use ratatui::{
    Frame, Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::{Hide, Show},
        execute,
        style::force_color_output,
        terminal::{
            Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
            enable_raw_mode,
        },
    },
};

/// Whether the view uses the terminal. The panic hook and [`Screen`] share it: the first of them
/// restores the terminal, once.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// The hook is permanent, and does nothing while the view does not use the terminal.
static HOOK: Once = Once::new();

/// A terminal in use until this is dropped.
///
/// Public so that a test can panic while it has one.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal. From here on a panic restores it before its message.
    pub fn enter(color: bool) -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        // Without colour, none is drawn; with it, it was requested.
        force_color_output(color);
        enable_raw_mode()?;
        IS_OURS.store(true, Ordering::SeqCst);
        // From here on a drop restores the terminal.
        let entered = || {
            // `Terminal::clear` would ask the terminal for the cursor position, and not all
            // terminals answer.
            execute!(
                io::stdout(),
                EnterAlternateScreen,
                Clear(ClearType::All),
                Hide
            )?;
            let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
            Ok(Self { terminal })
        };
        entered().inspect_err(|_| give_back())
    }

    /// Draws all of it; sends only the changes.
    pub fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(picture).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Whether there is a terminal to draw on and to read keys from.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Restores the terminal. Ignores errors: there is no terminal left to report them on.
fn give_back() {
    if !IS_OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}
