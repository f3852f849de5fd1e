//! `stockade-proof PART... [--long] [--seed N] [--seeds N] [--until-broken]`,
//! where PART is `simulation`, `histories`, `faults`, `clusters`, `planted` or
//! `all`; `stockade-proof report` writes the report from the saved results. `all`
//! includes the planted bugs in the long form only.

use std::env;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use stockade_proof::results::{PartResult, Row};
use stockade_proof::{Extent, clusters, faults, histories, planted, report, simulation};

const USAGE: &str = "usage: stockade-proof PART... [--long] [--seed N] [--seeds N] [--until-broken]\n\
    \x20      stockade-proof planted --rebase\n\
    PART: simulation, histories, faults, clusters, planted, all, report";
const EXIT_USAGE: u8 = 2;

type Part = (&'static str, fn(Extent) -> Vec<Row>);

/// Every part, in the order of the report.
const PARTS: [Part; 5] = [
    ("simulation", simulation::run),
    ("histories", histories::run),
    ("faults", faults::run),
    ("clusters", clusters::run),
    (planted::PART, planted::run),
];

fn main() -> ExitCode {
    faults::run_child_if_requested();
    if env::args().nth(1).as_deref() == Some(histories::CHILD) {
        return histories::run_child();
    }
    if env::args().skip(1).eq([planted::PART, "--rebase"]) {
        return if planted::rebase() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let Some((wanted, extent)) = read(env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(EXIT_USAGE);
    };
    let is_in_all = |name: &str| extent.is_long || name != planted::PART;
    let is_wanted =
        |name: &str| wanted.iter().any(|word| word == name || (word == "all" && is_in_all(name)));
    let mut is_clean = true;
    for (name, run) in PARTS.into_iter().filter(|(name, _)| is_wanted(name)) {
        let rows = run(extent);
        is_clean &= rows.iter().all(Row::is_clean);
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let Extent { is_long, seed, .. } = extent;
        let result = PartResult { part: name.to_owned(), is_long, seed, at, rows };
        if let Err(error) = result.save() {
            eprintln!("{name}: cannot save the result: {error}");
            is_clean = false;
        }
    }
    if wanted.iter().any(|word| word == "report" || (word == "all" && extent.is_long)) {
        match report::write(&PARTS.map(|(name, _)| name)) {
            Ok(file) => println!("wrote {}", file.display()),
            Err(error) => {
                eprintln!("cannot write the report: {error}");
                is_clean = false;
            }
        }
    }
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(mut words: impl Iterator<Item = String>) -> Option<(Vec<String>, Extent)> {
    let mut extent = Extent::default();
    let mut wanted = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--long" => extent.is_long = true,
            "--until-broken" => extent.until_broken = true,
            "--seed" => extent.seed = words.next()?.parse().ok()?,
            "--seeds" => extent.seeds = Some(words.next()?.parse().ok()?),
            "all" | "report" => wanted.push(word),
            part if PARTS.iter().any(|(name, _)| *name == part) => wanted.push(word),
            _ => return None,
        }
    }
    (!wanted.is_empty()).then_some((wanted, extent))
}
