//! Import circles between files of a crate: none of these files can be read or changed alone.
//!
//! A name that a module re-exports (`pub use`) is followed to its definition. A part of a module
//! may use what the module itself defines.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Violation,
    paths::{Import, PathUse, Scan, Target},
};

/// The modules of a crate that have a file, with what they name.
pub(crate) struct House<'a> {
    modules: BTreeMap<&'a [String], &'a str>,
    scans: Vec<(&'a str, &'a [String], &'a Scan)>,
    imports: BTreeMap<(&'a [String], &'a str), &'a Target>,
}

impl<'a> House<'a> {
    pub(crate) fn of(files: impl IntoIterator<Item = (&'a str, &'a [String], &'a Scan)>) -> Self {
        let scans: Vec<_> = files.into_iter().collect();
        let modules = scans.iter().map(|(path, module, _)| (*module, *path));
        let imports = scans.iter().flat_map(|(.., scan)| &scan.imports);
        let import = |import: &'a Import| {
            let place = (import.module.as_slice(), import.name.as_str());
            (place, &import.target)
        };
        Self {
            modules: modules.collect(),
            imports: imports.map(import).collect(),
            scans,
        }
    }

    /// One violation for each circle.
    pub(crate) fn circles(&self) -> Vec<Violation> {
        let arrows = self.arrows();
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for file in arrows.keys() {
            if seen.contains(file) {
                continue;
            }
            let circle: Vec<&str> = reached(&arrows, file)
                .into_iter()
                .filter(|other| reached(&arrows, other).contains(file))
                .collect();
            seen.extend(circle.iter().copied());
            if circle.is_empty() {
                continue;
            }
            let members: BTreeSet<&str> = circle.iter().copied().collect();
            let why = members.iter().map(|from| {
                let to = arrows.get(from).into_iter().flatten();
                let to: Vec<&str> = to.copied().filter(|to| members.contains(to)).collect();
                format!("\n  {from} -> {}", to.join(", "))
            });
            found.push(Violation {
                place: format!("{file}:1"),
                what: format!("{} files import each other in a circle", members.len()),
                why: why.collect(),
            });
        }
        found
    }

    /// From each file to those that it imports.
    fn arrows(&self) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
        let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (path, module, scan) in &self.scans {
            let to = arrows.entry(*path).or_default();
            for PathUse { target, .. } in &scan.paths {
                let found = self.module_of(target, module);
                let found = found.filter(|other| !module.starts_with(other));
                to.extend(found.and_then(|other| self.modules.get(other)));
            }
        }
        arrows
    }

    /// The module with a file that defines what a path names, seen from a module.
    fn module_of(&self, target: &Target, module: &[String]) -> Option<&'a [String]> {
        const LONGEST_WAY: usize = 8;
        let mut path = match target {
            Target::Local(path) => path.clone(),
            // The name of a child module, or of something else outside of this crate.
            Target::Other(path) => {
                let path = [module, path.as_slice()].concat();
                let child = path.get(..=module.len())?;
                self.modules.get(child)?;
                path
            }
        };
        for _ in 0..LONGEST_WAY {
            let known = (0..=path.len()).rev();
            let (module, _) = known
                .filter_map(|len| path.get(..len))
                .find_map(|module| self.modules.get_key_value(module))?;
            let module = *module;
            let next = path.get(module.len());
            let passed_on = next.and_then(|name| self.imports.get(&(module, name.as_str())));
            match passed_on {
                Some(Target::Local(behind)) => {
                    path = [behind, path.get(module.len() + 1..)?].concat();
                }
                Some(Target::Other(behind)) => {
                    let inner = [module, behind].concat();
                    let is_child = inner.get(..=module.len());
                    if is_child.is_none_or(|child| !self.modules.contains_key(child)) {
                        return Some(module);
                    }
                    path = [&inner, path.get(module.len() + 1..)?].concat();
                }
                None => return Some(module),
            }
        }
        None
    }
}

/// The files that imports lead to from this one.
fn reached<'a>(arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut to_look_at: Vec<&str> = arrows.get(from).into_iter().flatten().copied().collect();
    while let Some(file) = to_look_at.pop() {
        if reached.insert(file) {
            to_look_at.extend(arrows.get(file).into_iter().flatten().copied());
        }
    }
    reached
}
