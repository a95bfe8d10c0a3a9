//! `ipblock-ctl`: how people and scripts use ipblock.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ipblock_cli::main())
}
