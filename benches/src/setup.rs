//! The stores of a bench: throw-away servers, and databases with Stockade's
//! tables for every contender.

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, SqliteConnection};
use stockade::Config;
use stockade_testkit::{Flavour, Redis, SqlServer, TempDb};

/// Stock that no bench exhausts.
pub const PLENTY: u64 = 1 << 40;

/// Products inserted per statement.
const CHUNK: u64 = 1000;

/// Returns the backend name of a database server.
#[must_use]
pub fn place(database: Flavour) -> &'static str {
    match database {
        Flavour::MariaDb => "mariadb",
        Flavour::MySql => "mysql",
    }
}

/// Large enough that no contender is measured while InnoDB flushes pages: only
/// the log's fsync remains.
fn flags(database: Flavour) -> &'static [&'static str] {
    match database {
        Flavour::MariaDb => {
            &["--innodb-buffer-pool-size=1G", "--innodb-log-file-size=1G", "--max-connections=1000"]
        }
        // MySQL writes a binary log by default and syncs it on each commit, so
        // a production server does too.
        Flavour::MySql => &[
            "--innodb-buffer-pool-size=1G",
            "--innodb-redo-log-capacity=1G",
            "--max-connections=1000",
            "--log-bin",
            "--sync-binlog=1",
        ],
    }
}

/// The bench's own database server and Redis.
#[derive(Debug)]
pub struct Servers {
    /// The database server; the test kit sets
    /// `innodb_flush_log_at_trx_commit=1`.
    pub sql: SqlServer,
    /// Redis, without persistence.
    pub redis: Redis,
}

impl Servers {
    /// Starts both.
    #[must_use]
    pub fn start(database: Flavour) -> Self {
        Self { sql: database.start_with(flags(database)), redis: Redis::start() }
    }

    /// Returns the backend name of the database server.
    #[must_use]
    pub fn place(&self) -> &'static str {
        place(self.sql.flavour())
    }

    /// Creates a database with products 1 to `products`, each with `stock`.
    pub async fn shop(&self, products: u64, stock: u64) -> Shop {
        let url = self.sql.fresh_database();
        fill(&url, products, stock).await;
        let prefix = url.rsplit('/').next().unwrap_or_default().to_owned();
        Shop { redis: Some((self.redis.url(), prefix)), url, file: None }
    }
}

/// A database with Stockade's tables, for one contender.
#[derive(Debug)]
pub struct Shop {
    /// The store's URL.
    pub url: String,
    /// Redis's URL and the key prefix of the contender.
    pub redis: Option<(String, String)>,
    #[expect(dead_code, reason = "removes the file when it is dropped")]
    file: Option<TempDb>,
}

impl Shop {
    /// Creates a SQLite file with products 1 to `products`, each with `stock`.
    pub async fn in_file(products: u64, stock: u64) -> Self {
        let file = TempDb::new();
        let url = file.url();
        fill(&url, products, stock).await;
        Self { url, redis: None, file: Some(file) }
    }

    /// A shop that another process created and owns.
    #[must_use]
    pub fn at(url: String, redis: Option<(String, String)>) -> Self {
        Self { url, redis, file: None }
    }
}

/// The holds of hand-written contenders, one in a row. Stockade packs many into one.
const CONTENDER_HOLDS: &str = "CREATE TABLE contender_holds ( \
     id BIGINT NOT NULL PRIMARY KEY, product_id BIGINT NOT NULL, qty BIGINT NOT NULL, \
     status SMALLINT NOT NULL, expires_at BIGINT NOT NULL, created_at BIGINT NOT NULL, \
     token BINARY(16) NOT NULL, CHECK (qty > 0)); \
     CREATE INDEX contender_holds_due ON contender_holds (product_id, status, expires_at)";

async fn fill(url: &str, products: u64, stock: u64) {
    let config = Config::from_pairs([("store", url)]).expect("a setting");
    stockade::migrate(&config).await.expect("the tables are made");
    run(url, CONTENDER_HOLDS).await;
    let mut first = 1;
    while first <= products {
        let last = products.min(first + CHUNK - 1);
        run(url, &insert_products(first, last, stock)).await;
        first = last + 1;
    }
    let next = products + 1;
    run(url, &format!("UPDATE stockade_sequences SET next = {next} WHERE name = 'product'")).await;
}

/// Builds the SQL that inserts products with these ids, each with `stock`.
#[must_use]
pub fn insert_products(first: u64, last: u64, stock: u64) -> String {
    let rows: Vec<String> = (first..=last)
        .map(|id| format!("({id}, 'Lamp', 1999, 'EUR', {stock}, 0, 0, 0, {stock}, 1, 0, NULL, 0)"))
        .collect();
    format!(
        "INSERT INTO stockade_products (id, name, price, currency, stock, held, pending, sold, \
         received, version, fence, next_due, created_at) VALUES {}",
        rows.join(", ")
    )
}

/// Runs SQL on its own connection.
///
/// # Panics
/// When the store fails.
pub async fn run(url: &str, sql: &str) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    if url.starts_with("mysql:") {
        let mut connection = MySqlConnection::connect(url).await.expect("connects");
        connection.execute(sql).await.expect("runs");
        connection.close().await.expect("closes");
    } else {
        let mut connection = SqliteConnection::connect(url).await.expect("opens");
        connection.execute(sql).await.expect("runs");
        connection.close().await.expect("closes");
    }
}
