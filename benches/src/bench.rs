//! One bench target, from its arguments to its result file.

use std::time::{Duration, Instant, SystemTime};

use criterion::{Criterion, SamplingMode, Throughput};
use stockade_testkit::Flavour;
use tokio::runtime::Runtime;

use crate::args::{Args, Mode};
use crate::closed::ClosedPlan;
use crate::contenders::names;
use crate::erased::ErasedContender;
use crate::heading;
use crate::open::OpenPlan;
use crate::results::{Figure, Group, Load, Machine, Report, SCHEMA, Spread, Target};
use crate::rounds::{self, Comparison, Series};
use crate::setup::{Servers, place};
use crate::table;

/// The most requests in flight of an open loop: high enough that this bound
/// never limits the contender.
const IN_FLIGHT: usize = 4096;

/// From this many callers on, targets apply.
pub const CROWD: usize = 512;

/// The durations of a bench.
#[derive(Debug, Clone, Copy)]
pub struct Lengths {
    /// Load before counting begins, in each run.
    pub warm_up: Duration,
    /// The counted duration of a closed-loop run.
    pub measured: Duration,
    /// How often each contender runs.
    pub rounds: usize,
    /// The counted duration of an open-loop run.
    pub open: Duration,
}

/// A comparison of contenders at one number of callers.
#[derive(Debug, Clone)]
pub struct GroupPlan {
    /// The backend: `mariadb`, `mysql`, `sqlite` or `memory`.
    pub place: &'static str,
    /// The unit that is counted, such as `holds`.
    pub unit: &'static str,
    /// The number of concurrent callers.
    pub callers: usize,
    /// The ratios to compute.
    pub comparisons: Vec<Comparison>,
    /// Further figures of a series, with their targets.
    pub figures: Vec<FigureTarget>,
    /// The names of contenders that Criterion measures as well.
    pub by_criterion: Vec<&'static str>,
    /// The durations.
    pub lengths: Lengths,
}

/// A figure of one contender and its target.
#[derive(Debug, Clone, Copy)]
pub struct FigureTarget {
    /// The contender's name.
    pub contender: &'static str,
    /// The name of the figure.
    pub name: &'static str,
    /// Computes the figure.
    pub figure: fn(&Series) -> Spread,
    /// The target.
    pub wanted: Target,
}

impl FigureTarget {
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
/// test runners, which list and run every target, a small `smoke` test that
/// needs no server.
pub fn main(name: &str, measure: impl FnOnce(&mut Bench), smoke: impl AsyncFn()) {
    let args = Args::read();
    let runtime = runtime();
    // Criterion's part is short: the figures that count come from rounds.
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

/// Creates a runtime with one thread per core.
///
/// # Panics
/// When the threads cannot be started.
#[must_use]
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(heading::cores())
        .enable_all()
        .build()
        .expect("threads can be had")
}

/// Compares Stockade's rate with that of the row lock, with a target for many
/// callers.
#[must_use]
pub fn over_row_lock(callers: usize, at_least: f64) -> Comparison {
    let ratio = Comparison::rate(names::STOCKADE, names::ROW_LOCK);
    if callers == CROWD { ratio.wanted(Target::AtLeast(at_least)) } else { ratio }
}

/// Runs each contender on a MariaDB of its own for a moment, hand-written ones, too: the
/// smoke test of a bench whose baseline writes to Stockade's tables.
///
/// # Panics
/// When a request fails.
pub async fn try_each(open: impl AsyncFn(&Servers) -> Vec<Box<dyn ErasedContender>>) {
    let servers = Servers::start(Flavour::MariaDb);
    let contenders = open(&servers).await;
    let plan =
        ClosedPlan { callers: 2, warm_up: Duration::ZERO, measured: Duration::from_millis(100) };
    for contender in &contenders {
        let run = contender.closed(plan).await;
        let name = contender.name();
        assert!(
            run.done > 0 && run.failed.is_empty(),
            "{name}: {} done, {:?}",
            run.done,
            run.failed
        );
    }
    close(contenders).await;
}

/// Closes contenders.
pub async fn close(contenders: Vec<Box<dyn ErasedContender>>) {
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

    /// Returns the default durations.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        let millis = Duration::from_millis;
        if self.args.quick {
            Lengths { warm_up: millis(50), measured: millis(250), rounds: 3, open: millis(500) }
        } else {
            Lengths { warm_up: millis(200), measured: millis(500), rounds: 5, open: millis(3000) }
        }
    }

    /// Whether the filter could select a group with this prefix.
    #[must_use]
    pub fn wants(&self, place: &str, callers: usize) -> bool {
        self.args.wants(&format!("{}/{place}/{callers}", self.report.bench))
    }

    /// Whether to measure a group in which Criterion has no part.
    #[must_use]
    pub fn measures(&self, place: &str, callers: usize) -> bool {
        !self.args.profiles && self.wants(place, callers)
    }

    /// Blocks on a future on the bench's runtime, which has one thread per
    /// core.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Records the machine for the heading of the tables.
    pub fn heading(&mut self, servers: Option<&Servers>) {
        let known = std::mem::take(&mut self.report.machine);
        self.report.machine = self.runtime.block_on(heading::machine(servers, known));
    }

    /// Selects the numbers of callers to run: the quick form runs only the
    /// largest, which has targets.
    #[must_use]
    pub fn crowds<'a>(&self, all: &'a [usize]) -> &'a [usize] {
        if self.args.quick { &all[all.len().saturating_sub(1)..] } else { all }
    }

    /// Runs a bench at these numbers of callers on each database server in
    /// turn; skips servers whose groups the filter excludes.
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

    /// Interleaves contenders, lets Criterion measure the selected ones, and
    /// prints the tables. Returns nothing if the filter excludes the group.
    pub fn versus(
        &mut self,
        plan: &GroupPlan,
        contenders: &[&dyn ErasedContender],
    ) -> Option<Vec<Series>> {
        let GroupPlan { place, unit, callers, .. } = *plan;
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
        for series in all.iter().filter(|series| series.failures() > 0) {
            assert!(series.rate() > 0.0, "no request of `{}` succeeds", series.contender);
        }
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

    /// Runs [`Bench::versus`] at each of [`Bench::crowds`]; with many callers,
    /// the first contender also runs at fixed rates.
    pub fn by_callers(
        &mut self,
        callers: &[usize],
        contenders: &[Box<dyn ErasedContender>],
        plan: impl Fn(&Self, usize) -> GroupPlan,
    ) {
        let invited: Vec<&dyn ErasedContender> = contenders.iter().map(|one| &**one).collect();
        for &callers in self.crowds(callers) {
            let plan = plan(self, callers);
            let all = self.versus(&plan, &invited);
            if let Some(all) = all.filter(|_| callers == CROWD) {
                self.at_fixed_rates(&plan, &invited[..1], &all);
            }
        }
    }

    /// Runs contenders in an open loop at 50, 75 and 90% of their closed-loop
    /// rate, and prints the latencies.
    pub fn at_fixed_rates(
        &mut self,
        plan: &GroupPlan,
        contenders: &[&dyn ErasedContender],
        closed: &[Series],
    ) {
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
    fn by_criterion(&mut self, name: &str, plan: &GroupPlan, contenders: &[&dyn ErasedContender]) {
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
