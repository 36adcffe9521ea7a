//! Runs seeds of the simulation from the command line: `make simulate SEEDS=2000`.
#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use bobchat_actors::plant::Bug;
use bobchat_simulation::run::run;
use bobchat_simulation::schedule::{Schedule, Site};
use bobchat_simulation::search::{Failure, try_seeds};
use bobchat_simulation::world::Story;
use clap::Parser;

/// Bobchat in simulated time: clean seeds say nothing, others say how to see them again.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where: alone or cluster; both when absent
    site: Option<String>,
    /// One seed, run once
    #[arg(long)]
    seed: Option<u64>,
    /// A file with one schedule, as a line of regressions.txt has it: run once
    #[arg(long)]
    schedule: Option<PathBuf>,
    /// The first of many seeds
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many seeds
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// Tells all that happens in the one seed
    #[arg(long)]
    tell: bool,
    /// A bug to plant
    #[arg(long, env = "BOBCHAT_PLANT")]
    plant: Option<Bug>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(file) = &arguments.schedule {
        return replay(file, &arguments);
    }
    let sites: Vec<Site> = match &arguments.site {
        None => Site::ALL.to_vec(),
        Some(name) => Site::ALL.into_iter().filter(|site| site.name() == name).collect(),
    };
    if sites.is_empty() {
        println!("a site is one of {}", Site::ALL.map(Site::name).join(", "));
        return ExitCode::from(2);
    }
    let clean = sites.into_iter().filter(|site| !is_clean(*site, &arguments)).count() == 0;
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the schedule of a file.
fn replay(file: &Path, arguments: &Arguments) -> ExitCode {
    let read = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let schedule: Result<Schedule, String> =
        read.and_then(|text| text.trim().parse().map_err(|error: serde_json::Error| error.to_string()));
    let schedule = match schedule {
        Ok(schedule) => schedule,
        Err(error) => {
            println!("{} holds no schedule: {error}", file.display());
            return ExitCode::from(2);
        }
    };
    let outcome = run(&schedule, arguments.plant, arguments.story());
    println!("{outcome:#?}");
    if outcome.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Arguments {
    const fn story(&self) -> Story {
        if self.tell { Story::Told } else { Story::Silent }
    }
}

fn is_clean(site: Site, arguments: &Arguments) -> bool {
    let bug = arguments.plant;
    if let Some(seed) = arguments.seed {
        let outcome = run(&Schedule::of(site, seed), bug, arguments.story());
        println!("{} seed {seed}: {outcome:#?}", site.name());
        let clean = outcome.broken.is_empty();
        if !clean && !arguments.tell {
            println!("{}", Failure { site, seed, outcome }.explain(bug));
        }
        return clean;
    }
    let began = Instant::now();
    let failures = try_seeds(site, arguments.from..arguments.from + arguments.seeds, bug, |_| false);
    println!("{}: {} seeds in {:?}, {} broken", site.name(), arguments.seeds, began.elapsed(), failures.len());
    for failure in &failures {
        println!(
            "  seed {}: {}",
            failure.seed,
            failure.outcome.broken.iter().map(|broken| broken.invariant).collect::<Vec<_>>().join(", ")
        );
    }
    if let Some(first) = failures.first() {
        println!("{}", first.explain(bug));
    }
    failures.is_empty()
}
