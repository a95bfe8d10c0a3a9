//! Errors between user space and the kernel.

use std::{
    io,
    path::{Path, PathBuf},
};

use aya::{EbpfError, maps::MapError, programs::ProgramError};
use ipblock_policy::{Classified, ErrorKind, Hinted, Mode};
use thiserror::Error;

use super::in_the_way::{InTheWay, above_it, below_hint, take_off};

/// A feature of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// The feature and its purpose.
    pub what: &'static str,
    /// The first version of Linux with it.
    pub since: &'static str,
}

/// A failure of the datapath. Unless the variant says otherwise, what was in force has not changed.
#[derive(Debug, Error)]
pub enum DatapathError {
    /// There is no bpffs for the pins.
    #[error("bpffs at {path}: {problem}", path = .path.display())]
    Bpffs {
        /// The path that was searched.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A pin or its directory could not be created, opened or removed.
    #[error("pin {path}: {source}", path = .path.display())]
    Pin {
        /// The pin.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel or the file system does not allow this process to use a pin or its directory.
    #[error("pin {path}: not permitted ({source})", path = .path.display())]
    NotPermitted {
        /// The pin.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another user could change the pins.
    #[error("{path} {problem}", path = .path.display())]
    Untrusted {
        /// The directory.
        path: PathBuf,
        /// Which user could do that.
        problem: String,
        /// How to fix it.
        cure: String,
    },
    /// Another daemon manages the pins.
    #[error("another ipblockd looks after the filter pinned under {path}", path = .path.display())]
    PinsInUse {
        /// The directory of the pins.
        path: PathBuf,
    },
    /// A pin exists but is another object.
    #[error("pin {path} is not what ipblock pinned there: {problem}", path = .path.display())]
    StrangePin {
        /// The pin.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// No daemon has pinned a filter there to which the command applies.
    #[error("no filter of ipblock is pinned under {}", listed(places))]
    NoFilter {
        /// Every bpffs that was searched.
        places: Vec<PathBuf>,
    },
    /// The zone has more entries than its capacity.
    #[error("the ruleset needs {entries} kernel entries, the capacity is {capacity}")]
    Capacity {
        /// Entries of both families.
        entries: usize,
        /// The maximum of entries.
        capacity: u32,
    },
    /// The kernel refused the maps or the program.
    #[error("the kernel refused the XDP program: {0}")]
    Load(#[source] Box<EbpfError>),
    /// The kernel refused the program.
    #[error("the kernel refused the XDP program: {0}")]
    Program(#[source] Box<ProgramError>),
    /// The kernel is too old for the program.
    #[error("this kernel cannot run the XDP program, it lacks {}", lacks(missing))]
    Kernel {
        /// The missing features.
        missing: Vec<Feature>,
    },
    /// The kernel's verifier refused the program.
    #[error("the kernel refused the XDP program: {source}; its verifier says: {said}")]
    Verifier {
        /// The error of the system call.
        source: io::Error,
        /// The end of the verifier's log, which has megabytes.
        said: String,
    },
    /// A map operation failed.
    #[error("map {map}: {source}")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        source: Box<MapError>,
    },
    /// A map could not be read completely.
    #[error("map {map}: {source}")]
    Read {
        /// Its name.
        map: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A map could not be filled.
    #[error("map {map} cannot be filled: {source}")]
    Fill {
        /// Its name.
        map: &'static str,
        /// Why.
        source: io::Error,
    },
    /// No interface has this name in the daemon's network namespace.
    #[error("there is no interface `{interface}`")]
    NoInterface {
        /// The name.
        interface: String,
    },
    /// Packets of this interface do not start with an Ethernet header.
    #[error("interface `{interface}` carries no Ethernet frames ({link_type})")]
    NotEthernet {
        /// The name.
        interface: String,
        /// Its link-layer type.
        link_type: String,
    },
    /// A program of another owner is on the interface.
    #[error("interface `{interface}` already runs XDP program {program}{name}, which is not ipblock's", name = .name.as_ref().map(|name| format!(" (`{name}`)")).unwrap_or_default())]
    ForeignProgram {
        /// The interface.
        interface: String,
        /// The program's id.
        program: u32,
        /// The program's name, if it may be read.
        name: Option<String>,
        /// How it is attached.
        mode: Mode,
    },
    /// The kernel refuses a program below a device that has one, and that one cannot be removed for
    /// it.
    #[error("cannot attach to `{interface}`: {}", above_it(upper, *program, *why))]
    Below {
        /// The interface.
        interface: String,
        /// The device above it.
        upper: String,
        /// The program there.
        program: u32,
        /// Why the program cannot be removed.
        why: InTheWay,
    },
    /// The kernel refuses a program below a device that has one, and no interface here has one.
    #[error(
        "cannot attach to `{interface}`: a device above it in another network namespace runs an XDP \
         program, and the kernel takes no program below one"
    )]
    BelowElsewhere {
        /// The interface.
        interface: String,
    },
    /// The incoming packets of an interface could not be held.
    #[error("cannot hold back what comes in by `{interface}`: {source}")]
    Hold {
        /// The interface.
        interface: String,
        /// Why.
        source: io::Error,
    },
    /// The kernel or the driver refused to attach.
    #[error("cannot attach to `{interface}` in {mode} mode: {source}")]
    Attach {
        /// The interface.
        interface: String,
        /// The last mode that was tried.
        mode: Mode,
        /// Why.
        source: io::Error,
    },
    /// The interface was removed while the link was on it.
    #[error("interface `{interface}` is gone")]
    LinkGone {
        /// The interface.
        interface: String,
    },
    /// The kernel refused to replace the program on a link; the old one stays.
    #[error("cannot replace the program on `{interface}`: {source}")]
    Switch {
        /// The interface.
        interface: String,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused to detach the program from an interface.
    #[error("cannot detach from `{interface}`: {source}")]
    Detach {
        /// The interface.
        interface: String,
        /// Why.
        source: io::Error,
    },
    /// The filter that was attached with this name is on an interface with another name now.
    #[error("the filter of `{interface}` is on `{now}`: interfaces were renamed")]
    Renamed {
        /// The name at the time of the attachment.
        interface: String,
        /// The present name of that interface.
        now: String,
    },
    /// The list of interfaces could not be read.
    #[error("netlink: {0}")]
    Netlink(#[source] io::Error),
    /// The program's diagnostics could not be read.
    #[error("diagnostics of the XDP program: {0}")]
    KernelLog(String),
}

impl Classified for DatapathError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoInterface { .. } => ErrorKind::NotFound,
            Self::ForeignProgram { .. }
            | Self::Renamed { .. }
            | Self::Below { .. }
            | Self::BelowElsewhere { .. } => ErrorKind::Conflict,
            Self::Attach { source, .. }
                if matches!(source.raw_os_error(), Some(libc::EBUSY | libc::EEXIST)) =>
            {
                ErrorKind::Conflict
            }
            Self::Capacity { .. } | Self::NotEthernet { .. } => ErrorKind::Invalid,
            _ => ErrorKind::Failed,
        }
    }
}

impl Hinted for DatapathError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Bpffs { path, .. } => mount_command(path),
            Self::NotPermitted { .. } => NOT_PERMITTED.to_owned(),
            Self::Untrusted { cure, .. } => cure.clone(),
            Self::PinsInUse { .. } => "end it first (`systemctl stop ipblockd`; `pgrep -a ipblockd` \
                 lists them): its filter goes on, and this one takes it over"
                .to_owned(),
            Self::NoFilter { .. } => {
                "then nothing is dropped, unless ipblockd has a bpffs that is not mounted here, as \
                 under `ip netns exec`; `ip -details link` tells which interfaces run an XDP program"
                    .to_owned()
            }
            Self::Capacity { .. } => "nothing was changed; raise the capacity with \
                 `ipblockd --capacity N`, or merge prefixes"
                .to_owned(),
            Self::NoInterface { .. } => "`ip -brief link` lists the interfaces".to_owned(),
            Self::NotEthernet { .. } => {
                "tun, wg and ppp devices cannot be filtered; attach to the device below".to_owned()
            }
            Self::ForeignProgram {
                interface,
                program,
                mode,
                ..
            } => format!(
                "`bpftool prog show id {program}` tells whose it is; once it is no longer needed, \
                 `{}` removes it (not when it hangs on a link)",
                take_off(interface, *mode)
            ),
            Self::Below {
                interface,
                upper,
                program,
                why,
            } => below_hint(interface, upper, *program, *why),
            Self::BelowElsewhere { interface } => format!(
                "`ip -details link` in the namespace of a container or machine on `{interface}` shows \
                 it; take it off there, `ipblock-ctl attach {interface}`, then put it on again"
            ),
            Self::Attach { mode, source, .. } => return attach_hint(*mode, source),
            Self::Load(_) | Self::Program(_) | Self::Verifier { .. } => {
                "ipblock needs Linux 5.18 and CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON: run \
                 `ipblock-ctl doctor`"
                    .to_owned()
            }
            Self::Kernel { .. } => {
                "boot a newer kernel; `ipblock-ctl doctor` says what else stands in the way"
                    .to_owned()
            }
            Self::StrangePin { path, .. } => format!(
                "find out who put it there; once it is not needed, remove {}",
                path.display()
            ),
            Self::Renamed { interface, now } => format!(
                "`ipblock-ctl attach {now}` keeps it there under the present name, without a gap; \
                 `ipblock-ctl detach {interface}` takes it off and forgets `{interface}`"
            ),
            _ if self.is_not_permitted() => NOT_PERMITTED.to_owned(),
            _ => return None,
        };
        Some(hint)
    }
}

impl DatapathError {
    /// A pin that could not be created, opened or removed.
    pub(super) fn pin(path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match system_error(&source) {
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted { path, source },
            _ => Self::Pin { path, source },
        }
    }

    /// A pin that aya could not create or open. An error other than a missing permission means that
    /// the pin is another object.
    pub(super) fn strange_pin(
        path: impl Into<PathBuf>,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        let path = path.into();
        match system_error(error) {
            Some(errno @ (libc::EPERM | libc::EACCES)) => Self::NotPermitted {
                path,
                source: io::Error::from_raw_os_error(errno),
            },
            _ => Self::StrangePin {
                path,
                problem: error.to_string(),
            },
        }
    }

    /// Whether this process lacks a permission. A program that the verifier refuses is another
    /// case, although the system call returns the same error.
    #[must_use]
    pub fn is_not_permitted(&self) -> bool {
        match self {
            Self::NotPermitted { .. } => true,
            Self::Map { .. } | Self::Read { .. } | Self::Fill { .. } => {
                matches!(system_error(self), Some(libc::EPERM | libc::EACCES))
            }
            _ => false,
        }
    }
}

/// What a process without permission for the pins needs.
const NOT_PERMITTED: &str = "run ipblockd as root or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, as \
     the user who owns the pins; leave the pins as they are, a filter may depend on them";

/// How to mount bpffs so that other users cannot create entries in it.
#[must_use]
pub fn mount_command(path: &Path) -> String {
    format!("mount -t bpf -o mode=700 bpf {}", path.display())
}

/// Returns the error number of the system call that caused an error.
fn system_error(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut next = Some(error);
    while let Some(error) = next {
        let number = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error);
        if number.is_some() {
            return number;
        }
        next = error.source();
    }
    None
}

fn attach_hint(mode: Mode, source: &io::Error) -> Option<String> {
    if mode != Mode::Native {
        return None;
    }
    let reason = match source.raw_os_error() {
        Some(libc::EOPNOTSUPP) => "the driver has no native XDP",
        Some(libc::EINVAL) => {
            "the driver refuses the present settings (MTU, LRO, queues; see dmesg)"
        }
        _ => return None,
    };
    Some(format!(
        "{reason}; `--mode generic` works on every interface and is slower"
    ))
}

fn listed(places: &[PathBuf]) -> String {
    let places = places.iter().map(|place| place.display().to_string());
    places.collect::<Vec<_>>().join(", ")
}

fn lacks(missing: &[Feature]) -> String {
    let lines: Vec<String> = missing
        .iter()
        .map(|feature| format!("{} (Linux {})", feature.what, feature.since))
        .collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_that_may_not_be_opened_is_not_taken_for_a_strange_one() {
        let refused = |errno| {
            MapError::SyscallError(aya::sys::SyscallError {
                call: "BPF_OBJ_GET",
                io_error: io::Error::from_raw_os_error(errno),
            })
        };
        for errno in [libc::EPERM, libc::EACCES] {
            let error = DatapathError::strange_pin("/sys/fs/bpf/ipblock/a", &refused(errno));
            let message = error.to_string();
            assert!(
                message.starts_with("pin /sys/fs/bpf/ipblock/a: not permitted ("),
                "{message}"
            );
            let hint = error.hint().unwrap();
            assert!(hint.contains("as root or with CAP_BPF"), "{hint}");
            assert!(!hint.contains("remove"), "{hint}");
            assert!(error.is_not_permitted());
        }
        let error = DatapathError::strange_pin("/a", &refused(libc::EINVAL));
        assert!(matches!(error, DatapathError::StrangePin { .. }), "{error}");
    }

    #[test]
    fn a_kernel_that_is_too_old_is_told_what_it_lacks() {
        let feature = |what, since| Feature { what, since };
        let missing = vec![feature("ring buffers", "5.8"), feature("clocks", "5.11")];
        let error = DatapathError::Kernel { missing };
        assert_eq!(
            error.to_string(),
            "this kernel cannot run the XDP program, it lacks ring buffers (Linux 5.8); \
             clocks (Linux 5.11)"
        );
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("newer kernel"))
        );
    }
}
