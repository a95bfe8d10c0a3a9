//! Programs that prevent an attachment, on the device or above it, and what to do about them.

use ipblock_policy::Mode;

/// Why the kernel refuses a program below another device's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InTheWay {
    /// A program that is not ipblock's, in this mode.
    Foreign(Mode),
    /// ipblock's, in native mode: a bond attaches it to its ports itself.
    NativeBond,
    /// ipblock's, attached when the device had another name.
    Renamed,
}

/// Returns the command that removes a program which was attached by netlink.
///
/// `xdp off` alone means native mode if the driver has it, and does not remove a generic program.
pub(super) fn take_off(interface: &str, mode: Mode) -> String {
    let keyword = match mode {
        Mode::Native => "xdpdrv",
        Mode::Generic => "xdpgeneric",
    };
    format!("ip link set dev {interface} {keyword} off")
}

pub(super) fn above_it(upper: &str, program: u32, why: InTheWay) -> String {
    match why {
        InTheWay::Foreign(_) => format!(
            "`{upper}` above it runs XDP program {program}, which is not ipblock's, and the kernel takes \
             no program below one"
        ),
        InTheWay::NativeBond => format!(
            "`{upper}` above it is filtered in native mode, which judges the packets of its ports"
        ),
        InTheWay::Renamed => {
            format!("`{upper}` above it is filtered, and was attached by another name")
        }
    }
}

pub(super) fn below_hint(interface: &str, upper: &str, program: u32, why: InTheWay) -> String {
    match why {
        InTheWay::Foreign(mode) => format!(
            "`bpftool prog show id {program}` tells whose it is; take it off (`{}`), then \
             `ipblock-ctl attach {interface}`, then put it on `{upper}` again: from below to above",
            take_off(upper, mode)
        ),
        InTheWay::NativeBond => format!(
            "nothing needs to be done; to filter the ports one by one, `ipblock-ctl detach {upper}` first"
        ),
        InTheWay::Renamed => format!(
            "`ipblock-ctl attach {upper}` first, which keeps its filter, then `ipblock-ctl attach \
             {interface}`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use ipblock_policy::{Classified, ErrorKind, Hinted};

    use super::{super::error::DatapathError, *};

    #[test]
    fn a_foreign_program_is_taken_off_in_the_mode_that_it_is_in() {
        let hint = |mode| {
            let error = DatapathError::ForeignProgram {
                interface: "eth0".to_owned(),
                program: 7,
                name: None,
                mode,
            };
            error.hint().unwrap_or_default()
        };
        let generic = hint(Mode::Generic);
        assert!(
            generic.contains("`ip link set dev eth0 xdpgeneric off`"),
            "{generic}"
        );
        let native = hint(Mode::Native);
        assert!(
            native.contains("`ip link set dev eth0 xdpdrv off`"),
            "{native}"
        );
    }

    #[test]
    fn the_device_above_is_named_with_what_to_do() {
        let below = |why| DatapathError::Below {
            interface: "w1".to_owned(),
            upper: "br0".to_owned(),
            program: 7,
            why,
        };
        for (why, said, advice) in [
            (
                InTheWay::Foreign(Mode::Generic),
                "`br0` above it runs XDP program 7, which is not ipblock's",
                "ip link set dev br0 xdpgeneric off",
            ),
            (
                InTheWay::NativeBond,
                "`br0` above it is filtered in native mode",
                "ipblock-ctl detach br0",
            ),
            (
                InTheWay::Renamed,
                "was attached by another name",
                "ipblock-ctl attach br0",
            ),
        ] {
            let error = below(why);
            assert!(error.to_string().starts_with("cannot attach to `w1`: "));
            assert!(error.to_string().contains(said), "{error}");
            assert!(error.hint().unwrap_or_default().contains(advice));
            assert_eq!(error.kind(), ErrorKind::Conflict);
        }
    }
}
