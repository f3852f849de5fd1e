//! Audits.

use std::ffi::{CString, c_char};

use stockade::AuditReport;

use crate::boundary;
use crate::code::stockade_code;
use crate::engine::{engine, stockade_engine};
use crate::error::stockade_error;
use crate::handle;
use crate::responses::entry;
use crate::text::to_c_string;
use crate::versioned_struct::{self, versioned_struct};

/// The totals of an audit. Sums of units above INT64_MAX are reported as
/// INT64_MAX.
#[repr(C)]
pub struct stockade_audit_summary {
    /// sizeof(stockade_audit_summary), set by the caller.
    pub struct_size: u32,
    /// 1 if the audit found no fault, else 0.
    pub consistent: u32,
    /// Products audited.
    pub products: u64,
    /// Units received, less units written off.
    pub received: i64,
    /// Units available to hold.
    pub stock: i64,
    /// Units in active holds.
    pub held: i64,
    /// Units in unpaid orders.
    pub pending: i64,
    /// Units in paid orders, less those refunded.
    pub sold: i64,
    /// Payment events waiting for an order that does not exist yet. Not a fault
    /// by itself.
    pub waiting_events: u64,
    /// When the oldest of them arrived, in microseconds since 1970 in UTC; 0
    /// for none.
    pub oldest_waiting_event_us: i64,
    /// Products with due holds or orders that no sweep has processed yet. Not a
    /// fault: due holds and orders have already expired.
    pub products_due: u64,
    /// The number of findings.
    pub findings: u64,
    /// Units refunded and not for sale again.
    pub returned: i64,
}
versioned_struct!(stockade_audit_summary, first 88, now 96);

/// A fault that an audit found. Its texts live as long as the audit.
#[repr(C)]
pub struct stockade_finding {
    /// sizeof(stockade_finding), set by the caller.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// The id of the product, hold or order, depending on the check.
    pub id: u64,
    /// The check that failed, such as "conservation".
    pub check: *const c_char,
    /// The expected and the actual value.
    pub detail: *const c_char,
}
versioned_struct!(stockade_finding, first 32, now 32);

/// A finding with NUL-terminated texts.
struct FindingText {
    id: u64,
    check: CString,
    detail: CString,
}

/// The report of an audit. Owned by the caller, who frees it with
/// stockade_audit_free.
pub struct stockade_audit {
    report: AuditReport,
    findings: Vec<FindingText>,
}

impl From<&FindingText> for stockade_finding {
    fn from(found: &FindingText) -> Self {
        Self {
            struct_size: 0,
            reserved: 0,
            id: found.id,
            check: found.check.as_ptr(),
            detail: found.detail.as_ptr(),
        }
    }
}

/// Saturates a sum to an int64_t.
fn saturate(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

impl From<AuditReport> for stockade_audit {
    fn from(report: AuditReport) -> Self {
        let findings = report.findings.iter().map(|finding| FindingText {
            id: finding.id,
            check: to_c_string(finding.check.as_str().to_owned()),
            detail: to_c_string(finding.detail.clone()),
        });
        Self { findings: findings.collect(), report }
    }
}

/// Checks the consistency of all stock in one snapshot of the store.
///
/// Errors: unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_audit(
    engine: *const stockade_engine,
    audit: *mut *mut stockade_audit,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            handle::write_new(audit, "audit", || Ok(self::engine(engine)?.audit()?.into()))
        })
    }
}

/// Reads the totals of an audit.
///
/// Errors: invalid_argument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_audit_read(
    audit: *const stockade_audit,
    summary: *mut stockade_audit_summary,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            let AuditReport {
                consistent,
                products,
                units,
                waiting_events,
                oldest_waiting_event,
                products_due,
                ref findings,
                ..
            } = handle::borrow(audit, "audit")?.report;
            let value = stockade_audit_summary {
                struct_size: 0,
                consistent: consistent.into(),
                products,
                received: saturate(units.received),
                stock: saturate(units.stock),
                held: saturate(units.held),
                pending: saturate(units.pending),
                sold: saturate(units.sold),
                waiting_events,
                oldest_waiting_event_us: oldest_waiting_event.map_or(0, |at| at.micros()),
                products_due,
                findings: findings.len() as u64,
                returned: saturate(units.returned),
            };
            versioned_struct::write(summary, value)
        })
    }
}

/// Reads a finding, counted from 0.
///
/// Errors: invalid_argument if the index is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_audit_finding(
    audit: *const stockade_audit,
    index: usize,
    finding: *mut stockade_finding,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { entry(audit, |audit| audit.findings.as_slice(), index, finding, error) }
}

/// Frees an audit and its texts. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_audit_free(audit: *mut stockade_audit) {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { handle::free(audit) }
}
