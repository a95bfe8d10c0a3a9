//! Where ipblockd pins, for verbs that look there without it.

use std::path::PathBuf;

use clap::Args;

use crate::datapath::DEFAULT_BPFFS;

#[derive(Debug, Args)]
pub(super) struct BpffsOption {
    /// The bpffs under which ipblockd pins
    #[arg(
        long,
        value_name = "DIR",
        env = "IPBLOCK_BPFFS",
        default_value = DEFAULT_BPFFS,
        hide_env_values = true
    )]
    pub(super) bpffs: PathBuf,
}
