//! Runs other programs, and reports progress.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Prints one line of progress, or several that belong together, to standard error.
#[expect(
    clippy::print_stderr,
    reason = "the one place where xtask talks to its user"
)]
pub(crate) fn say(verb: &str, message: &str) {
    eprintln!("{verb}: {message}");
}

/// The workspace's directory.
pub(crate) fn root() -> PathBuf {
    // Set by cargo at run time: right in a checkout that was moved after xtask was built.
    let manifest_dir = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest_dir
        .parent()
        .map_or_else(|| manifest_dir.clone(), Path::to_path_buf)
}

/// Where cargo puts what it builds: above the profile that xtask was built in.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let own = env::current_exe().context("cannot find the directory of xtask")?;
    let target = own.ancestors().nth(2);
    Ok(target.context("xtask is in no directory")?.to_owned())
}

/// Returns the cargo that runs this xtask, in the workspace's directory.
///
/// Without the variables that cargo has set for xtask itself: build scripts of dependencies read
/// them, and would run again whenever xtask and plain cargo take turns.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(root());
    for (name, _) in env::vars_os() {
        if is_about_a_package(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    command
}

fn is_about_a_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"]
        .iter()
        .any(|prefix| variable.starts_with(prefix))
}

/// Runs `command` to its end with its output shown; an error names the command when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs `command` with its output kept; an error carries what it wrote to standard error.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` failed: {}\n{}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` wrote something else than UTF-8", shown(command)))
}

/// The path of `program` on `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// True for an effective user id of 0.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Returns an error with the line to run instead, unless root runs `cargo xtask VERB`.
pub(crate) fn require_root(verb: &str) -> Result<()> {
    if !is_root() {
        bail!(
            "nothing was run: this loads XDP programs and makes network namespaces, which needs \
             root\n\
             hint: sudo -E env \"PATH=$PATH\" \"HOME=$HOME\" cargo xtask {verb}"
        );
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    [command.get_program()]
        .into_iter()
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cargo_within_cargo_is_not_told_of_xtask() {
        let command = cargo();
        let removed: Vec<_> = command
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .collect();
        // Cargo sets it for tests as well.
        let name = OsStr::new("CARGO_PKG_NAME");
        assert!(removed.iter().any(|(variable, _)| *variable == name));
        assert!(!is_about_a_package("CARGO_TARGET_DIR"));
    }
}
