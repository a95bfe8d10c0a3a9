//! `ipblock-ctl`: the command line for people and scripts.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ipblock_cli::main())
}
