//! `cargo xtask bench`: the cost of ipblock, compared with others.
//!
//! The example `bench` of the tests package does the measurement; this builds it in the release
//! profile, together with the daemon.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    command::{cargo, require_root, root, run as run_command, say, target_dir},
    setup::{self, runtime::Purpose},
};

/// What to measure and where the figures go.
#[derive(Args)]
pub(crate) struct Options {
    /// Fewer rounds; nothing is written unless --write says where.
    #[arg(long)]
    quick: bool,
    /// The figures as JSON on standard output, and nothing else there.
    #[arg(long)]
    json: bool,
    /// One part alone; nothing is written.
    #[arg(long, value_name = "PART", value_parser = ["cases", "path", "load", "ban"])]
    only: Option<String>,
    /// Where the table and the plot are written, instead of docs.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "only")]
    write: Option<PathBuf>,
}

/// Sets up, builds, measures; writes the figures of a complete and thorough run.
pub(crate) fn run(options: &Options) -> Result<()> {
    require_root("bench")?;
    setup::run()?;
    setup::runtime::prepare(Purpose::Bench)?;

    say("bench", "building in the release profile");
    // Only figures on standard output.
    let build = |arguments: &[&str]| {
        let mut build = cargo();
        build.args(["build", "--release", "--locked", "--package"]);
        run_command(build.args(arguments).stdout(Stdio::null()))
    };
    build(&["ipblock-ctl", "--bins"])?;
    build(&["ipblock-tests", "--example", "bench"])?;

    let bin_dir = target_dir()?.join("release");
    let mut bench = Command::new(bin_dir.join("examples/bench"));
    bench.env("IPBLOCK_BIN_DIR", &bin_dir);
    bench.args(options.arguments(&root().join("docs")));
    // As a child: it ends by itself on Ctrl-C, and xtask has nothing to clean up.
    let status = bench
        .status()
        .with_context(|| format!("cannot start {}", bench.get_program().display()))?;
    if !status.success() {
        bail!("the benchmark failed: {status}");
    }
    Ok(())
}

impl Options {
    /// Returns the arguments of the benchmark.
    fn arguments(&self, docs: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        if self.json {
            arguments.push("--json".into());
        }
        if self.quick {
            arguments.push("--quick".into());
        }
        if let Some(part) = &self.only {
            arguments.extend(["--only".into(), part.into()]);
        }
        let whole = !self.quick && self.only.is_none();
        if let Some(directory) = self.write.as_deref().or(whole.then_some(docs)) {
            arguments.extend(["--write".into(), directory.into()]);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn arguments(line: &str) -> Vec<OsString> {
        let command = Options::augment_args(clap::Command::new("bench"));
        let words = ["bench"].into_iter().chain(line.split_whitespace());
        let matches = command.try_get_matches_from(words).unwrap();
        let options = Options::from_arg_matches(&matches).unwrap();
        options.arguments(Path::new("docs"))
    }

    #[test]
    fn the_docs_are_written_by_a_whole_and_thorough_run_alone() {
        assert_eq!(arguments(""), ["--write", "docs"]);
        assert_eq!(arguments("--json"), ["--json", "--write", "docs"]);
        assert_eq!(arguments("--quick"), ["--quick"]);
        assert_eq!(arguments("--only ban"), ["--only", "ban"]);
    }

    #[test]
    fn quick_figures_are_written_where_the_user_says() {
        let expected = ["--quick", "--write", "elsewhere"];
        assert_eq!(arguments("--quick --write elsewhere"), expected);
    }
}
