//! Finds the user who called sudo, for the audit trail of a daemon that does not know who logged in.

use std::{env, path::Path};

use nix::unistd::geteuid;

use super::ancestors::environments;

/// sudo sets it to the user who called it.
const VARIABLE: &str = "SUDO_USER";

/// Returns the user who became root with sudo. The daemon accepts it only from root.
pub(crate) fn sudo_user() -> Option<String> {
    if !geteuid().is_root() {
        return None;
    }
    let own = env::var(VARIABLE).ok().filter(|user| is_person(user));
    own.or_else(|| of_ancestors(Path::new("/proc"), std::process::id()))
}

/// Returns the user of the nearest ancestor that sudo started: `su -` removes the variable.
fn of_ancestors(proc: &Path, process: u32) -> Option<String> {
    environments(proc, process).find_map(|environment| {
        let mut variables = environment.split(|byte| *byte == 0);
        variables.find_map(|variable| {
            let (name, user) = str::from_utf8(variable).ok()?.split_once('=')?;
            (name == VARIABLE && is_person(user)).then(|| user.to_owned())
        })
    })
}

/// Whether it is a user other than root whose name a header can contain.
fn is_person(user: &str) -> bool {
    user != "root" && !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_nearest_user_of_sudo_who_is_not_root_is_the_person() {
        let proc = tempfile::tempdir().unwrap();
        for (id, parent, environment) in [
            (40, 30, "SUDO_USER=self\0"),
            (30, 20, "SUDO_USER=root\0XSUDO_USER=eve\0"),
            (20, 10, "TERM=xterm\0SUDO_USER=ada\0"),
            (10, 1, "SUDO_USER=bob\0"),
        ] {
            let directory = proc.path().join(id.to_string());
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("status"), format!("PPid:\t{parent}\n")).unwrap();
            fs::write(directory.join("environ"), environment).unwrap();
        }
        assert_eq!(of_ancestors(proc.path(), 40).as_deref(), Some("ada"));
        assert_eq!(of_ancestors(proc.path(), 20).as_deref(), Some("bob"));
        assert_eq!(of_ancestors(proc.path(), 10), None);
        for name in ["", "root", "two words", "b\u{e4}r"] {
            assert!(!is_person(name), "{name}");
        }
    }
}
