//! Someone else in the same database: a backup, a report, another program.

use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, raw_sql};
use stockade_testkit::wait_until;
use tokio::runtime::{Builder, Runtime};

use crate::world::World;

const WITHIN: Duration = Duration::from_secs(20);

/// A connection of its own, which keeps its transaction open until told.
pub struct Outsider {
    runtime: Runtime,
    connection: Connection,
}

enum Connection {
    MySql(MySqlConnection),
    Sqlite(SqliteConnection),
}

impl Outsider {
    pub fn new(world: &World) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        world.spoil();
        let url = &world.url;
        let connection = runtime.block_on(async {
            match url.starts_with("sqlite") {
                true => SqliteConnection::connect(url).await.map(Connection::Sqlite),
                false => MySqlConnection::connect(url).await.map(Connection::MySql),
            }
        });
        Self { runtime, connection: connection.expect("connects") }
    }

    /// Runs statements; each waits for its locks.
    pub fn run(&mut self, sql: &str) {
        let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
        let Self { runtime, connection } = self;
        let done = runtime.block_on(async {
            match connection {
                Connection::MySql(connection) => sql.execute(connection).await.map(drop),
                Connection::Sqlite(connection) => sql.execute(connection).await.map(drop),
            }
        });
        done.expect("runs");
    }

    /// Begins a transaction with so much to undo that a deadlock is never
    /// resolved at its cost.
    pub fn begin_heavy(&mut self) {
        self.run("CREATE TABLE IF NOT EXISTS outsider (id INT)");
        let rows: Vec<String> = (0..200).map(|id| format!("({id})")).collect();
        self.run(&format!("START TRANSACTION; INSERT INTO outsider VALUES {}", rows.join(",")));
    }

    pub fn lock(&mut self, table: &str, id: u64) {
        let key = if table == "hold_batches" { "first_id" } else { "id" };
        self.run(&format!("SELECT {key} FROM stockade_{table} WHERE {key} = {id} FOR UPDATE"));
    }
}

/// Waits until a transaction of this world's database waits for a lock.
pub fn wait_for_a_lock_wait(world: &World) {
    wait_until("a transaction waits for a lock", WITHIN, || {
        transactions(world).iter().any(|transaction| transaction.contains("LOCK WAIT"))
    });
}

/// Waits until no transaction of this world's database is open.
pub fn wait_for_no_transaction(world: &World) {
    wait_until("no transaction is open", WITHIN, || transactions(world).is_empty());
}

/// The open transactions of this world's database, as the server describes
/// them. `innodb_trx` would be easier to read, but it is not renewed as long as
/// someone looks more often than every tenth of a second.
fn transactions(world: &World) -> Vec<String> {
    let server = world.backend.server();
    let status = server.query("SHOW ENGINE INNODB STATUS");
    let ids = server.connections_to(world.database());
    let ids: Vec<String> = ids.iter().map(|id| format!("thread id {id},")).collect();
    let open = status.split("---TRANSACTION ").filter(|text| text.contains(", ACTIVE"));
    let ours = |text: &&str| ids.iter().any(|id| text.contains(id));
    open.filter(ours).map(str::to_owned).collect()
}
