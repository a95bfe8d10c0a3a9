//! Fault points: named steps at which tests kill the daemon, or hold it while they change its
//! environment.
//!
//! `$IPBLOCK_FAULT` is the path of a file. If that contains `STEP COUNT kill` or `STEP COUNT hold`,
//! the process is killed with `SIGKILL`, or waits, when it reaches the step for the COUNT-th time.
//! First it renames the file to end in `.reached`; a held process continues when that file is
//! removed. If the file contains `trace`, every step is appended to the file with the suffix
//! `.trace`, one per line. Builds without debug assertions have none of this.

/// Declares the steps with their names.
macro_rules! steps {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A step of a change or a start.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Step {
            $($(#[$doc])* $variant,)*
        }

        impl Step {
            /// Every step.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns its name in the file.
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
    /// The transaction is on disk.
    StoreCommitted = "store-committed",
    /// A generation's program and maps are in the kernel; the maps are empty.
    GenerationLoaded = "generation-loaded",
    /// Its maps are filled.
    GenerationFilled = "generation-filled",
    /// Its first map is pinned.
    GenerationMapPinned = "generation-map-pinned",
    /// Everything is pinned except the map with the metadata.
    GenerationProgramPinned = "generation-program-pinned",
    /// Everything is pinned.
    GenerationPinned = "generation-pinned",
    /// The guard has judged a change; none of it is in force.
    Judged = "judged",
    /// The file of a list was read; no change waits for it.
    ListRead = "list-read",
    /// A link runs a new program.
    LinkSwitched = "link-switched",
    /// Every link does, and no packet is judged by the old one any more.
    LinksSettled = "links-settled",
    /// The final counts of the replaced generation are read.
    CountsRead = "counts-read",
    /// Everything is in force and recorded; the replaced generation is still pinned.
    ChangeInForce = "change-in-force",
    /// Some of a generation's pins are removed.
    GenerationHalfUnpinned = "generation-half-unpinned",
    /// All of them are removed.
    GenerationUnpinned = "generation-unpinned",
    /// A link was created and is not pinned.
    LinkMade = "link-made",
    /// It is pinned.
    LinkPinned = "link-pinned",
    /// A link was detached from its interface and is still pinned.
    LinkDetached = "link-detached",
    /// Its pin is removed.
    LinkUnpinned = "link-unpinned",
    /// An entry of a ban table is written, but its filter bit is not.
    BanEntryWritten = "ban-entry-written",
    /// A write to the ban tables is done.
    BanWritten = "ban-written",
    /// A shared map is pinned.
    SharedMapPinned = "shared-map-pinned",
    /// Devices above the attached one are held, and run their program.
    UpperHeld = "upper-held",
    /// They run no program.
    UpperOff = "upper-off",
    /// The one below is attached.
    LowerAttached = "lower-attached",
    /// Those above run it again, and are held.
    UpperBack = "upper-back",
    /// A start has attached pinned programs to interfaces without one.
    StartCovered = "start-covered",
    /// A start has opened the store and the shared maps.
    StartOpened = "start-opened",
    /// The ban tables match the store.
    StartBansFilled = "start-bans-filled",
    /// Changes that reached no link are undone.
    StartUndone = "start-undone",
    /// Pinned generations and links are taken over.
    StartAdopted = "start-adopted",
    /// Changes that reached a link are finished.
    StartFinished = "start-finished",
    /// Missing generations of zones are built and in force.
    StartBuilt = "start-built",
    /// Remembered interfaces are attached.
    StartAttached = "start-attached",
    /// Unused pins are removed.
    StartCleared = "start-cleared",
}

/// Reports that a step is reached.
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

    /// The file in which tests choose a step and an action.
    static FILE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| env::var_os("IPBLOCK_FAULT").map(PathBuf::from));
    /// Steps are counted one at a time, by all threads together.
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
            // No code of this process runs after it.
            Some(Action::Kill) => drop(raise(Signal::SIGKILL)),
            Some(Action::Hold) => {
                while reached.exists() {
                    thread::sleep(LOOK_AGAIN);
                }
            }
        }
    }

    /// Returns the action for this step now.
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
            // Atomically: a test may remove the file at any time.
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
