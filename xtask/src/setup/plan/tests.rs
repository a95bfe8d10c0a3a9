use std::path::Path;

use super::*;
use crate::setup::compiler::Version;

fn compiler(toolchain: Toolchain, llvm: u32) -> Compiler {
    Compiler {
        toolchain,
        version: Version {
            release: (1, 96),
            llvm,
            text: format!("rustc 1.96.0 LLVM {llvm}.1.8"),
        },
        sysroot: PathBuf::from("/usr"),
    }
}

/// A Debian with a Rust tool chain and nothing else.
fn fresh(packages: Packages) -> Facts {
    Facts {
        packages,
        nightly: Err("rustup's nightly has no component rust-src".to_owned()),
        distribution: Err("there is no working compiler `/usr/bin/rustc`".to_owned()),
        linked_sysroot: None,
        path_linker: None,
        llvm: BTreeMap::new(),
        done: BTreeSet::new(),
        failed: BTreeMap::new(),
    }
}

fn llvm_packages() -> Vec<String> {
    ["llvm-22-dev", "libpolly-22-dev"]
        .map(str::to_owned)
        .to_vec()
}

fn prefix() -> PathBuf {
    PathBuf::from("/usr/lib/llvm-22")
}

fn private_linker() -> PathBuf {
    PathBuf::from("/checkout/.tools/llvm-22/bin/bpf-linker")
}

fn proof(toolchain: Toolchain, linker: &Path) -> Step {
    Step::Prove {
        toolchain,
        linker: linker.to_path_buf(),
    }
}

fn obstacles(facts: &Facts) -> Vec<String> {
    match next(facts) {
        Next::Refused(obstacles) => obstacles,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Does `step` on paper: the facts as a machine would show them afterwards.
fn carry_out(facts: &mut Facts, step: Step) {
    match &step {
        Step::InstallPackages(packages) if packages.contains(&"rustc-web".to_owned()) => {
            facts.distribution = Ok(compiler(Toolchain::Distribution, 22));
            facts.llvm.insert(
                22,
                Llvm {
                    missing_packages: llvm_packages(),
                    ..Llvm::default()
                },
            );
        }
        Step::InstallPackages(_) => {
            let llvm = facts.llvm.get_mut(&22).unwrap();
            llvm.missing_packages.clear();
            llvm.prefix = Some(prefix());
        }
        Step::LinkToolchain { sysroot } => facts.linked_sysroot = Some(sysroot.clone()),
        Step::BuildLinker { .. } => {
            facts.llvm.get_mut(&22).unwrap().private_linker = Some(private_linker());
        }
        Step::Prove { .. } => {}
    }
    facts.done.insert(step);
}

#[test]
fn root_on_a_fresh_debian_gets_there_in_five_steps() {
    let mut facts = fresh(Packages::AptAsRoot);
    let mut steps = Vec::new();
    while let Next::Do(step) = next(&facts) {
        steps.push(step.clone());
        carry_out(&mut facts, step);
    }
    assert_eq!(
        steps,
        [
            Step::InstallPackages(COMPILER_PACKAGES.map(str::to_owned).to_vec()),
            Step::LinkToolchain {
                sysroot: PathBuf::from("/usr")
            },
            Step::InstallPackages(llvm_packages()),
            Step::BuildLinker {
                llvm: 22,
                prefix: prefix()
            },
            proof(Toolchain::Distribution, &private_linker()),
        ]
    );
    assert_eq!(
        next(&facts),
        Next::Ready {
            compiler: compiler(Toolchain::Distribution, 22),
            linker: private_linker()
        }
    );
}

#[test]
fn a_user_who_is_not_root_is_told_the_sudo_line_and_the_other_way() {
    let obstacles = obstacles(&fresh(Packages::Apt));
    assert!(obstacles[0].contains("rustup toolchain install nightly --component rust-src"));
    assert!(obstacles[1].contains("sudo apt-get install -y --no-install-recommends rustc-web"));
}

#[test]
fn on_another_system_nothing_is_installed() {
    let obstacles = obstacles(&fresh(Packages::Other));
    assert_eq!(obstacles.len(), 2);
    assert!(!obstacles[1].contains("sudo"), "{}", obstacles[1]);
}

#[test]
fn a_nightly_with_rust_src_and_a_working_linker_on_path_installs_nothing() {
    let mut facts = fresh(Packages::AptAsRoot);
    facts.nightly = Ok(compiler(Toolchain::Nightly, 22));
    facts.path_linker = Some(PathBuf::from("/home/user/.cargo/bin/bpf-linker"));
    let proof = proof(
        Toolchain::Nightly,
        Path::new("/home/user/.cargo/bin/bpf-linker"),
    );
    assert_eq!(next(&facts), Next::Do(proof.clone()));
    facts.done.insert(proof);
    assert!(matches!(next(&facts), Next::Ready { .. }));
}

#[test]
fn a_linker_on_path_that_does_not_fit_gives_way_to_one_of_our_own() {
    let mut facts = fresh(Packages::AptAsRoot);
    facts.nightly = Ok(compiler(Toolchain::Nightly, 22));
    facts.path_linker = Some(PathBuf::from("/usr/local/bin/bpf-linker"));
    facts.llvm.insert(
        22,
        Llvm {
            prefix: Some(prefix()),
            ..Llvm::default()
        },
    );
    let failed = proof(Toolchain::Nightly, Path::new("/usr/local/bin/bpf-linker"));
    facts.failed.insert(failed, "invalid record".to_owned());
    let build = Step::BuildLinker {
        llvm: 22,
        prefix: prefix(),
    };
    assert_eq!(next(&facts), Next::Do(build));
}

#[test]
fn a_private_linker_that_stopped_working_is_built_again_once() {
    let mut facts = fresh(Packages::Other);
    facts.nightly = Ok(compiler(Toolchain::Nightly, 22));
    facts.llvm.insert(
        22,
        Llvm {
            prefix: Some(prefix()),
            private_linker: Some(private_linker()),
            ..Llvm::default()
        },
    );
    facts.failed.insert(
        proof(Toolchain::Nightly, &private_linker()),
        "libLLVM is gone".to_owned(),
    );
    let build = Step::BuildLinker {
        llvm: 22,
        prefix: prefix(),
    };
    assert_eq!(next(&facts), Next::Do(build.clone()));
    facts.done.insert(build);
    assert!(matches!(next(&facts), Next::Refused(_)));
}

#[test]
fn a_nightly_with_an_llvm_unknown_to_the_linker_gives_way_to_the_distribution() {
    let mut facts = fresh(Packages::AptAsRoot);
    facts.nightly = Ok(compiler(Toolchain::Nightly, LINKER_LLVM.end() + 1));
    assert!(matches!(next(&facts), Next::Do(Step::InstallPackages(_))));
}

#[test]
fn a_failed_installation_is_not_tried_again_and_its_error_is_shown() {
    let mut facts = fresh(Packages::AptAsRoot);
    facts.failed.insert(
        Step::InstallPackages(COMPILER_PACKAGES.map(str::to_owned).to_vec()),
        "Unable to locate package rustc-web".to_owned(),
    );
    assert!(obstacles(&facts)[1].contains("Unable to locate package"));
}

#[test]
fn an_installation_that_changed_nothing_ends_the_search() {
    let mut facts = fresh(Packages::AptAsRoot);
    facts.done.insert(Step::InstallPackages(
        COMPILER_PACKAGES.map(str::to_owned).to_vec(),
    ));
    assert!(obstacles(&facts)[1].contains("changed nothing"));
}

#[test]
fn without_rustup_nothing_is_linked_into_it() {
    let mut facts = fresh(Packages::AptAsRoot);
    facts.distribution = Ok(compiler(Toolchain::System, 22));
    facts.path_linker = Some(PathBuf::from("/usr/bin/bpf-linker"));
    assert_eq!(
        next(&facts),
        Next::Do(proof(Toolchain::System, Path::new("/usr/bin/bpf-linker")))
    );
}
