//! The location of ipblockd's pins, for commands that work without it.

use std::path::{Path, PathBuf};

use clap::Args;
use ipblock_datapath::{DEFAULT_BPFFS, PanicOff, PinDirectory, bpffs::mounted};

#[derive(Debug, Args)]
pub(super) struct BpffsOption {
    /// The bpffs under which ipblockd pins [default: wherever one is mounted]
    #[arg(
        long,
        value_name = "DIR",
        env = "IPBLOCK_BPFFS",
        hide_env_values = true
    )]
    bpffs: Option<PathBuf>,
}

impl BpffsOption {
    /// Returns every place where a daemon may have pins.
    pub(super) fn everywhere(&self) -> Vec<PathBuf> {
        if let Some(named) = &self.bpffs {
            return vec![named.clone()];
        }
        let places = mounted().unwrap_or_default();
        if places.is_empty() {
            vec![DEFAULT_BPFFS.into()]
        } else {
            places
        }
    }

    /// Returns the place from the option.
    pub(super) fn named(&self) -> Option<PathBuf> {
        self.bpffs.clone()
    }

    /// Returns the place where a daemon has its pins, or will have them.
    pub(super) fn place(&self) -> PathBuf {
        self.named()
            .or_else(|| self.everywhere().into_iter().find(|place| is_pinned(place)))
            .unwrap_or_else(|| DEFAULT_BPFFS.into())
    }
}

fn is_pinned(bpffs: &Path) -> bool {
    let filters = PinDirectory::at(bpffs).and_then(|pins| PanicOff::all(&pins));
    filters.is_ok_and(|filters| !filters.is_empty())
}
