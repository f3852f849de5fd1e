//! Cached Python imports.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

macro_rules! imports {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $module:literal, $attribute:literal;)*) => {
        /// Classes and functions imported from Python.
        pub struct Imports {
            $($(#[$doc])* pub $name: Py<$kind>,)*
        }

        fn load(py: Python<'_>) -> PyResult<Imports> {
            Ok(Imports {
                $($name: py.import($module)?.getattr($attribute)?.cast_into()?.unbind(),)*
            })
        }
    };
}

imports! {
    decimal: PyType = "decimal", "Decimal";
    /// Sets an attribute of a frozen dataclass.
    set_attribute: PyAny = "stockade._scope", "set_attribute";
    leave_scope: PyAny = "stockade._scope", "leave";
    running_loop: PyAny = "asyncio", "get_running_loop";
    /// Exception classes by error code.
    error_classes: PyDict = "stockade.exceptions", "BY_CODE";
    /// A mapping as JSON text, and back.
    dump_metadata: PyAny = "stockade._metadata", "dump";
    load_metadata: PyAny = "stockade._metadata", "load";
    unusable_hold: PyType = "stockade.exceptions", "UnusableHold";
    short_line: PyType = "stockade.exceptions", "ShortLine";
    product: PyType = "stockade._model", "Product";
    product_page: PyType = "stockade._model", "ProductPage";
    put_product: PyType = "stockade._model", "PutProduct";
    put_outcome: PyType = "stockade._model", "PutOutcome";
    hold: PyType = "stockade._model", "Hold";
    hold_page: PyType = "stockade._model", "HoldPage";
    hold_request: PyType = "stockade._model", "HoldRequest";
    cart: PyType = "stockade._model", "Cart";
    cart_line: PyType = "stockade._model", "CartLine";
    order_line: PyType = "stockade._model", "OrderLine";
    order: PyType = "stockade._model", "Order";
    order_page: PyType = "stockade._model", "OrderPage";
    waiting_payment: PyType = "stockade._model", "WaitingPayment";
    waiting_payment_page: PyType = "stockade._model", "WaitingPaymentPage";
    erased: PyType = "stockade._model", "Erased";
    payment_receipt: PyType = "stockade._model", "PaymentReceipt";
    event: PyType = "stockade._model", "Event";
    sweep_report: PyType = "stockade._model", "SweepReport";
    audit_report: PyType = "stockade._model", "AuditReport";
    units: PyType = "stockade._model", "Units";
    finding: PyType = "stockade._model", "Finding";
    /// Enum members by value, one dictionary per class.
    hold_statuses: PyDict = "stockade._model", "HOLD_STATUSES";
    order_statuses: PyDict = "stockade._model", "ORDER_STATUSES";
    dispositions: PyDict = "stockade._model", "DISPOSITIONS";
    outcomes: PyDict = "stockade._model", "OUTCOMES";
    payment_statuses: PyDict = "stockade._model", "PAYMENT_STATUSES";
    event_kinds: PyDict = "stockade._model", "EVENT_KINDS";
}

static IMPORTS: PyOnceLock<Imports> = PyOnceLock::new();

/// Returns the imports; the first call loads them.
pub fn get(py: Python<'_>) -> PyResult<&Imports> {
    IMPORTS.get_or_try_init(py, || load(py))
}
