//! One bench target from its arguments to its file.

use std::time::{Duration, Instant, SystemTime};

use criterion::{Criterion, SamplingMode, Throughput};
use stockade_testkit::Flavour;
use tokio::runtime::Runtime;

use crate::args::{Args, Mode};
use crate::closed::ClosedPlan;
use crate::contenders::names;
use crate::entrant::Entrant;
use crate::heading;
use crate::open::OpenPlan;
use crate::results::{Figure, Group, Load, Machine, Report, SCHEMA, Spread, Wanted};
use crate::rounds::{self, Comparison, Series};
use crate::setup::{Servers, place};
use crate::table;

/// The most requests under way in an open loop: enough that what is measured
/// keeps up or does not, and not this bound.
const IN_FLIGHT: usize = 4096;

/// So many callers are a crowd: what is wanted is wanted of it.
const CROWD: usize = 512;

/// How long everything takes.
#[derive(Debug, Clone, Copy)]
pub struct Lengths {
    /// Load before anything is counted, in each run.
    pub warm_up: Duration,
    /// How long a run of the closed loop counts.
    pub measured: Duration,
    /// How often each contender runs.
    pub rounds: usize,
    /// How long a run of the open loop counts.
    pub open: Duration,
}

/// Contenders against each other at one number of callers.
#[derive(Debug, Clone)]
pub struct Match {
    /// Where the rows are: `mariadb`, `mysql`, `sqlite` or `memory`.
    pub place: &'static str,
    /// What is counted, such as `holds`.
    pub unit: &'static str,
    /// Callers who ask at the same time.
    pub callers: usize,
    /// What is compared.
    pub comparisons: Vec<Comparison>,
    /// Other figures of a series, and what is wanted of them.
    pub figures: Vec<Wish>,
    /// The contenders that Criterion measures as well, by name.
    pub by_criterion: Vec<&'static str>,
    /// How long everything takes.
    pub lengths: Lengths,
}

/// A figure of one contender, and what is wanted of it.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// The contender's name.
    pub contender: &'static str,
    /// What the figure is.
    pub name: &'static str,
    /// How it is had.
    pub figure: fn(&Series) -> Spread,
    /// What is wanted.
    pub wanted: Wanted,
}

impl Wish {
    fn of(&self, all: &[Series]) -> Option<Figure> {
        let series = all.iter().find(|series| series.contender == self.contender)?;
        Some(Figure {
            name: format!("{} of {}", self.name, self.contender),
            value: (self.figure)(series),
            wanted: Some(self.wanted),
        })
    }
}

/// A bench that measures.
pub struct Bench {
    args: Args,
    runtime: Runtime,
    criterion: Criterion,
    report: Report,
}

/// Runs a bench target: `measure` under `cargo bench`; under `cargo test` and
/// under test runners, which list and run every target, one small `smoke` test
/// that needs no server.
pub fn main(name: &str, measure: impl FnOnce(&mut Bench), smoke: impl AsyncFn()) {
    let args = Args::read();
    let runtime = runtime();
    // Criterion's part is short: the figures that count are taken by rounds.
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .nresamples(2000)
        .without_plots()
        .configure_from_args();
    if args.mode == Mode::Test {
        criterion.bench_function(&format!("{name}/smoke"), |bencher| {
            bencher.iter_custom(|_| {
                let since = Instant::now();
                runtime.block_on(smoke());
                since.elapsed()
            });
        });
        return;
    }
    let fsync = heading::fsync(if args.quick { 300 } else { 1000 });
    let fsync = fsync.expect("the temporary folder can be written");
    let report = Report {
        schema: SCHEMA,
        bench: name.to_owned(),
        quick: args.quick,
        at: 0,
        machine: Machine { fsync, ..Machine::default() },
        groups: Vec::new(),
    };
    let mut bench = Bench { args, runtime, criterion, report };
    measure(&mut bench);
    bench.finish();
}

/// A runtime with a thread for each core.
///
/// # Panics
/// When there are no threads to be had.
#[must_use]
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(heading::cores())
        .enable_all()
        .build()
        .expect("threads can be had")
}

/// Stockade's rate over that of the row lock alone, and what it is to be at
/// least in a crowd.
#[must_use]
pub fn over_row_lock(callers: usize, at_least: f64) -> Comparison {
    let ratio = Comparison::rate(names::STOCKADE, names::ROW_LOCK);
    if callers == CROWD { ratio.wanted(Wanted::AtLeast(at_least)) } else { ratio }
}

/// Lets contenders go.
pub async fn close(contenders: Vec<Box<dyn Entrant>>) {
    for contender in contenders {
        contender.close().await;
    }
}

impl Bench {
    /// Whether runs are to be short.
    #[must_use]
    pub fn is_quick(&self) -> bool {
        self.args.quick
    }

    /// How long everything takes by default.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        let millis = Duration::from_millis;
        if self.args.quick {
            Lengths { warm_up: millis(50), measured: millis(250), rounds: 3, open: millis(500) }
        } else {
            Lengths { warm_up: millis(200), measured: millis(500), rounds: 5, open: millis(3000) }
        }
    }

    /// Whether any group whose name begins so could be wanted.
    #[must_use]
    pub fn wants(&self, place: &str, callers: usize) -> bool {
        self.args.wants(&format!("{}/{place}/{callers}", self.report.bench))
    }

    /// Whether a group that Criterion has no part in is to be measured.
    #[must_use]
    pub fn measures(&self, place: &str, callers: usize) -> bool {
        !self.args.profiles && self.wants(place, callers)
    }

    /// Waits for a future on the bench's runtime, which has a thread for each
    /// core.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Looks at the machine, for what stands above the tables.
    pub fn heading(&mut self, servers: Option<&Servers>) {
        let known = std::mem::take(&mut self.report.machine);
        self.report.machine = self.runtime.block_on(heading::machine(servers, known));
    }

    /// Of these numbers of callers, those that are tried: the short form tries
    /// the greatest alone, of which something is wanted.
    #[must_use]
    pub fn crowds<'a>(&self, all: &'a [usize]) -> &'a [usize] {
        if self.args.quick { &all[all.len().saturating_sub(1)..] } else { all }
    }

    /// Runs a bench with so many callers on each of these database servers, one
    /// after the other; not on one whose groups the filter does not want.
    pub fn on_servers(
        &mut self,
        databases: &[Flavour],
        callers: &[usize],
        run: impl Fn(&mut Self, &Servers),
    ) {
        for database in databases {
            if callers.iter().any(|callers| self.wants(place(*database), *callers)) {
                let servers = Servers::start(*database);
                self.heading(Some(&servers));
                run(self, &servers);
            }
        }
    }

    /// Lets contenders take turns, then Criterion measure those it is to;
    /// prints the tables. Nothing where the filter does not want it.
    pub fn versus(&mut self, plan: &Match, contenders: &[&dyn Entrant]) -> Option<Vec<Series>> {
        let Match { place, unit, callers, .. } = *plan;
        if !self.wants(place, callers) {
            return None;
        }
        let name = format!("{}/{place}/{callers}", self.report.bench);
        self.by_criterion(&name, plan, contenders);
        if self.args.profiles {
            return None;
        }
        let Lengths { warm_up, measured, rounds, .. } = plan.lengths;
        let turn = ClosedPlan { callers, warm_up, measured };
        let all = self.runtime.block_on(rounds::interleave(contenders, turn, rounds));
        let ratios = plan.comparisons.iter();
        let group = Group {
            name,
            unit: unit.to_owned(),
            place: place.to_owned(),
            callers,
            load: Load::Closed,
            rows: all.iter().map(Series::row).collect(),
            ratios: ratios.filter_map(|wanted| rounds::compare(&all, *wanted)).collect(),
            figures: plan.figures.iter().filter_map(|wish| wish.of(&all)).collect(),
        };
        self.add(group);
        Some(all)
    }

    /// [`Bench::versus`] at each of [`Bench::crowds`]; where they are many, the
    /// first contender is asked at fixed rates as well.
    pub fn by_callers(
        &mut self,
        callers: &[usize],
        contenders: &[Box<dyn Entrant>],
        plan: impl Fn(&Self, usize) -> Match,
    ) {
        let invited: Vec<&dyn Entrant> = contenders.iter().map(|one| &**one).collect();
        for &callers in self.crowds(callers) {
            let plan = plan(self, callers);
            let all = self.versus(&plan, &invited);
            if let Some(all) = all.filter(|_| callers == CROWD) {
                self.at_fixed_rates(&plan, &invited[..1], &all);
            }
        }
    }

    /// Asks contenders at 50, 75 and 90% of what each did in the closed loop,
    /// and prints what requests took.
    pub fn at_fixed_rates(&mut self, plan: &Match, contenders: &[&dyn Entrant], closed: &[Series]) {
        let Lengths { warm_up, open, .. } = plan.lengths;
        let mut rows = Vec::new();
        for contender in contenders {
            let most = closed.iter().find(|series| series.contender == contender.name());
            let Some(most) = most.map(Series::rate) else { continue };
            for share in [0.5, 0.75, 0.9] {
                let rate = most * share;
                let plan = OpenPlan { rate, in_flight: IN_FLIGHT, warm_up, measured: open };
                let run = self.runtime.block_on(contender.open(plan));
                let mut row = Series::of(*contender, vec![run]).row();
                row.intended = Some(rate);
                row.contender = format!("{} at {:.0}%", row.contender, share * 100.0);
                rows.push(row);
            }
        }
        self.add(Group {
            name: format!("{}/{}/{}/open", self.report.bench, plan.place, plan.callers),
            unit: plan.unit.to_owned(),
            place: plan.place.to_owned(),
            callers: IN_FLIGHT,
            load: Load::Open,
            rows,
            ratios: Vec::new(),
            figures: Vec::new(),
        });
    }

    /// An iteration is one request of every caller.
    fn by_criterion(&mut self, name: &str, plan: &Match, contenders: &[&dyn Entrant]) {
        // CI has seconds for each bench: one contender shows that it works.
        let most = plan.by_criterion.len().min(if self.args.quick { 1 } else { usize::MAX });
        let chosen = contenders.iter().filter(|contender| {
            self.args.profiles || plan.by_criterion[..most].contains(&contender.name())
        });
        let mut group = self.criterion.benchmark_group(name);
        group.sampling_mode(SamplingMode::Flat);
        for contender in chosen {
            group.throughput(Throughput::Elements(contender.units_of(plan.callers)));
            group.bench_function(contender.name(), |bencher| {
                bencher.iter_custom(|times| {
                    self.runtime.block_on(contender.each(plan.callers, times))
                });
            });
        }
        group.finish();
    }

    /// Adds a group to the report and prints it.
    pub fn add(&mut self, group: Group) {
        println!("\n{}\n{}", heading::text(&self.report.machine), table::group(&group));
        self.report.groups.push(group);
    }

    fn finish(mut self) {
        self.criterion.final_summary();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.report.at = now.map_or(0, |now| now.as_secs());
        if self.args.profiles {
            return;
        }
        match self.report.save() {
            Ok(file) => println!("saved {}", file.display()),
            Err(error) => println!("results not saved: {error}"),
        }
    }
}
