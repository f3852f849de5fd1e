//! The list of bugs: `planted.toml`, and a patch of each in `planted/`.

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use serde::Deserialize;

use super::patch::{self, FilePatch};

/// A bug.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    pub name: String,
    /// What the bug breaks, and which system has had it.
    pub wrong: String,
    /// Each of these must catch it.
    pub caught_by: Vec<Check>,
    /// The changes that plant it, from `planted/NAME.patch`.
    #[serde(skip)]
    pub patches: Vec<FilePatch>,
}

/// A checker with the number of seeds within which it must catch the bug.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "checker", rename_all = "lowercase", deny_unknown_fields)]
pub enum Check {
    Simulation {
        seeds: u64,
    },
    Histories {
        place: String,
        seeds: u64,
    },
    Faults {
        /// A prefix of fault names.
        fault: String,
        seeds: u64,
    },
}

impl Check {
    pub fn seeds(&self) -> u64 {
        let (Self::Simulation { seeds }
        | Self::Histories { seeds, .. }
        | Self::Faults { seeds, .. }) = self;
        *seeds
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simulation { .. } => f.write_str("simulation"),
            Self::Histories { place, .. } => write!(f, "histories on {place}"),
            Self::Faults { fault, .. } => write!(f, "faults, {fault}"),
        }
    }
}

/// The workspace's root.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// All bugs.
pub fn read() -> Vec<Bug> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct List {
        #[serde(rename = "bug")]
        bugs: Vec<Bug>,
    }
    let list: List = toml::from_str(include_str!("../../planted.toml")).expect("the list of bugs");
    let with_patches = |bug: Bug| {
        let file = patch_file(&bug.name);
        let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let patches = patch::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        Bug { patches, ..bug }
    };
    list.bugs.into_iter().map(with_patches).collect()
}

/// Where a bug's patch is.
pub fn patch_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("planted").join(format!("{name}.patch"))
}

/// Returns each checker that these bugs need, once, with the largest number of
/// seeds.
pub fn checks_of(bugs: &[Bug]) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for check in bugs.iter().flat_map(|bug| &bug.caught_by) {
        match checks.iter_mut().find(|known| known.to_string() == check.to_string()) {
            Some(known) if known.seeds() >= check.seeds() => {}
            Some(known) => *known = check.clone(),
            None => checks.push(check.clone()),
        }
    }
    checks
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::faults::trials;
    use crate::histories::deployment_names;

    #[test]
    fn every_planted_bug_applies_to_the_sources() {
        for Bug { name, patches, .. } in read() {
            assert!(!patches.is_empty(), "{name} changes nothing");
            for patch in patches {
                let patched = patch::apply_below(root(), &patch)
                    .unwrap_or_else(|why| panic!("{name}: {why}"));
                assert_ne!(patched.before, patched.after, "{name}");
            }
        }
    }

    #[test]
    fn every_patch_file_belongs_to_a_bug() {
        let patches =
            fs::read_dir(patch_file("any").parent().expect("a folder")).expect("a folder");
        assert_eq!(patches.count(), read().len());
    }

    #[test]
    fn bugs_have_unique_names_and_existing_checkers() {
        let mut names = HashSet::new();
        for Bug { name, caught_by, .. } in read() {
            assert!(names.insert(name.clone()), "{name} twice");
            assert!(!caught_by.is_empty(), "{name} is to be caught by nothing");
            for check in caught_by {
                assert!(check.seeds() > 0, "{name}");
                let is_there = match &check {
                    Check::Simulation { .. } => true,
                    Check::Histories { place, .. } => deployment_names().any(|name| name == *place),
                    Check::Faults { fault, .. } => {
                        trials().any(|trial| trial.name.starts_with(fault))
                    }
                };
                assert!(is_there, "{name}: there is no {check}");
            }
        }
        assert!(names.len() >= 12);
    }

    #[test]
    fn control_run_uses_the_most_seeds_of_any_bug() {
        let bug = |seeds| Bug {
            name: String::new(),
            wrong: String::new(),
            caught_by: vec![Check::Simulation { seeds }],
            patches: Vec::new(),
        };
        let checks = checks_of(&[bug(3), bug(9), bug(5)]);
        assert_eq!(checks, [Check::Simulation { seeds: 9 }]);
    }
}
