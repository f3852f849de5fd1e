//! Classifies the error numbers of MySQL, MariaDB and the proxies before them.
//!
//! One table, made from the lists of MySQL 9.7 and MariaDB 11.8 number by number:
//! what may pass is retried and then reported as 503; what would fail the same way
//! again is `internal`. A number that differs between servers has both names.

use sqlx::mysql::MySqlDatabaseError;

use crate::store::error::{Fault, StoreError};

/// Numbers of the server's operating system layer, such as 3 "Error writing file"
/// and 20 "Disk is full writing". The servers' own begin at 1000.
const OPERATING_SYSTEM: std::ops::Range<u16> = 1..200;
/// Numbers of a client library, which proxies pass on, such as 2006 and 2013,
/// "lost connection".
const CLIENT: std::ops::Range<u16> = 2000..2100;

/// Every number that is not [`Fault::Fatal`].
const TABLE: &[(Fault, &[(u16, &str)])] = &[
    (
        Fault::Deadlock,
        &[
            // Also a certification conflict of Galera, at COMMIT.
            (1213, "ER_LOCK_DEADLOCK"),
            // An earlier commit that failed takes this one with it (MariaDB).
            (1964, "ER_PRIOR_COMMIT_FAILED"),
            // By GET_LOCK.
            (3058, "ER_USER_LOCK_DEADLOCK"),
        ],
    ),
    (
        Fault::LockWait,
        &[
            (1205, "ER_LOCK_WAIT_TIMEOUT"),
            (1689, "ER_LOCK_ABORTED"),
            // Statement time limits: another transaction held the row for
            // longer (MariaDB, MySQL).
            (1969, "ER_STATEMENT_TIMEOUT"),
            (3024, "ER_QUERY_TIMEOUT"),
            (3572, "ER_LOCK_NOWAIT"),
        ],
    ),
    (
        Fault::Conflict,
        &[
            // The row has changed since it was read (MariaDB's snapshot isolation).
            (1020, "ER_CHECKREAD"),
            // NOT NULL violated: how an unmet guard shows.
            (1048, "ER_BAD_NULL_ERROR"),
            // The table was altered meanwhile: "please retry transaction".
            (1412, "ER_TABLE_DEF_CHANGED"),
            (1615, "ER_NEED_REPREPARE"),
            // Group Replication: another node's write came first. Also from a node
            // that is cut off from its group, where COMMIT may have landed: no
            // deadlock, since those are known to be rolled back.
            (3101, "ER_TRANSACTION_ROLLBACK_DURING_COMMIT"),
            // Write conflicts of TiDB.
            (8002, "TiDB"),
            (8005, "TiDB"),
            (8022, "TiDB"),
            (8028, "TiDB"),
            (9007, "TiDB"),
        ],
    ),
    (
        Fault::Duplicate,
        &[(1022, "ER_DUP_KEY"), (1062, "ER_DUP_ENTRY"), (1586, "ER_DUP_ENTRY_WITH_KEY_NAME")],
    ),
    (
        Fault::Invariant,
        &[
            (1264, "ER_WARN_DATA_OUT_OF_RANGE"),
            (1690, "ER_DATA_OUT_OF_RANGE"),
            (3819, "ER_CHECK_CONSTRAINT_VIOLATED"),
            // MariaDB's CHECK.
            (4025, "ER_CONSTRAINT_FAILED"),
        ],
    ),
    (
        Fault::TooLarge,
        &[
            (1153, "ER_NET_PACKET_TOO_LARGE"),
            // The binary log's caches are full.
            (1197, "ER_TRANS_CACHE_FULL"),
            (1705, "ER_STMT_CACHE_FULL"),
            // Group Replication's transaction size limit.
            (3231, "ER_WRITE_SET_EXCEEDS_LIMIT"),
        ],
    ),
    (
        Fault::Exhausted,
        &[
            // Disks.
            (1004, "ER_CANT_CREATE_FILE"),
            (1016, "ER_CANT_OPEN_FILE"),
            (1021, "ER_DISK_FULL"),
            (1024, "ER_ERROR_ON_READ"),
            (1026, "ER_ERROR_ON_WRITE"),
            // The storage engine's number is in the message, such as 28, no space
            // left.
            (1030, "ER_GET_ERRNO"),
            (1114, "ER_RECORD_FILE_FULL"),
            (1598, "ER_BINLOG_LOGGING_IMPOSSIBLE"),
            (3675, "ER_DISK_FULL_NOWAIT"),
            // MariaDB's.
            (4139, "ER_INDEX_FILE_FULL"),
            // Memory, threads, slots.
            (1028, "ER_FILSORT_ABORT"),
            (1037, "ER_OUTOFMEMORY"),
            (1038, "ER_OUT_OF_SORTMEMORY"),
            (1041, "ER_OUT_OF_RESOURCES"),
            (1135, "ER_CANT_CREATE_THREAD"),
            (1206, "ER_LOCK_TABLE_FULL"),
            (1637, "ER_TOO_MANY_CONCURRENT_TRXS"),
            (3015, "ER_ENGINE_OUT_OF_MEMORY"),
            (3019, "ER_INNODB_UNDO_LOG_FULL"),
            (3985, "ER_MDL_OUT_OF_RESOURCES"),
            // "Got temporary error from storage engine".
            (1297, "ER_GET_TEMPORARY_ERRMSG"),
            // Connections, and an account's hourly quotas.
            (1040, "ER_CON_COUNT_ERROR"),
            (1203, "ER_TOO_MANY_USER_CONNECTIONS"),
            (1226, "ER_USER_LIMIT_REACHED"),
            (4081, "ER_DA_GLOBAL_CONN_LIMIT"),
            (4082, "ER_DA_CONN_LIMIT"),
        ],
    ),
    (
        Fault::Lost,
        &[
            // Login rejected. Explained when the store is opened; later the operator
            // may be changing the account.
            (1042, "ER_BAD_HOST_ERROR"),
            (1043, "ER_HANDSHAKE_ERROR"),
            (1044, "ER_DBACCESS_DENIED_ERROR"),
            (1045, "ER_ACCESS_DENIED_ERROR"),
            (1049, "ER_BAD_DB_ERROR"),
            (1129, "ER_HOST_IS_BLOCKED"),
            (1130, "ER_HOST_NOT_PRIVILEGED"),
            (1142, "ER_TABLEACCESS_DENIED_ERROR"),
            (1143, "ER_COLUMNACCESS_DENIED_ERROR"),
            (1251, "ER_NOT_SUPPORTED_AUTH_MODE"),
            (1275, "ER_SERVER_IS_IN_SECURE_AUTH_MODE"),
            (1524, "ER_PLUGIN_IS_NOT_LOADED"),
            (1698, "ER_ACCESS_DENIED_NO_PASSWORD_ERROR"),
            (1820, "ER_MUST_CHANGE_PASSWORD"),
            (1862, "ER_MUST_CHANGE_PASSWORD_LOGIN"),
            (3118, "ER_ACCOUNT_HAS_BEEN_LOCKED"),
            (3159, "ER_SECURE_TRANSPORT_REQUIRED"),
            (3955, "ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK"),
            // MariaDB's.
            (4150, "ER_USER_IS_BLOCKED"),
            (4151, "ER_ACCOUNT_HAS_BEEN_LOCKED"),
            // Shutdown, kill, idle timeout, network.
            (1053, "ER_SERVER_SHUTDOWN"),
            (1077, "ER_NORMAL_SHUTDOWN"),
            (1079, "ER_SHUTDOWN_COMPLETE"),
            (1152, "ER_ABORTING_CONNECTION"),
            (1154, "ER_NET_READ_ERROR_FROM_PIPE"),
            (1155, "ER_NET_FCNTL_ERROR"),
            (1156, "ER_NET_PACKETS_OUT_OF_ORDER"),
            (1157, "ER_NET_UNCOMPRESS_ERROR"),
            (1158, "ER_NET_READ_ERROR"),
            (1159, "ER_NET_READ_INTERRUPTED"),
            (1160, "ER_NET_ERROR_ON_WRITE"),
            (1161, "ER_NET_WRITE_INTERRUPTED"),
            (1180, "ER_ERROR_DURING_COMMIT"),
            (1181, "ER_ERROR_DURING_ROLLBACK"),
            // Also where init_connect fails.
            (1184, "ER_NEW_ABORTING_CONNECTION"),
            (1317, "ER_QUERY_INTERRUPTED"),
            (1835, "ER_MALFORMED_PACKET"),
            (1927, "ER_CONNECTION_KILLED"),
            (3032, "ER_SERVER_OFFLINE_MODE"),
            (3169, "ER_SESSION_WAS_KILLED"),
            (4031, "ER_CLIENT_INTERACTION_TIMEOUT"),
            (6400, "ER_SERVER_OFFLINE_MODE_REASON"),
            // Read-only, as after a fail-over: another server takes writes.
            (1036, "ER_OPEN_AS_READONLY"),
            (1207, "ER_READ_ONLY_TRANSACTION"),
            (1290, "ER_OPTION_PREVENTS_STATEMENT"),
            (1792, "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION"),
            (1836, "ER_READ_ONLY_MODE"),
            (1874, "ER_INNODB_READ_ONLY"),
            (3989, "ER_SCHEMA_READ_ONLY"),
            // A node that is cut off from its cluster (Galera, Group Replication),
            // or delays its clients while it catches up.
            (1047, "ER_UNKNOWN_COM_ERROR"),
            (3100, "ER_RUN_HOOK_ERROR"),
            (3781, "ER_GR_HOLD_WAIT_TIMEOUT"),
            (3782, "ER_GR_HOLD_KILLED"),
            (3783, "ER_GR_HOLD_MEMBER_STATUS_ERROR"),
            (3796, "ER_GRP_TRX_CONSISTENCY_NOT_ALLOWED"),
            (3797, "ER_GRP_TRX_CONSISTENCY_BEFORE"),
            (3798, "ER_GRP_TRX_CONSISTENCY_AFTER_ON_TRX_BEGIN"),
            (3799, "ER_GRP_TRX_CONSISTENCY_BEGIN_NOT_ALLOWED"),
            // While the group moves its primary.
            (4094, "ER_OPERATION_NOT_ALLOWED_WHILE_PRIMARY_CHANGE_IS_RUNNING"),
            // The session's settings have changed: a proxy lent another session, or
            // the operator changed the server.
            (1568, "ER_CANT_CHANGE_TX_CHARACTERISTICS"),
            (1665, "ER_BINLOG_STMT_MODE_AND_ROW_ENGINE"),
            // A proxy's error for any fault behind it (Vitess).
            (1105, "ER_UNKNOWN_ERROR"),
            // The cluster does not respond (TiDB); the proxy has no server (ProxySQL).
            (9001, "TiDB, ProxySQL"),
            (9002, "TiDB, ProxySQL"),
            (9003, "TiDB"),
            (9004, "TiDB"),
            (9005, "TiDB"),
        ],
    ),
];

/// The server's error number, if the server rejected a statement or a login.
pub(super) fn server_error_number(error: &sqlx::Error) -> Option<u16> {
    let database = error.as_database_error()?;
    database.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

fn fault_by_number(number: u16) -> Option<Fault> {
    if OPERATING_SYSTEM.contains(&number) {
        return Some(Fault::Exhausted);
    }
    if CLIENT.contains(&number) {
        return Some(Fault::Lost);
    }
    let mut numbers = TABLE.iter().flat_map(|(fault, all)| all.iter().map(move |n| (n.0, *fault)));
    numbers.find(|(listed, _)| *listed == number).map(|(_, fault)| fault)
}

pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    StoreError::from_sqlx(error, |error| server_error_number(error).and_then(fault_by_number))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn error_numbers_are_classified() {
        for (number, fault) in [
            (1213, Fault::Deadlock),
            (3101, Fault::Conflict),
            (1205, Fault::LockWait),
            (3572, Fault::LockWait),
            (1969, Fault::LockWait),
            (3024, Fault::LockWait),
            (1020, Fault::Conflict),
            (1048, Fault::Conflict),
            (9007, Fault::Conflict),
            (1062, Fault::Duplicate),
            (4025, Fault::Invariant),
            (3819, Fault::Invariant),
            (1690, Fault::Invariant),
            (1045, Fault::Lost),
            (1049, Fault::Lost),
            (1927, Fault::Lost),
            (4031, Fault::Lost),
            (1290, Fault::Lost),
            (1836, Fault::Lost),
            (1792, Fault::Lost),
            (1047, Fault::Lost),
            (1180, Fault::Lost),
            (1142, Fault::Lost),
            (2013, Fault::Lost),
            (1040, Fault::Exhausted),
            (1226, Fault::Exhausted),
            (1021, Fault::Exhausted),
            (1114, Fault::Exhausted),
            (1206, Fault::Exhausted),
            (3, Fault::Exhausted),
            (1153, Fault::TooLarge),
            (1197, Fault::TooLarge),
        ] {
            assert_eq!(fault_by_number(number), Some(fault), "{number}");
        }
        for (number, why) in
            [(1054, "an unknown column"), (1064, "a syntax error"), (1146, "a missing table")]
        {
            assert_eq!(fault_by_number(number), None, "{why} is not retried");
        }
    }

    #[test]
    fn no_number_is_listed_twice() {
        let all: Vec<u16> = TABLE
            .iter()
            .flat_map(|(_, numbers)| numbers.iter().map(|(number, _)| *number))
            .collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
