//! The paths of all pins, as typed values.
//!
//! ```text
//! BPFFS/ipblock/generations/NUMBER/{program,layout,generation,IPV4,IPV6,FILTER_*,HOSTS_*,NET_*,CLASS*,TOTALS}
//! BPFFS/ipblock/links/INTERFACE
//! BPFFS/ipblock/moved/INTERFACE:ZONE:NUMBER
//! BPFFS/ipblock/holds/INTERFACE
//! BPFFS/ipblock/shared/ABI_VERSION/{BANS_*,BAN_*,ALERT_*,HITS,HIT_BUDGET,PANIC_OFF}
//! ```

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use ipblock_common::ABI_VERSION;
use ipblock_fault::{Step, reach};
use nix::{
    errno::Errno,
    sys::{statfs, statfs::BPF_FS_MAGIC},
};

use super::{error::DatapathError, trust};

/// Pin of the map with the generation's metadata. It is written last: a generation without it was
/// never finished.
pub(super) const META: &str = "generation";

/// The directory of one daemon's pins, on a bpffs.
#[derive(Clone, Debug)]
pub struct PinDirectory {
    root: PathBuf,
}

impl PinDirectory {
    /// Creates the directories under `bpffs`, which must be a mounted bpffs.
    pub fn create(bpffs: &Path) -> Result<Self, DatapathError> {
        let pins = Self::examine(bpffs)?;
        for directory in [pins.generations(), pins.links(), pins.shared()] {
            make(&directory)?;
        }
        Ok(pins)
    }

    /// Checks the directories without a change: they exist or can be created, can be used, and no
    /// other user can change them.
    pub fn examine(bpffs: &Path) -> Result<Self, DatapathError> {
        let pins = Self::at(bpffs)?;
        trust::require_own_mount(bpffs)?;
        let own = [
            pins.root.clone(),
            pins.generations(),
            pins.links(),
            pins.moved(),
            pins.holds(),
            pins.root.join("shared"),
            pins.shared(),
        ];
        for directory in &own {
            trust::require_own_directory(directory, bpffs)?;
            if directory.exists() {
                trust::require_writable(directory)?;
            }
        }
        if !pins.root.exists() {
            trust::require_writable(bpffs)?;
        }
        Ok(pins)
    }

    /// Returns the directories without a check, and creates nothing.
    pub fn at(bpffs: &Path) -> Result<Self, DatapathError> {
        let filesystem = statfs::statfs(bpffs).map_err(|errno| match errno {
            Errno::EACCES => DatapathError::pin(bpffs, errno.into()),
            errno => DatapathError::Bpffs {
                path: bpffs.to_owned(),
                problem: errno.desc().to_owned(),
            },
        })?;
        if filesystem.filesystem_type() != BPF_FS_MAGIC {
            return Err(DatapathError::Bpffs {
                path: bpffs.to_owned(),
                problem: "it is not a bpffs mount".to_owned(),
            });
        }
        Ok(Self {
            root: bpffs.join("ipblock"),
        })
    }

    fn generations(&self) -> PathBuf {
        self.root.join("generations")
    }

    fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    /// The directory of the maps that all generations of this ABI share.
    pub(super) fn shared(&self) -> PathBuf {
        self.root.join("shared").join(ABI_VERSION.to_string())
    }

    /// The directories of shared maps, of this ABI and of others.
    pub(super) fn all_shared(&self) -> Result<Vec<PathBuf>, DatapathError> {
        let directory = self.root.join("shared");
        let names = file_names(&directory)?.into_iter();
        Ok(names.map(|name| directory.join(name)).collect())
    }

    /// Removes the shared maps of other ABI versions. Programs that still use them keep them.
    pub fn remove_other_shared(&self) -> Result<(), DatapathError> {
        // ABI 2 had its ban tables here.
        remove_all(self.root.join("bans"))?;
        let directory = self.root.join("shared");
        for name in file_names(&directory)? {
            if name != ABI_VERSION.to_string() {
                remove_all(directory.join(name))?;
            }
        }
        Ok(())
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of one generation's pins.
    #[must_use]
    pub fn generation(&self, number: u64) -> PathBuf {
        self.generations().join(number.to_string())
    }

    /// The pin of the link on one interface.
    #[must_use]
    pub fn link(&self, interface: &str) -> PathBuf {
        self.links().join(encode(interface))
    }

    fn holds(&self) -> PathBuf {
        self.root.join("holds")
    }

    /// The pin of the link that holds an interface (`datapath::hold`).
    pub(super) fn hold(&self, interface: &str) -> PathBuf {
        self.holds().join(encode(interface))
    }

    /// Returns the path for the pin of a hold, and removes a pin that exists there.
    pub(super) fn make_hold(&self, interface: &str) -> Result<PathBuf, DatapathError> {
        let directory = self.holds();
        make(&directory)?;
        let path = self.hold(interface);
        removed(fs::remove_file(&path), path.clone())?;
        Ok(path)
    }

    /// Names of the interfaces with a pinned hold, sorted.
    pub fn held_interfaces(&self) -> Result<Vec<String>, DatapathError> {
        interfaces_in(&self.holds())
    }

    fn moved(&self) -> PathBuf {
        self.root.join("moved")
    }

    /// The pin of a link whose device no longer has, in this namespace, the name of the attachment.
    /// An interface name cannot contain a colon (net/core/dev.c, `dev_valid_name`).
    pub(super) fn moved_link(&self, interface: &str, zone: &str, number: u32) -> PathBuf {
        let name = encode(&format!("{interface}:{zone}:{number}"));
        self.moved().join(name)
    }

    /// The pins of moved links (path, interface and zone), sorted.
    pub(super) fn moved_links(&self) -> Result<Vec<(PathBuf, String, String)>, DatapathError> {
        let mut names = file_names(&self.moved())?;
        names.sort_unstable();
        let links = names.into_iter().filter_map(|name| {
            let decoded = decode(&name);
            let mut parts = decoded.split(':').map(ToOwned::to_owned);
            let (interface, zone) = (parts.next()?, parts.next()?);
            Some((self.moved().join(&name), interface, zone))
        });
        Ok(links.collect())
    }

    /// Numbers of the pinned generations, complete or not, sorted.
    pub fn generation_numbers(&self) -> Result<Vec<u64>, DatapathError> {
        let mut numbers: Vec<u64> = file_names(&self.generations())?
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Names of the interfaces with a pinned link, sorted.
    pub fn linked_interfaces(&self) -> Result<Vec<String>, DatapathError> {
        interfaces_in(&self.links())
    }

    /// Removes one generation's pins. The kernel frees it when no link runs its program any more.
    pub fn remove_generation(&self, number: u64) -> Result<(), DatapathError> {
        let directory = self.generation(number);
        // First the proof that it is complete: a later start removes the rest.
        let meta = directory.join(META);
        removed(fs::remove_file(&meta), meta)?;
        reach(Step::GenerationHalfUnpinned);
        remove_all(directory)?;
        reach(Step::GenerationUnpinned);
        Ok(())
    }
}

fn make(directory: &Path) -> Result<(), DatapathError> {
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(directory);
    made.map_err(|source| DatapathError::pin(directory, source))
}

/// Names of the interfaces with a pin in a directory, sorted.
fn interfaces_in(directory: &Path) -> Result<Vec<String>, DatapathError> {
    let names = file_names(directory)?;
    let mut names: Vec<String> = names.iter().map(|name| decode(name)).collect();
    names.sort_unstable();
    Ok(names)
}

fn remove_all(path: PathBuf) -> Result<(), DatapathError> {
    removed(fs::remove_dir_all(&path), path)
}

/// Already removed is a success.
fn removed(outcome: io::Result<()>, path: PathBuf) -> Result<(), DatapathError> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DatapathError::pin(path, error))
        }
        _ => Ok(()),
    }
}

fn file_names(directory: &Path) -> Result<Vec<String>, DatapathError> {
    let failed = |source| DatapathError::pin(directory.to_owned(), source);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    entries
        .map(|entry| {
            Ok(entry
                .map_err(failed)?
                .file_name()
                .to_string_lossy()
                .into_owned())
        })
        .collect()
}

/// bpffs does not allow dots in names (kernel/bpf/inode.c, `bpf_lookup`), and `eth0.100` has one.
fn encode(interface: &str) -> String {
    interface.replace('%', "%25").replace('.', "%2E")
}

fn decode(file_name: &str) -> String {
    file_name.replace("%2E", ".").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use ipblock_policy::Hinted;

    use super::*;

    #[test]
    fn moved_links_tell_their_interface_and_their_zone() {
        let directory = tempfile::tempdir().unwrap();
        let pins = PinDirectory {
            root: directory.path().to_owned(),
        };
        assert!(pins.moved_links().unwrap().is_empty());
        fs::create_dir_all(pins.moved()).unwrap();
        let pinned = pins.moved_link("eth0.5", "dmz", 7);
        let name = pinned.file_name().unwrap().to_str().unwrap();
        assert!(!name.contains('.'), "{name}");
        fs::write(&pinned, "").unwrap();
        let found = pins.moved_links().unwrap();
        assert_eq!(found, [(pinned, "eth0.5".to_owned(), "dmz".to_owned())]);
    }

    #[test]
    fn interface_names_survive_the_file_name() {
        for name in ["eth0", "eth0.100", "a%2Eb", "%", "%25.%2E"] {
            assert!(!encode(name).contains('.'));
            assert_eq!(decode(&encode(name)), name);
        }
    }

    #[test]
    fn a_directory_on_another_file_system_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let error = PinDirectory::create(directory.path()).unwrap_err();
        assert!(error.to_string().contains("not a bpffs mount"), "{error}");
        assert!(
            error
                .hint()
                .unwrap()
                .contains("mount -t bpf -o mode=700 bpf ")
        );
    }
}
