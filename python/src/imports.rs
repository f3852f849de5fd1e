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
    short_line: PyType = "stockade.exceptions", "ShortLine";
    product: PyType = "stockade._model", "Product";
    product_page: PyType = "stockade._model", "ProductPage";
    hold: PyType = "stockade._model", "Hold";
    hold_request: PyType = "stockade._model", "HoldRequest";
    cart: PyType = "stockade._model", "Cart";
    order: PyType = "stockade._model", "Order";
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
    payment_statuses: PyDict = "stockade._model", "PAYMENT_STATUSES";
    event_kinds: PyDict = "stockade._model", "EVENT_KINDS";
}

static IMPORTS: PyOnceLock<Imports> = PyOnceLock::new();

/// Returns the imports; the first call loads them.
pub fn get(py: Python<'_>) -> PyResult<&Imports> {
    IMPORTS.get_or_try_init(py, || load(py))
}
