//! Finds the mounts of bpffs.

use std::{fs, io, path::PathBuf};

/// Default mount point of bpffs.
pub const DEFAULT_BPFFS: &str = "/sys/fs/bpf";

/// Returns every mount point of a bpffs, as this process sees it.
pub fn mounted() -> io::Result<Vec<PathBuf>> {
    fs::read_to_string("/proc/self/mounts").map(|mounts| places(&mounts))
}

/// Parses the lines of /proc/self/mounts. Omits mounts that another one hides.
fn places(mounts: &str) -> Vec<PathBuf> {
    let mut places = Vec::new();
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(place), Some(kind)) = (fields.next(), fields.next()) else {
            continue;
        };
        let place = PathBuf::from(unescaped(place));
        places.retain(|under| *under != place);
        if kind == "bpf" {
            places.push(place);
        }
    }
    places
}

/// Decodes separator characters, which are octal escapes there (`fs/proc_namespace.c`, `mangle`).
fn unescaped(field: &str) -> String {
    let text = field.replace("\\040", " ").replace("\\011", "\t");
    text.replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn bpffs_is_found_by_type_and_not_by_name() {
        let mounts = "proc /proc proc rw 0 0\n\
                      bpf /sys/fs/bpf bpf rw,mode=700 0 0\n\
                      tmpfs /run/bpf tmpfs rw 0 0\n\
                      none /srv/a\\040b\\134c bpf rw 0 0\n";
        assert_eq!(
            places(mounts),
            [Path::new("/sys/fs/bpf"), Path::new("/srv/a b\\c")]
        );
    }

    #[test]
    fn what_is_mounted_over_is_not_there() {
        let over = "bpf /sys/fs/bpf bpf rw 0 0\ntmpfs /sys/fs/bpf tmpfs rw 0 0\n";
        assert_eq!(places(over), Vec::<PathBuf>::new());
        let twice = "bpf /sys/fs/bpf bpf rw 0 0\nbpf /sys/fs/bpf bpf rw 0 0\n";
        assert_eq!(places(twice), [Path::new("/sys/fs/bpf")]);
    }
}
