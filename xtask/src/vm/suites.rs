//! `cargo xtask test --vm`: test suites on another kernel than the host's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    image,
    machine::{self, Accelerator, Init},
    workshop::Workshop,
};
use crate::{
    command::{cargo, output_of, require_root, root, run as run_command, say, target_dir},
    dist::{self, GUEST},
    setup,
};

/// Integration tests of the package `ipblock-tests` that are run.
const SUITES: [&str; 2] = ["progrun", "e2e"];

/// Tests that cannot pass in the guest, each with a reason outside of ipblock.
const NOT_IN_THE_GUEST: [(&str, &str); 0] = [];

/// Tests that are too slow on a translated machine, each with the reason.
const TOO_LONG_TRANSLATED: [(&str, &str); 2] = [
    (
        "deploys::many_deploys_under_traffic_misjudge_no_packet",
        "hundreds of loads of the program, of seconds each",
    ),
    (
        "faults::crowd::a_hundred_deploys_at_once_are_carried_out_one_by_one",
        "the last of them waits longer than the quarter of an hour that ipblock-ctl gives a daemon",
    ),
];

/// The parts of the workspace that the suites read.
const READ: [&str; 4] = ["Cargo.toml", "docs", "packaging", "tests"];

/// Builds the suites on the host and runs them in a guest.
pub(crate) fn run(filter: &[String]) -> Result<()> {
    require_root("test --vm")?;
    setup::run()?;
    let accelerator = Accelerator::of_this_host()?;
    // A translated machine is about fifty times slower, and deadlines should only detect hangs.
    let (patience, limit) = match accelerator {
        Accelerator::Kvm => ("1", Duration::from_hours(1)),
        Accelerator::Tcg => ("20", Duration::from_hours(6)),
    };
    let workshop = Workshop::open()?;
    let job = workshop.job()?;
    let bin = job.join("bin");
    fs::create_dir_all(&bin)?;
    build(&bin)?;

    let workspace = job.join("workspace");
    fs::create_dir_all(&workspace)?;
    for part in READ {
        let mut copy = Command::new("cp");
        run_command(copy.arg("-r").arg(root().join(part)).arg(&workspace))?;
    }
    let mut arguments = filter.to_vec();
    for (test, why) in left_out(accelerator) {
        say("vm", &format!("NOT RUN {test}: {why}"));
        arguments.extend(["--skip".to_owned(), test.to_owned()]);
    }
    let lines = |lines: &[String]| {
        lines
            .iter()
            .fold(String::new(), |all, line| all + line + "\n")
    };
    fs::write(job.join("run"), include_str!("../../guest/suites"))?;
    fs::write(job.join("arguments"), lines(&arguments))?;
    fs::write(job.join("suites"), lines(&SUITES.map(str::to_owned)))?;
    fs::write(job.join("patience"), patience)?;
    fs::write(job.join("workspace-path"), root().display().to_string())?;

    let image = image::prepare(workshop.path())?;
    let status = machine::run(&image, &job, Init::Job, accelerator, limit)?;
    ensure!(status == 0, "tests failed in the virtual machine");
    Ok(())
}

/// Tests that are not run, each with the reason.
fn left_out(accelerator: Accelerator) -> Vec<(&'static str, &'static str)> {
    let mut tests = NOT_IN_THE_GUEST.to_vec();
    if accelerator == Accelerator::Tcg {
        tests.extend(TOO_LONG_TRANSLATED);
    }
    tests
}

/// Puts programs and suites into `bin`.
fn build(bin: &Path) -> Result<()> {
    say("vm", "building the suites");
    let mut programs = cargo();
    programs
        .args(["build", "--profile", GUEST, "--locked"])
        .args(["--package", "ipblock-ctl", "--bins"]);
    run_command(&mut programs)?;
    let mut tests = cargo();
    tests
        .args(["test", "--no-run", "--profile", GUEST, "--locked"])
        .args(["--package", "ipblock-tests"])
        .arg("--message-format=json-render-diagnostics");
    for suite in SUITES {
        tests.args(["--test", suite]);
    }
    let messages = output_of(&mut tests)?;
    let mut programs = Vec::new();
    for suite in SUITES {
        let built = executable(&messages, suite)?;
        programs.push((built, bin.join(suite)));
    }
    let directory = target_dir()?.join(GUEST);
    for program in ["ipblockd", "ipblock-ctl"] {
        programs.push((directory.join(program), bin.join(program)));
    }
    for (built, place) in &programs {
        // Line numbers are nine tenths of the files.
        run_command(
            Command::new("strip")
                .args(["--strip-debug", "-o"])
                .arg(place)
                .arg(built),
        )?;
    }
    let places: Vec<PathBuf> = programs.into_iter().map(|(_, place)| place).collect();
    dist::ensure_glibc(&places, image::GLIBC)
}

/// Returns the path of an integration test from cargo's output.
fn executable(messages: &str, suite: &str) -> Result<PathBuf> {
    let messages = serde_json::Deserializer::from_str(messages).into_iter::<Value>();
    messages
        .filter_map(Result::ok)
        .filter(|message| message.pointer("/target/name") == Some(&Value::from(suite)))
        .find_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
        .with_context(|| format!("cargo built no test {suite}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_is_found_by_its_targets_name() -> Result<()> {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"a"},"executable":null}
            {"reason":"compiler-artifact","target":{"name":"e2e"},"executable":"/t/e2e-1"}
            {"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "e2e")?, PathBuf::from("/t/e2e-1"));
        assert!(executable(messages, "a").is_err());
        Ok(())
    }

    #[test]
    fn what_is_not_run_in_the_guest_is_a_test_that_exists() -> Result<()> {
        for (test, why) in left_out(Accelerator::Tcg) {
            let (module, name) = test.rsplit_once("::").context("a test in no module")?;
            let module = module.replace("::", "/");
            let source = SUITES
                .map(|suite| root().join(format!("tests/tests/{suite}/{module}.rs")))
                .into_iter()
                .find_map(|file| fs::read_to_string(file).ok());
            let found = source.is_some_and(|text| text.contains(&format!("fn {name}(")));
            assert!(found && !why.is_empty(), "{test}");
        }
        Ok(())
    }
}
