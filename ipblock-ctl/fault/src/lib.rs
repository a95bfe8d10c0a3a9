//! Fault points: the named steps at which tests kill the daemon, or hold it while they change the
//! world around it.
//!
//! `$IPBLOCK_FAULT` names a file. While that says `STEP COUNT kill` or `STEP COUNT hold`, the
//! process ends by `SIGKILL`, or waits, when it reaches the step for the COUNT-th time. The file is
//! renamed to end in `.reached` first, and who is held goes on when that is gone. While it says
//! `trace`, every step that is reached is written to the file that ends in `.trace`, a line each.
//! Builds without debug assertions have none of this.

/// Declares the steps with their names.
macro_rules! steps {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A step on the way of a change or a start.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Step {
            $($(#[$doc])* $variant,)*
        }

        impl Step {
            /// Every step there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in the file.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

steps! {
    /// A transaction of the store is about to be committed.
    StoreCommitting = "store-committing",
    /// It is on disk.
    StoreCommitted = "store-committed",
    /// A generation's program and maps are in the kernel, the maps empty.
    GenerationLoaded = "generation-loaded",
    /// Its maps are filled.
    GenerationFilled = "generation-filled",
    /// Its first map is pinned.
    GenerationMapPinned = "generation-map-pinned",
    /// All but the map that tells that it is whole.
    GenerationProgramPinned = "generation-program-pinned",
    /// All of it is pinned.
    GenerationPinned = "generation-pinned",
    /// The guard has judged a change, and nothing of it is in force.
    Judged = "judged",
    /// The file of a list was read, and nothing waits for it.
    ListRead = "list-read",
    /// A link runs another program than before.
    LinkSwitched = "link-switched",
    /// Every link does, and no packet is judged by the old one any more.
    LinksSettled = "links-settled",
    /// The final counts of what was replaced are read.
    CountsRead = "counts-read",
    /// All is in force and recorded; what was replaced is still pinned.
    ChangeInForce = "change-in-force",
    /// A generation's pins are gone in part.
    GenerationHalfUnpinned = "generation-half-unpinned",
    /// They are gone.
    GenerationUnpinned = "generation-unpinned",
    /// A link was made and is not pinned.
    LinkMade = "link-made",
    /// It is pinned.
    LinkPinned = "link-pinned",
    /// A link was taken off its interface and is still pinned.
    LinkDetached = "link-detached",
    /// Its pin is gone.
    LinkUnpinned = "link-unpinned",
    /// An entry of a ban table is written, and not in the filter before it.
    BanEntryWritten = "ban-entry-written",
    /// A write to the ban tables is done.
    BanWritten = "ban-written",
    /// A map that all generations share is pinned.
    SharedMapPinned = "shared-map-pinned",
    /// Devices above the one that is attached are held, and run their program.
    UpperHeld = "upper-held",
    /// They run none.
    UpperOff = "upper-off",
    /// The one below is attached.
    LowerAttached = "lower-attached",
    /// Those above run it again, and are held.
    UpperBack = "upper-back",
    /// A start has put pinned programs on interfaces that ran none.
    StartCovered = "start-covered",
    /// A start has opened the store and the shared maps.
    StartOpened = "start-opened",
    /// The ban tables hold what the store says.
    StartBansFilled = "start-bans-filled",
    /// Changes that reached no link are undone.
    StartUndone = "start-undone",
    /// Pinned generations and links are taken over.
    StartAdopted = "start-adopted",
    /// Changes that reached a link are finished.
    StartFinished = "start-finished",
    /// What zones lacked is built and in force.
    StartBuilt = "start-built",
    /// Remembered interfaces are attached.
    StartAttached = "start-attached",
    /// Pins that nothing refers to are gone.
    StartCleared = "start-cleared",
}

/// Tells that a step is reached.
#[inline]
pub fn reach(step: Step) {
    #[cfg(debug_assertions)]
    armed::reach(step);
    #[cfg(not(debug_assertions))]
    let _ = step;
}

#[cfg(debug_assertions)]
mod armed {
    use std::{
        env,
        fs::{self, File},
        io::Write as _,
        path::{Path, PathBuf},
        sync::{LazyLock, Mutex, PoisonError},
        thread,
        time::Duration,
    };

    use nix::sys::signal::{Signal, raise};

    use super::Step;

    /// Where tests say at which step what is to happen.
    static FILE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| env::var_os("IPBLOCK_FAULT").map(PathBuf::from));
    /// Steps are counted one by one, whichever thread reaches them.
    static COUNTING: Mutex<()> = Mutex::new(());
    const LOOK_AGAIN: Duration = Duration::from_millis(2);

    enum Action {
        Kill,
        Hold,
    }

    pub(super) fn reach(step: Step) {
        let Some(file) = FILE.as_deref() else { return };
        let reached = file.with_extension("reached");
        match due(step, file, &reached) {
            None => {}
            // Nothing of this process runs after it.
            Some(Action::Kill) => drop(raise(Signal::SIGKILL)),
            Some(Action::Hold) => {
                while reached.exists() {
                    thread::sleep(LOOK_AGAIN);
                }
            }
        }
    }

    /// What is to happen here and now.
    fn due(step: Step, file: &Path, reached: &Path) -> Option<Action> {
        let _one_by_one = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
        let text = fs::read_to_string(file).ok()?;
        if text == "trace" {
            let trace = file.with_extension("trace");
            let mut trace = File::options().create(true).append(true).open(trace).ok()?;
            writeln!(trace, "{}", step.name()).ok()?;
            return None;
        }
        let mut words = text.split_whitespace();
        if words.next()? != step.name() {
            return None;
        }
        let left: u64 = words.next()?.parse().ok()?;
        let action = words.next()?;
        if left > 1 {
            // In one go: a test may take the file away at any time.
            let next = file.with_extension("next");
            fs::write(&next, format!("{} {} {action}", step.name(), left - 1)).ok()?;
            fs::rename(&next, file).ok()?;
            return None;
        }
        fs::rename(file, reached).ok()?;
        match action {
            "hold" => Some(Action::Hold),
            _ => Some(Action::Kill),
        }
    }
}
