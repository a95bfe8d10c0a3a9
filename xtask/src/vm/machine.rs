//! A virtual machine that runs one job: a directory with a script `run`, and returns its exit
//! status.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::image::{self, Image};
use crate::command::say;

/// Names QEMU's accelerator, `kvm` or `tcg`, where the choice below is wrong.
const ACCELERATOR: &str = "IPBLOCK_VM_ACCEL";
const MEMORY: &str = "4G";
/// The job's disk; it is sparse.
const JOB_SIZE: &str = "1G";

/// What runs as the guest's first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Init {
    /// A script that runs the job and nothing else.
    Job,
    /// systemd, which runs the job once the machine is up.
    Systemd,
}

/// How the guest's processors are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accelerator {
    Kvm,
    /// Every instruction is translated: some fifty times slower.
    Tcg,
}

impl Accelerator {
    /// KVM if the processor supports it, unless the variable overrides it. The existence of
    /// /dev/kvm is not enough: in some virtual machines guests hang.
    pub(super) fn of_this_host() -> Result<Self> {
        match env::var(ACCELERATOR).as_deref() {
            Ok("kvm") => Ok(Self::Kvm),
            Ok("tcg") => Ok(Self::Tcg),
            Ok(other) => bail!("{ACCELERATOR}={other}: it is kvm or tcg"),
            Err(_) => {
                let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
                let usable = has_virtualization(&processor) && Path::new("/dev/kvm").exists();
                Ok(if usable { Self::Kvm } else { Self::Tcg })
            }
        }
    }

    fn argument(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg,thread=multi,tb-size=1024",
        }
    }
}

fn has_virtualization(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| {
            line.split_whitespace()
                .any(|flag| flag == "vmx" || flag == "svm")
        })
}

/// Runs the job in `directory` and returns its exit status; its output is this program's.
pub(super) fn run(
    image: &Image,
    directory: &Path,
    init: Init,
    accelerator: Accelerator,
    limit: Duration,
) -> Result<u8> {
    let job = directory.with_extension("img");
    image::file_system(directory, "job", JOB_SIZE, &job)?;
    let status = directory.with_extension("status");
    if status.exists() {
        fs::remove_file(&status)?;
    }
    say("vm", &format!("starting a machine (QEMU, {accelerator:?})"));
    let mut machine = Machine::start(image, &job, &status, init, accelerator)?;
    machine.wait(limit)?;
    let told = fs::read_to_string(&status).unwrap_or_default();
    told.trim()
        .parse()
        .with_context(|| format!("the machine ended without an exit status ({told:?})"))
}

struct Machine(Child);

impl Machine {
    fn start(
        image: &Image,
        job: &Path,
        status: &Path,
        init: Init,
        accelerator: Accelerator,
    ) -> Result<Self> {
        let (init, at_restart) = match init {
            Init::Job => ("init=/usr/local/sbin/ipblock-init", "reboot=shutdown"),
            Init::Systemd => ("systemd.show_status=false", "reboot=reset"),
        };
        let child = Command::new("qemu-system-x86_64")
            .args(["-accel", accelerator.argument(), "-cpu", "max"])
            .args(["-smp", "2", "-m", MEMORY])
            .args(["-display", "none", "-nic", "none"])
            .args(["-action", at_restart])
            .args(["-chardev", "stdio,id=console,signal=off"])
            .args(["-serial", "chardev:console"])
            .arg("-serial")
            .arg(option("file:", status, ""))
            .arg("-kernel")
            .arg(&image.kernel)
            .arg("-initrd")
            .arg(&image.ram_disk)
            .arg("-drive")
            .arg(option("file=", &image.disk, ",format=raw,if=virtio,snapshot=on"))
            .arg("-drive")
            .arg(option("file=", job, ",format=raw,if=virtio,readonly=on"))
            .arg("-append")
            // Mitigations and cleared pages cost a translated machine much and the tests nothing.
            .arg(format!(
                "console=ttyS0 quiet panic=-1 root=/dev/vda rw mitigations=off init_on_alloc=0 {init}"
            ))
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start qemu-system-x86_64")?;
        Ok(Self(child))
    }

    fn wait(&mut self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if let Some(status) = self.0.try_wait()? {
                if !status.success() {
                    bail!("QEMU ended with {status}");
                }
                return Ok(());
            }
            sleep(Duration::from_millis(200));
        }
        bail!("the machine did not end within {limit:?}")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // One that has ended needs neither.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An option of QEMU with a path in it, in which it wants commas doubled.
fn option(before: &str, path: &Path, after: &str) -> String {
    let path = PathBuf::from(path).display().to_string();
    format!("{before}{}{after}", path.replace(',', ",,"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kvm_is_used_where_the_processor_says_that_it_can() {
        assert!(has_virtualization(
            "processor : 0\nflags\t\t: fpu vmx sse\n"
        ));
        assert!(has_virtualization("flags : svm\n"));
        assert!(!has_virtualization(
            "flags\t\t: fpu sse\nvmx flags : vnmi\n"
        ));
        assert!(!has_virtualization(""));
    }

    #[test]
    fn commas_in_paths_are_doubled() {
        let path = Path::new("/a,b/root.img");
        assert_eq!(option("file=", path, ",x"), "file=/a,,b/root.img,x");
    }
}
