//! Audits.

use std::ffi::{CString, c_char};

use stockade::AuditReport;

use crate::answers::entry;
use crate::border;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::error::stockade_error;
use crate::handle;
use crate::plain::{self, plain};
use crate::text::ended;

/// The numbers of an audit. Sums of units that are greater than INT64_MAX are
/// told as INT64_MAX.
#[repr(C)]
pub struct stockade_audit_summary {
    /// sizeof(stockade_audit_summary), set by the caller.
    pub struct_size: u32,
    /// 1 when nothing was found wrong, else 0.
    pub consistent: u32,
    /// Products looked at.
    pub products: u64,
    /// Units ever received, less those written off.
    pub received: i64,
    /// Units that can be held.
    pub stock: i64,
    /// Units in active holds.
    pub held: i64,
    /// Units in unpaid orders.
    pub pending: i64,
    /// Units in paid orders.
    pub sold: i64,
    /// Payment events that wait for an order which is not there yet. Not a
    /// fault by itself.
    pub waiting_events: u64,
    /// When the oldest of them came, in microseconds since 1970 in UTC; 0 for
    /// none.
    pub oldest_waiting_event_us: i64,
    /// Products with due holds or orders that no sweep has taken back yet. Not
    /// a fault: they are dead all the same.
    pub products_due: u64,
    /// How many findings there are.
    pub findings: u64,
}
plain!(stockade_audit_summary, first 88, now 88);

/// Something that is wrong. Its texts live as long as the report.
#[repr(C)]
pub struct stockade_finding {
    /// sizeof(stockade_finding), set by the caller.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// The id of the product, hold or order, as the check is about one or
    /// another.
    pub id: u64,
    /// The check that found it, such as "conservation".
    pub check: *const c_char,
    /// What was expected and what was found.
    pub detail: *const c_char,
}
plain!(stockade_finding, first 32, now 32);

/// A finding with texts that C can read.
struct Found {
    id: u64,
    check: CString,
    detail: CString,
}

/// What an audit found. Owned by the caller, who frees it with
/// stockade_audit_free.
pub struct stockade_audit {
    report: AuditReport,
    findings: Vec<Found>,
}

impl From<&Found> for stockade_finding {
    fn from(found: &Found) -> Self {
        Self {
            struct_size: 0,
            reserved: 0,
            id: found.id,
            check: found.check.as_ptr(),
            detail: found.detail.as_ptr(),
        }
    }
}

/// A sum as C can read it.
fn at_most(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

impl From<AuditReport> for stockade_audit {
    fn from(report: AuditReport) -> Self {
        let findings = report.findings.iter().map(|finding| Found {
            id: finding.id,
            check: ended(finding.check.as_str().to_owned()),
            detail: ended(finding.detail.clone()),
        });
        Self { findings: findings.collect(), report }
    }
}

/// Compares all of the store's numbers with each other, in one snapshot.
///
/// Errors: unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_audit(
    engine: *const stockade_engine,
    audit: *mut *mut stockade_audit,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        border::call(error, || {
            handle::give(audit, "audit", || Ok(self::engine(engine)?.audit()?.into()))
        })
    }
}

/// Reads the numbers of an audit.
///
/// Errors: invalid_argument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_audit_read(
    audit: *const stockade_audit,
    summary: *mut stockade_audit_summary,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        border::call(error, || {
            let AuditReport {
                consistent,
                products,
                units,
                waiting_events,
                oldest_waiting_event,
                products_due,
                ref findings,
                ..
            } = handle::given(audit, "audit")?.report;
            let value = stockade_audit_summary {
                struct_size: 0,
                consistent: consistent.into(),
                products,
                received: at_most(units.received),
                stock: at_most(units.stock),
                held: at_most(units.held),
                pending: at_most(units.pending),
                sold: at_most(units.sold),
                waiting_events,
                oldest_waiting_event_us: oldest_waiting_event.map_or(0, |at| at.micros()),
                products_due,
                findings: findings.len() as u64,
            };
            plain::write(summary, value)
        })
    }
}

/// Reads a finding, counted from 0.
///
/// Errors: invalid_argument when there is none so far.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_audit_finding(
    audit: *const stockade_audit,
    index: usize,
    finding: *mut stockade_finding,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe { entry(audit, |audit| audit.findings.as_slice(), index, finding, error) }
}

/// Frees an audit and its texts. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_audit_free(audit: *mut stockade_audit) {
    // SAFETY: as the header asks of the caller.
    unsafe { handle::free(audit) }
}
