//! Endless input is rejected at a limit, before it uses up the machine's memory.

use std::{
    fs::File,
    process::{Command, Output, Stdio},
};

/// Address space of the command in KiB: much less than an endless input takes in a second.
const MEMORY: &str = "1500000";

/// Returns the output of a command while `yes` writes to it.
fn fed_without_end(arguments: &[&str]) -> Output {
    let mut yes = Command::new("yes")
        .arg("# x")
        .stdout(Stdio::piped())
        .spawn()
        .expect("yes");
    let fed = Command::new("sh")
        .args(["-c", "ulimit -v $0 && exec \"$@\"", MEMORY])
        .arg(env!("CARGO_BIN_EXE_ipblock-ctl"))
        .args(arguments)
        .env("IPBLOCK_SSH_PEER", "none")
        .env("IPBLOCK_SOCKET", "/nonexistent/socket")
        .stdin(yes.stdout.take().expect("its output"))
        .output()
        .expect("the command");
    // It ends with its reader.
    yes.wait().expect("yes");
    fed
}

#[test]
fn an_endless_ruleset_is_refused_at_its_limit() {
    for arguments in [["apply", "-"], ["lint", "-"]] {
        let output = fed_without_end(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("error: cannot read -: it is larger than 64 MiB\nhint: "),
            "{said}"
        );
    }
}

#[test]
fn a_file_beyond_the_limit_is_refused_before_it_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("large");
    let file = File::create(&path).expect("a file");
    for (verb, mib) in [("apply", 64), ("lint", 64), ("restore", 1024)] {
        // A sparse file, which takes no space.
        file.set_len((mib << 20) + 1).expect("its length");
        let name = path.to_str().expect("a name");
        let output = Command::new("sh")
            .args(["-c", "ulimit -v $0 && exec \"$@\"", "300000"])
            .arg(env!("CARGO_BIN_EXE_ipblock-ctl"))
            .args([verb, name])
            .env("IPBLOCK_SSH_PEER", "none")
            .env("IPBLOCK_SOCKET", "/nonexistent/socket")
            .output()
            .expect("the command");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let expected = format!("error: cannot read {name}: it is larger than {mib} MiB\n");
        assert!(said.starts_with(&expected), "{said}");
    }
}
