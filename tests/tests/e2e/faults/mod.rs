//! Faults that are injected while packets flow.
//!
//! The invariant of every test: each packet is judged by the old or the new ruleset, acknowledged
//! changes persist, a restart converges, and no pin is left over. [`stage::Stage`] proves it.
//! [`ledger`] records the injected faults, from which `cargo xtask reliability` generates
//! docs/reliability.md. To add a fault, write a test that takes a `Stage`, injects the fault and
//! calls `converged` and `finish`, and add a line to the ledger.

mod below;
mod clock;
mod crowd;
mod disk;
mod drift;
mod interfaces;
mod kills;
mod ledger;
mod memory;
mod operations;
mod pins;
mod schedules;
mod stage;
mod versions;
