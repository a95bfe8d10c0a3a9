//! A daemon that filters one end of a veth pair, and its operations.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use ipblock_datapath::PinDirectory;
use ipblock_tests::{DEADLINE, Daemon, Privileged, VethOptions, VethPair, wait_for};
use serde_json::Value;

use crate::{memory, report::Memory};

/// Fields are dropped in this order.
pub(crate) struct Scene {
    pub(crate) daemon: Daemon,
    _pair: VethPair,
}

impl Scene {
    pub(crate) fn new(root: Privileged) -> Result<Self> {
        let pair = VethPair::new(root, VethOptions::default())?;
        let daemon = Daemon::in_netns(root, &pair.host.netns)
            .interface(format!("{}=native", pair.host.interface))
            .start()?;
        Ok(Self {
            daemon,
            _pair: pair,
        })
    }

    /// Returns the duration of a command, which returns when its ruleset is in force.
    pub(crate) fn seconds(&self, arguments: &[&str]) -> Result<f64> {
        let started = Instant::now();
        self.daemon.ctl(arguments)?.ok()?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// By what is deployed, and by the kernel's tables.
    pub(crate) fn assert_blocked(&self, address: &str) -> Result<()> {
        let answer = self.daemon.ctl_json(["check", address])?;
        let says = |pointer: &str| answer.pointer(pointer).cloned();
        ensure!(
            says("/0/verdict") == Some("block".into())
                && says("/0/kernel_agrees") == Some(true.into()),
            "{address} is not blocked: {answer}"
        );
        Ok(())
    }

    /// Of both families.
    pub(crate) fn entries(&self) -> Result<u64> {
        let status = self.daemon.ctl_json("status")?;
        let count = |family: &str| {
            let found = status.pointer(&format!("/zones/0/entries/{family}"));
            found.and_then(Value::as_u64).context("no entries")
        };
        Ok(count("ipv4")? + count("ipv6")?)
    }

    /// What is in use once the generation before has gone.
    pub(crate) fn memory(&self, workload: &'static str) -> Result<Memory> {
        let pins = PinDirectory::at(self.daemon.bpffs())?;
        wait_for(DEADLINE, "the generation before to go", || {
            let generations = pins.generation_numbers().ok()?;
            (generations.len() == 1).then_some(())
        })?;
        Ok(Memory {
            workload,
            kernel_mib: memory::of_pinned(pins.root())?,
            rss_mib: memory::peak_of_process(self.daemon.pid().context("the daemon has ended")?)?,
        })
    }
}
