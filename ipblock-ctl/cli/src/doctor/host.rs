//! The state of the host outside of BPF: kernel, bpffs, capabilities.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ipblock_datapath::{CAPABILITIES, bpffs::mounted, missing_capabilities, mount_command};
use ipblock_output::doctor::Finding;

/// `BPF_F_XDP_HAS_FRAGS` requires Linux 5.18 (include/uapi/linux/bpf.h); the program needs it.
const OLDEST_KERNEL: (u32, u32) = (5, 18);

/// Before, a full LPM trie refuses to replace entries, and a read of its keys may skip some
/// (`kernel/bpf/lpm_trie.c`). ipblock leaves room in each, and never derives the expected content
/// from one.
const SOUND_TRIES: (u32, u32) = (6, 13);

pub(super) fn kernel() -> Vec<Finding> {
    let path = "/proc/sys/kernel/osrelease";
    vec![match fs::read_to_string(path) {
        Ok(release) => judge_kernel(release.trim()),
        Err(error) => Finding::warning(
            "kernel",
            format!("cannot read {path}: {error}"),
            "mount /proc",
        ),
    }]
}

fn judge_kernel(release: &str) -> Finding {
    let (major, minor) = OLDEST_KERNEL;
    match version(release) {
        Some(found) if found < SOUND_TRIES && found >= OLDEST_KERNEL => Finding::ok(
            "kernel",
            format!("{release}; tries before 6.13 have known bugs, which ipblock goes around"),
        ),
        Some(found) if found >= OLDEST_KERNEL => Finding::ok("kernel", release),
        Some(_) => Finding::error(
            "kernel",
            format!("{release} is older than {major}.{minor}"),
            format!(
                "boot Linux {major}.{minor} or newer: XDP programs cannot take fragmented buffers before"
            ),
        ),
        None => Finding::warning(
            "kernel",
            format!("version `{release}` is not understood"),
            format!("see that it is Linux {major}.{minor} or newer"),
        ),
    }
}

/// Returns major and minor version of a release such as `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((major, minor))
}

/// Interpreted programs work, but cost many times as much.
pub(super) fn jit() -> Vec<Finding> {
    // Only root may read it, and a kernel without an interpreter has no such file.
    let setting = fs::read_to_string("/proc/sys/net/core/bpf_jit_enable");
    setting
        .is_ok_and(|setting| setting.trim() == "0")
        .then(|| {
            Finding::warning(
                "kernel",
                "BPF programs are interpreted (net.core.bpf_jit_enable is 0)",
                "sysctl -w net.core.bpf_jit_enable=1, and in /etc/sysctl.d for the next boot",
            )
        })
        .into_iter()
        .collect()
}

pub(super) fn bpffs(bpffs: Option<&Path>) -> Vec<Finding> {
    let Some(bpffs) = bpffs else {
        return vec![Finding::warning(
            "bpffs",
            "not looked at: the daemon does not answer and cannot say where it pins",
            "pass --bpffs DIR, as ipblockd is started with",
        )];
    };
    vec![match mounted() {
        Ok(places) => judge_mounts(&places, bpffs),
        Err(error) => Finding::warning(
            "bpffs",
            format!("cannot read what is mounted: {error}"),
            "mount /proc",
        ),
    }]
}

/// `wanted` is where the daemon has its pins, or will have them.
fn judge_mounts(places: &[PathBuf], wanted: &Path) -> Finding {
    // A directory below the mount is fine, too.
    if let Some(place) = places.iter().find(|place| wanted.starts_with(place)) {
        return Finding::ok("bpffs", format!("mounted at {}", place.display()));
    }
    let mount = mount_command(wanted);
    let wanted = wanted.display();
    match places.first().map(|place| place.display()) {
        Some(place) => Finding::warning(
            "bpffs",
            format!("mounted at {place}, not at {wanted}"),
            format!("{mount}, or start ipblockd with --bpffs {place}"),
        ),
        None => Finding::error("bpffs", format!("not mounted at {wanted}"), mount),
    }
}

pub(super) fn capabilities() -> Vec<Finding> {
    let missing = missing_capabilities().into_iter();
    let missing: Vec<String> = missing.map(|cap| cap.to_string()).collect();
    vec![judge_capabilities(&missing)]
}

fn judge_capabilities(missing: &[String]) -> Finding {
    if missing.is_empty() {
        return Finding::ok(
            "capabilities",
            CAPABILITIES.map(|cap| cap.to_string()).join(", "),
        );
    }
    Finding::warning(
        "capabilities",
        format!("this process lacks {}", missing.join(", ")),
        "run `ipblock-ctl doctor` as root to see all of it; the daemon needs them, this command does not",
    )
}

#[cfg(test)]
mod tests {
    use ipblock_datapath::DEFAULT_BPFFS as BPFFS;
    use ipblock_output::doctor::FindingState;

    use super::*;

    #[test]
    fn kernels_are_judged_by_major_and_minor() {
        let cases = [
            ("6.18.0", FindingState::Ok),
            ("6.1.0-18-amd64", FindingState::Ok),
            ("5.18.0", FindingState::Ok),
            ("5.17.9", FindingState::Error),
            ("4.19.0-27-cloud", FindingState::Error),
            ("unknown", FindingState::Warning),
        ];
        for (release, state) in cases {
            assert_eq!(judge_kernel(release).state, state, "{release}");
        }
    }

    #[test]
    fn bpffs_is_wanted_where_the_daemon_pins() {
        let judge = |mounted: &[&str], wanted: &str| {
            let places: Vec<PathBuf> = mounted.iter().map(PathBuf::from).collect();
            judge_mounts(&places, Path::new(wanted))
        };
        assert_eq!(judge(&[BPFFS], BPFFS).state, FindingState::Ok);
        let finding = judge(&["/run/bpf"], BPFFS);
        assert_eq!(finding.state, FindingState::Warning);
        assert!(finding.advice.expect("advice").contains("--bpffs /run/bpf"));
        assert_eq!(judge(&["/run/bpf"], "/run/bpf").state, FindingState::Ok);
        assert_eq!(
            judge(&[BPFFS, "/run/bpf"], "/run/bpf/mine").state,
            FindingState::Ok
        );
        let finding = judge(&[], BPFFS);
        assert_eq!(finding.state, FindingState::Error);
        assert_eq!(
            finding.advice.as_deref(),
            Some("mount -t bpf -o mode=700 bpf /sys/fs/bpf")
        );
    }

    #[test]
    fn missing_capabilities_are_named() {
        assert_eq!(judge_capabilities(&[]).state, FindingState::Ok);
        let finding = judge_capabilities(&["CAP_BPF".to_owned()]);
        assert_eq!(finding.state, FindingState::Warning);
        assert_eq!(finding.detail, "this process lacks CAP_BPF");
    }
}
