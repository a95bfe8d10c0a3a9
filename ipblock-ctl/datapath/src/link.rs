//! Links: a generation's program on an interface.
//!
//! A link is created once per interface and pinned; afterwards only its program is replaced. This
//! code never attaches by netlink: such an attachment could be neither pinned nor replaced
//! atomically.

use std::{
    io,
    path::{Path, PathBuf},
};

use ipblock_fault::{Step, reach};
use ipblock_policy::Mode;

use super::{
    error::DatapathError,
    generation::Generation,
    held_pin::{self, HeldPin, PutRight},
    inspect::program_name,
    interface::{Interface, XdpState},
    pins::PinDirectory,
    sys,
};

/// The result of an attachment.
#[derive(Debug)]
pub struct Attachment {
    /// The link, pinned.
    pub link: PinnedLink,
    /// The mode that the kernel accepted. Each attempt requests one mode, so this one is in force.
    pub mode: Mode,
    /// Why native mode is not used, if it was tried first.
    pub fallback: Option<String>,
}

/// A pinned link.
#[derive(Debug)]
pub struct PinnedLink {
    held: HeldPin,
    interface: String,
    /// Id of the program that it runs.
    pub program: u32,
    /// Index of its interface, in the namespace where that is now; `None` if it was removed.
    pub index: Option<u32>,
}

/// A pinned link whose device no longer has, in this namespace, the name of the attachment.
#[derive(Debug)]
pub struct MovedPin {
    /// The link.
    pub link: PinnedLink,
    /// The zone at the time of the attachment.
    pub zone: String,
}

/// Attaches a generation to an interface and pins the link. Without a mode, tries native mode
/// first, then generic mode.
///
/// Refuses an interface that runs any XDP program already. The error is `EEXIST` if a device above
/// it has one.
pub fn attach(
    pins: &PinDirectory,
    interface: &Interface,
    mode: Option<Mode>,
    generation: &Generation,
) -> Result<Attachment, DatapathError> {
    interface.require_ethernet()?;
    if let Some(state) = interface.xdp {
        return Err(foreign(interface, state));
    }
    let try_mode = |mode: Mode| {
        let flags = match mode {
            Mode::Native => sys::XDP_FLAGS_DRV_MODE,
            Mode::Generic => sys::XDP_FLAGS_SKB_MODE,
        };
        sys::create_xdp_link(generation.program_fd(), interface.index, flags)
    };
    let (link, mode, fallback) = match mode {
        Some(mode) => {
            let link = try_mode(mode).map_err(|error| refused(interface, mode, error))?;
            (link, mode, None)
        }
        None => match try_mode(Mode::Native) {
            Ok(link) => (link, Mode::Native, None),
            Err(native) if is_driver_refusal(&native) => {
                let mode = Mode::Generic;
                let link = try_mode(mode).map_err(|error| refused(interface, mode, error))?;
                (link, mode, Some(format!("native mode: {native}")))
            }
            Err(error) => return Err(refused(interface, Mode::Native, error)),
        },
    };
    reach(Step::LinkMade);
    let path = pins.link(&interface.name);
    let pin_failed = |source| DatapathError::pin(path.clone(), source);
    sys::pin(&link, &path).map_err(pin_failed)?;
    reach(Step::LinkPinned);
    Ok(Attachment {
        link: PinnedLink {
            held: HeldPin::open(path.clone()).map_err(pin_failed)?,
            interface: interface.name.clone(),
            program: generation.program_id(),
            index: Some(interface.index),
        },
        mode,
        fallback,
    })
}

/// Returns why the kernel refused. Names a program that was attached after the check.
fn refused(interface: &Interface, mode: Mode, source: io::Error) -> DatapathError {
    let taken = matches!(source.raw_os_error(), Some(libc::EBUSY | libc::EEXIST));
    if taken
        && let Ok(Some(now)) = Interface::by_name(&interface.name)
        && let Some(state) = now.xdp
    {
        return foreign(interface, state);
    }
    DatapathError::Attach {
        interface: interface.name.clone(),
        mode,
        source,
    }
}

/// Whether the driver cannot run native XDP now, as opposed to an interface with another program.
fn is_driver_refusal(error: &io::Error) -> bool {
    !matches!(
        error.raw_os_error(),
        Some(libc::EBUSY | libc::EEXIST | libc::EPERM | libc::EACCES | libc::ENODEV)
    )
}

fn foreign(interface: &Interface, state: XdpState) -> DatapathError {
    DatapathError::ForeignProgram {
        interface: interface.name.clone(),
        program: state.program,
        name: program_name(state.program),
        mode: state.mode,
    }
}

impl PinnedLink {
    /// Returns the pinned link of an interface name, or `None` if there is no such pin.
    pub fn open(pins: &PinDirectory, interface: &str) -> Result<Option<Self>, DatapathError> {
        Self::open_at(&pins.link(interface), interface)
    }

    /// Returns the pinned links of moved devices.
    pub fn open_moved(pins: &PinDirectory) -> Result<Vec<MovedPin>, DatapathError> {
        let mut moved = Vec::new();
        for (path, interface, zone) in pins.moved_links()? {
            let link = Self::open_at(&path, &interface)?;
            moved.extend(link.map(|link| MovedPin { link, zone }));
        }
        Ok(moved)
    }

    fn open_at(path: &Path, interface: &str) -> Result<Option<Self>, DatapathError> {
        let failed = |source| DatapathError::pin(path, source);
        let held = match HeldPin::open(path.to_owned()) {
            Ok(held) => held,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let info = sys::link_info(&held).map_err(failed)?;
        Ok(Some(Self {
            held,
            interface: interface.to_owned(),
            program: info.program,
            index: (info.interface != 0).then_some(info.interface),
        }))
    }

    /// The name of its device at the time of the attachment.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// Whether it is on this interface of our namespace. The index alone does not prove it: it is
    /// the index in the device's current namespace.
    #[must_use]
    pub fn is_on(&self, interface: &Interface) -> bool {
        self.index == Some(interface.index)
            && interface.xdp.map(|xdp| xdp.program) == Some(self.program)
    }

    /// Reads its program and interface again.
    pub fn look_again(&mut self) {
        if let Ok(info) = sys::link_info(&self.held) {
            self.program = info.program;
            self.index = (info.interface != 0).then_some(info.interface);
        }
    }

    /// Moves the pin to the moved links: its device does not have its name in this namespace any
    /// more.
    pub fn set_aside(&mut self, pins: &PinDirectory, zone: &str) -> Result<(), DatapathError> {
        let path = pins.moved_link(&self.interface, zone, self.held.id());
        self.move_pin(path)
    }

    /// Moves the pin back to the links, under the name of the interface that it is on.
    pub fn take_back(&mut self, pins: &PinDirectory, interface: &str) -> Result<(), DatapathError> {
        self.move_pin(pins.link(interface))?;
        interface.clone_into(&mut self.interface);
        Ok(())
    }

    fn move_pin(&mut self, path: PathBuf) -> Result<(), DatapathError> {
        let moved = self.held.move_to(path.clone());
        moved.map_err(|source| DatapathError::pin(path, source))
    }

    /// Whether it still is on an interface.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        sys::link_info(&self.held).is_ok_and(|info| info.interface != 0)
    }

    /// Restores its pin if that was removed or replaced.
    #[must_use]
    pub fn put_pin_right(&self) -> PutRight {
        held_pin::put_all_right([&self.held])
    }

    /// Puts another generation in force: every packet is judged by the old or the new program.
    ///
    /// Does nothing if the link runs it already.
    pub fn switch(&mut self, generation: &Generation) -> Result<(), DatapathError> {
        let program = generation.program_id();
        if self.program == program {
            return Ok(());
        }
        sys::update_link(&self.held, generation.program_fd()).map_err(|source| {
            let interface = self.interface.clone();
            match source.raw_os_error() {
                Some(libc::ENOLINK | libc::ENODEV) => DatapathError::LinkGone { interface },
                _ => DatapathError::Switch { interface, source },
            }
        })?;
        self.program = program;
        reach(Step::LinkSwitched);
        Ok(())
    }

    /// Detaches the program from the interface and removes the pin. Succeeds if that is done
    /// already.
    pub fn detach(self) -> Result<(), DatapathError> {
        self.take_off()?;
        reach(Step::LinkDetached);
        let path = self.held.path().to_owned();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DatapathError::pin(path, error))
            }
            _ => {
                reach(Step::LinkUnpinned);
                Ok(())
            }
        }
    }

    /// Detaches the program from the interface. The pin stays, without an interface. Succeeds if
    /// that is done already.
    pub fn take_off(&self) -> Result<(), DatapathError> {
        match sys::detach_link(&self.held) {
            // Its interface was removed.
            Err(error) if error.raw_os_error() == Some(libc::ENOLINK) => Ok(()),
            result => result.map_err(|source| DatapathError::Detach {
                interface: self.interface.clone(),
                source,
            }),
        }
    }
}
