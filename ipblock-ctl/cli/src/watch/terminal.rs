//! The terminal while the live view has it: raw, on its other screen, and given back whatever happens.

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

/// Whether the terminal is ours. The panic hook and [`Screen`] share it: whichever comes first gives
/// the terminal back, once.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// The hook stays for good, and does nothing while the terminal is not ours.
static HOOK: Once = Once::new();

/// A terminal that is drawn on, until dropped.
///
/// Public so that a test can panic while it has one.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal. From here on a panic gives it back before it says anything.
    pub fn enter(color: bool) -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        // Where there is no colour, none is drawn; where there is, somebody asked for it.
        force_color_output(color);
        enable_raw_mode()?;
        IS_OURS.store(true, Ordering::SeqCst);
        // From here on dropping it gives the terminal back.
        let entered = || {
            // `Terminal::clear` would ask the terminal where the cursor is, and not all answer.
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

    /// Draws all of it; what did not change is not sent.
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

/// As it was before. What fails is not worth a word: there is no terminal left to say it on.
fn give_back() {
    if !IS_OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}
