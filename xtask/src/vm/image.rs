//! The guest's disk: Debian 12 with its stock kernel, created once and kept below `target/vm`.
//!
//! Runs do not change it: a machine writes to a snapshot, which is discarded.

use std::{
    env::{self, consts::ARCH},
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    command::{run, say},
    setup,
};

/// Programs that the host needs to create and start a guest.
const HOST_PACKAGES: [&str; 4] = [
    "qemu-system-x86",
    "debootstrap",
    "debian-archive-keyring",
    "e2fsprogs",
];

/// Packages of the guest beyond Debian's smallest system: a kernel, systemd for the package, and
/// the programs for the tests.
const GUEST_PACKAGES: [&str; 15] = [
    "linux-image-amd64",
    "initramfs-tools",
    "zstd",
    "kmod",
    "udev",
    "systemd-sysv",
    "dbus",
    "procps",
    "iproute2",
    "iputils-ping",
    "nftables",
    "ipset",
    "tor-geoipdb",
    "bpftool",
    "faketime",
];

const RELEASE: &str = "bookworm";
/// glibc of [`RELEASE`], the maximum for programs built on the host.
pub(super) const GLIBC: (u32, u32) = (2, 36);
const MIRROR: &str = "http://deb.debian.org/debian";
/// Names another one.
const MIRROR_VARIABLE: &str = "IPBLOCK_VM_MIRROR";
const SIZE: &str = "2G";

/// Files of the guest that are ours: place, content, mode.
const FILES: [(&str, &str, u32); 4] = [
    (
        "usr/local/sbin/ipblock-init",
        include_str!("../../guest/init"),
        0o755,
    ),
    (
        "usr/local/sbin/ipblock-job",
        include_str!("../../guest/job"),
        0o755,
    ),
    (
        "etc/systemd/system/ipblock-job.service",
        include_str!("../../guest/ipblock-job.service"),
        0o644,
    ),
    ("etc/hostname", "guest\n", 0o644),
];

/// Links of systemd: what is started, and what has nothing to do here (to /dev/null).
const LINKS: [(&str, &str); 4] = [
    (
        "etc/systemd/system/multi-user.target.wants/ipblock-job.service",
        "/etc/systemd/system/ipblock-job.service",
    ),
    ("etc/systemd/system/serial-getty@ttyS0.service", "/dev/null"),
    ("etc/systemd/system/getty@tty1.service", "/dev/null"),
    ("etc/systemd/system/apt-daily.timer", "/dev/null"),
];

/// What a machine is started with.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) disk: PathBuf,
    pub(super) kernel: PathBuf,
    pub(super) ram_disk: PathBuf,
}

/// Returns the image in `directory`; creates it if it is missing or differs from this program's.
pub(super) fn prepare(directory: &Path) -> Result<Image> {
    ensure!(
        ARCH == "x86_64",
        "the guest is an x86-64 machine, and what is built here is for {ARCH}"
    );
    setup::install(&HOST_PACKAGES.map(str::to_owned))?;
    let image = Image {
        disk: directory.join("root.img"),
        kernel: directory.join("vmlinuz"),
        ram_disk: directory.join("initrd.img"),
    };
    let recipe_file = directory.join("recipe");
    let recipe = recipe();
    if fs::read_to_string(&recipe_file).is_ok_and(|made| made == recipe) {
        return Ok(image);
    }
    say("vm", "making a disk with Debian 12 (some minutes, once)");
    let tree = directory.join("tree");
    remove(&tree)?;
    if recipe_file.exists() {
        fs::remove_file(&recipe_file)?;
    }
    bootstrap(&tree)?;
    for (place, content, mode) in FILES {
        let file = tree.join(place);
        fs::write(&file, content).with_context(|| file.display().to_string())?;
        fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
    }
    for (place, target) in LINKS {
        let link = tree.join(place);
        if let Some(parent) = link.parent() {
            fs::create_dir_all(parent)?;
        }
        symlink(target, &link).with_context(|| link.display().to_string())?;
    }
    // Debian keeps these links up to date.
    fs::copy(tree.join("vmlinuz"), &image.kernel).context("the guest's kernel")?;
    fs::copy(tree.join("initrd.img"), &image.ram_disk).context("the guest's initial RAM disk")?;
    file_system(&tree, "root", SIZE, &image.disk)?;
    remove(&tree)?;
    fs::write(&recipe_file, recipe)?;
    Ok(image)
}

/// Makes a file system of this label and size that holds what is in `tree`.
pub(super) fn file_system(tree: &Path, label: &str, size: &str, file: &Path) -> Result<()> {
    if file.exists() {
        fs::remove_file(file)?;
    }
    run(Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-O", "^has_journal", "-L", label, "-d"])
        .arg(tree)
        .arg(file)
        .arg(size))
}

fn bootstrap(tree: &Path) -> Result<()> {
    let mirror = env::var(MIRROR_VARIABLE).unwrap_or_else(|_| MIRROR.to_owned());
    run(Command::new("debootstrap")
        .args(["--variant=minbase", "--merged-usr"])
        .arg(format!("--include={}", GUEST_PACKAGES.join(",")))
        .arg(RELEASE)
        .arg(tree)
        .arg(&mirror)
        // Two lines a package; the last ones of its log say more when it fails.
        .stdout(fs::File::create(tree.with_extension("log"))?))
    .with_context(|| {
        format!(
            "cannot make a Debian system from {mirror}; see {}\nhint: {MIRROR_VARIABLE}=URL names another mirror",
            tree.with_extension("log").display()
        )
    })?;
    remove(&tree.join("var/cache/apt/archives"))
}

/// Everything that the image depends on.
fn recipe() -> String {
    let mut recipe = format!("{RELEASE} {SIZE} {}\n", GUEST_PACKAGES.join(" "));
    for (place, content, _) in FILES {
        recipe.push_str(place);
        recipe.push('\n');
        recipe.push_str(content);
    }
    for (place, target) in LINKS {
        recipe.extend([place, " ", target, "\n"]);
    }
    recipe
}

fn remove(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    Ok(())
}
