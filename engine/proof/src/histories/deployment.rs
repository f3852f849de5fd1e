//! Builds the deployments on which histories run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stockade::{Engine, EngineBuilder, ManualClock, NewProduct, ProductId, Result, Timestamp};
use stockade_testkit::{Flavour, Redis, TempDb};

use super::caller::{self, CallerContext, KnownIds};
use super::model::Model;
use super::partition::Staleness;
use super::plan::{MS, PRICE, Plan, Ttls};
use super::process::{Child, Setup, Task};
use super::record::{Record, Watch};

/// A combination of store, lock, cache and number of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    SqliteMemory,
    SqliteFile,
    Server(Flavour, Companions),
}

/// The components beside a database server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Companions {
    Nothing,
    Redis,
    /// Redis, and callers in several processes under real time.
    RedisAndProcesses,
}

/// Number of processes, and of callers in each.
const PROCESSES: u32 = 3;
const CALLERS_EACH: u32 = 2;
/// Bounds how stale a sold-out rejection may be in another process: the engine
/// caches sold-out products for less than this.
const REFUSAL_STALENESS: Duration = Duration::from_millis(100);
/// Bounds the error of a process's estimate of the store's clock.
const CLOCK_LAG: i64 = 100 * MS;
/// Expired stock returns within this time, even on a slow machine.
const BACK_WITHIN: Duration = Duration::from_secs(20);
/// Longer than any TTL of a plan.
const A_DAY: Duration = Duration::from_secs(86_400);
/// Where manual clocks start: 2026-01-01 in UTC.
const START: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);
/// The per-customer limit of every engine.
const MAX_PER_CUSTOMER: u32 = 3;
/// Longer than any history.
const LONG: &str = "7days";
/// Short, so that cache refreshes race with writes.
const BRIEF_CACHE: &str = "2ms";
/// The number of the parent process.
const PARENT: u32 = 0;

impl Deployment {
    pub fn all() -> impl Iterator<Item = Self> {
        let companions = [Companions::Nothing, Companions::Redis, Companions::RedisAndProcesses];
        let on_servers = Flavour::ALL.into_iter().flat_map(move |database| {
            companions.map(|companions| Self::Server(database, companions))
        });
        [Self::SqliteMemory, Self::SqliteFile].into_iter().chain(on_servers)
    }

    pub fn name(self) -> String {
        match self {
            Self::SqliteMemory => "SQLite in memory".to_owned(),
            Self::SqliteFile => "SQLite file".to_owned(),
            Self::Server(database, companions) => {
                let companions = match companions {
                    Companions::Nothing => "",
                    Companions::Redis => " + Redis",
                    Companions::RedisAndProcesses => " + Redis, 3 processes",
                };
                format!("{}{companions}", database.name())
            }
        }
    }

    fn has_redis(self) -> bool {
        matches!(self, Self::Server(_, Companions::Redis | Companions::RedisAndProcesses))
    }

    fn has_processes(self) -> bool {
        matches!(self, Self::Server(_, Companions::RedisAndProcesses))
    }

    pub fn ttls(self) -> Ttls {
        if self.has_processes() { Ttls::REAL } else { Ttls::STEPPED }
    }

    pub fn staleness(self) -> Staleness {
        if !self.has_processes() {
            return Staleness::default();
        }
        let refusal_nanos = u64::try_from(REFUSAL_STALENESS.as_nanos()).unwrap_or(u64::MAX);
        Staleness { refusal_nanos, is_cache_stale: true }
    }
}

/// A store with an engine on it, for a run of seeds.
pub struct Shop {
    pub engine: Engine,
    pub model: Model,
    deployment: Deployment,
    watch: Watch,
    children: Vec<Child>,
    _file: Option<TempDb>,
}

impl Shop {
    /// Opens an empty store; its number determines the settings.
    pub fn open(deployment: Deployment, number: u64) -> Result<Self> {
        let ttls = deployment.ttls();
        let file = (deployment == Deployment::SqliteFile).then(TempDb::new);
        let url = match (&file, deployment) {
            (Some(file), _) => file.url(),
            (None, Deployment::Server(database, _)) => database.shared().fresh_database(),
            (None, _) => "sqlite::memory:".to_owned(),
        };
        let re_reserve = number.is_multiple_of(2);
        let mut settings = vec![
            ("store", url),
            ("hold_ttl_max", micros(ttls.hold_ttl_max)),
            ("hold_ttl", micros(ttls.hold_ttl_max)),
            ("payment_ttl", micros(ttls.payment_ttl)),
            ("late_payment", if re_reserve { "re_reserve" } else { "refund" }.to_owned()),
            ("max_per_customer", MAX_PER_CUSTOMER.to_string()),
            // The model lets events wait for as long as a history lasts.
            ("early_payment_ttl", LONG.to_owned()),
        ];
        let counts_orders = number.is_multiple_of(3);
        if counts_orders {
            settings.push(("customer_window", LONG.to_owned()));
        }
        if number.is_multiple_of(2) {
            settings.push(("cache_ttl", BRIEF_CACHE.to_owned()));
        }
        if deployment.has_redis() {
            let redis = Redis::shared();
            settings.push(("redis", redis.url()));
            settings.push(("redis_prefix", redis.fresh_prefix()));
        }
        let setup = Setup {
            settings: settings.into_iter().map(|(name, to)| (name.to_owned(), to)).collect(),
        };
        let mut builder = setup.builder()?;
        // At most one store in four has a sweeper in this process; in the others
        // callers sweep.
        builder = builder.sweeper(!deployment.has_processes() && number.is_multiple_of(4));
        let watch = if deployment.has_processes() {
            Watch::Real
        } else {
            let clock = Arc::new(ManualClock::at(START));
            builder = builder.clock(Arc::clone(&clock) as _);
            Watch::Stepped(clock)
        };
        let engine = builder.open()?;
        let children = if deployment.has_processes() { PROCESSES } else { 0 };
        let children = (0..children).map(|_| Child::start(&setup)).collect();
        let model = Model {
            hold_ttl_max: ttls.hold_ttl_max,
            payment_ttl: ttls.payment_ttl,
            max_per_customer: MAX_PER_CUSTOMER,
            counts_orders,
            re_reserve,
            clock_lag: if deployment.has_processes() { CLOCK_LAG } else { 0 },
        };
        Ok(Self { engine, model, deployment, watch, children, _file: file })
    }

    /// Creates the plan's products.
    pub fn stock_up(&self, plan: &Plan) -> Result<Vec<u64>> {
        let price = stockade::Money::from_minor(PRICE)?;
        let make = |stock: &u64| {
            let made = self.engine.create_product(NewProduct::new("Lamp", price, *stock))?.value;
            Ok(made.id.0)
        };
        plan.stocks.iter().map(make).collect()
    }

    /// Runs a plan and returns the callers' records, followed by the final reads.
    pub fn run(&mut self, plan: &Plan, products: &[u64]) -> Vec<Record> {
        let mut records = if self.children.is_empty() {
            caller::run(&self.context(plan, products), &Mutex::default(), 0..plan.callers)
        } else {
            self.run_children(plan, products)
        };
        records.extend(caller::read_back(&self.context(plan, products), &records));
        records
    }

    /// The context of this process's callers.
    fn context<'a>(&'a self, plan: &'a Plan, products: &'a [u64]) -> CallerContext<'a> {
        CallerContext { engine: &self.engine, watch: &self.watch, process: PARENT, plan, products }
    }

    /// Runs one caller of this process first, so that all processes share some
    /// holds and orders.
    fn run_children(&mut self, plan: &Plan, products: &[u64]) -> Vec<Record> {
        let first = Plan { steps: plan.steps / 2, ..plan.clone() };
        let known = Mutex::default();
        let mut records = caller::run(&self.context(&first, products), &known, 0..1);
        let known: KnownIds = known.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (child, number) in self.children.iter_mut().zip(0_u32..) {
            let numbers = (number * CALLERS_EACH + 1)..((number + 1) * CALLERS_EACH + 1);
            child.send(&Task {
                process: PARENT + 1 + number,
                plan: plan.clone(),
                products: products.to_vec(),
                known: known.clone(),
                numbers,
            });
        }
        records.extend(self.children.iter_mut().flat_map(Child::receive));
        records
    }

    /// Lets all holds and orders expire and waits until their stock has returned.
    pub fn let_all_end(&self, products: &[u64]) -> Result<()> {
        if let Watch::Stepped(clock) = &self.watch {
            clock.advance(A_DAY);
        }
        let since = Instant::now();
        loop {
            self.engine.sweep()?;
            let mut left = 0;
            for product in products {
                let page = self.engine.products(Some(ProductId(product - 1)), 1)?;
                left += page.items.iter().map(|item| item.held + item.pending).sum::<u64>();
            }
            if left == 0 || since.elapsed() > BACK_WITHIN {
                // Stock that expired after the sweep reads as returned, but its
                // rows are not updated yet.
                self.engine.sweep()?;
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn close(self) -> Result<()> {
        drop(self.children);
        self.engine.close()
    }

    pub fn deployment(&self) -> Deployment {
        self.deployment
    }
}

fn micros(micros: i64) -> String {
    format!("{micros}us")
}

impl Setup {
    /// Builds an engine with these settings.
    pub fn builder(&self) -> Result<EngineBuilder> {
        let set = |builder: EngineBuilder, (name, to): &(String, String)| builder.set(name, to);
        self.settings.iter().try_fold(Engine::builder(), set)
    }
}
