//! ipblock: blocks IP addresses at the network interface.
//!
//! The parts of `ipblockd` and `ipblock-ctl` under one name, for tests and tools. Each is a
//! separate crate; their manifests define which may use which (docs/architecture.md).

pub use {
    ipblock_api as api, ipblock_cli as cli, ipblock_daemon as daemon, ipblock_datapath as datapath,
    ipblock_fault as fault, ipblock_output as output, ipblock_policy as policy,
    ipblock_store as store,
};
