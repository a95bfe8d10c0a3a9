//! Passes records of the XDP program to the daemon's log, if that is enabled.

use std::collections::BTreeMap;

use ipblock_datapath::kernel_log::{Level, Reader};
use tracing::warn;

use super::state::Service;

/// One reader per program in force.
#[derive(Default)]
pub(super) struct KernelLog {
    readers: BTreeMap<u32, Reader>,
}

impl KernelLog {
    /// Passes on the records since the last call, of the programs in force.
    pub(super) fn flush(&mut self, service: &Service) {
        if service.settings.bpf_log == Level::Off {
            return;
        }
        let programs: Vec<u32> = {
            let state = service.read();
            let zones = state.generations.zones().values();
            zones.map(|zone| zone.generation.program_id()).collect()
        };
        self.readers.retain(|program, reader| {
            reader.flush();
            programs.contains(program)
        });
        for program in programs {
            if self.readers.contains_key(&program) {
                continue;
            }
            match Reader::open(program) {
                Ok(reader) => drop(self.readers.insert(program, reader)),
                Err(error) => warn!(program, %error, "its diagnostics cannot be read"),
            }
        }
    }
}
