//! Handles to an open engine that name who asks: `acting_as` of both classes of
//! [`crate::engines`].

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{Borrowed, FromPyObject, PyClass, intern};

/// An engine and the name of one of its users: what `acting_as` constructs a handle of.
/// The module does not export the class.
#[pyclass(frozen, module = "stockade._native")]
pub struct Acting {
    engine: Py<PyAny>,
    actor: String,
}

impl Acting {
    /// Returns the engine and the name.
    pub fn of<'a, 'py, E: PyClass>(
        &'a self,
        py: Python<'py>,
    ) -> PyResult<(&'a Bound<'py, E>, &'a str)> {
        Ok((self.engine.bind(py).cast()?, &self.actor))
    }
}

/// What a class is constructed of.
pub enum Source<'py> {
    /// The URL of a store.
    Store(String),
    /// An open engine, of which the object becomes another handle.
    Engine(Bound<'py, Acting>),
}

impl<'py> FromPyObject<'_, 'py> for Source<'py> {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match value.cast::<Acting>() {
            Ok(acting) => Ok(Self::Engine(acting.to_owned())),
            Err(_) => Ok(Self::Store(value.cast::<PyString>()?.to_str()?.to_owned())),
        }
    }
}

/// Returns another object of the engine's class, which is a handle to the same engine.
/// It is not initialized: as of a copy, the attributes of a subclass are the engine's.
pub fn acting_as<'py, E: PyClass>(
    engine: &Bound<'py, E>,
    actor: String,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, engine) = (engine.py(), engine.as_any());
    let acting = Bound::new(py, Acting { engine: engine.clone().unbind(), actor })?;
    let new = intern!(py, "__new__");
    let handle = py.get_type::<E>().call_method1(new, (engine.get_type(), acting))?;
    let name = intern!(py, "__dict__");
    if let Some(attributes) = engine.getattr_opt(name)? {
        handle.getattr(name)?.cast::<PyDict>()?.update(attributes.cast()?)?;
    }
    Ok(handle)
}
