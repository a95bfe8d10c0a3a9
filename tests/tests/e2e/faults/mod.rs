//! What breaks, broken on purpose while packets flow.
//!
//! The invariant of every test: each packet is judged by the old ruleset or by the new one, what was
//! acknowledged is there afterwards, a restart converges, and no pin is left over. [`stage::Stage`]
//! proves it; [`ledger`] writes down what was injected, from which `cargo xtask reliability` makes
//! docs/reliability.md. To add a fault: a test that takes a `Stage`, breaks something, calls
//! `converged` and `finish`, and a line in the ledger.

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
