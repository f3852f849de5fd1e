//! Holds and carts as arguments: by their id, or as the object that an engine returned.

use pyo3::intern;
use pyo3::prelude::*;
use stockade::{
    CartId, ChangeQuantityRequest, ExtendCartRequest, ExtendRequest, HoldId, ReleaseCartRequest,
    ReleaseRequest, Token,
};

use crate::arguments::Readable;
use crate::imports;

/// Returns the token of a `Hold` or a `Cart`; None for one of a list, which shows none.
pub fn own_token(value: &Bound<'_, PyAny>) -> PyResult<Option<Token>> {
    let token = value.getattr(intern!(value.py(), "token"))?;
    if token.is_truthy()? { Token::read(&token).map(Some) } else { Ok(None) }
}

/// A hold given by its id, or as a `Hold` object with its token.
pub struct HoldRef {
    id: HoldId,
    token: Option<Token>,
}

impl Readable for HoldRef {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if is_hold(value)? {
            let id = HoldId::read(&value.getattr("id")?)?;
            return Ok(Self { id, token: own_token(value)? });
        }
        Ok(Self { id: HoldId::read(value)?, token: None })
    }
}

impl HoldRef {
    /// Builds the release request; an explicit token takes precedence.
    pub fn release(&self, token: Option<Token>) -> ReleaseRequest {
        let mut request = ReleaseRequest::new(self.id);
        request.token = token.or(self.token);
        request
    }

    /// Builds the extend request; an explicit token takes precedence.
    pub fn extend(&self, token: Option<Token>) -> ExtendRequest {
        let mut request = ExtendRequest::new(self.id);
        request.token = token.or(self.token);
        request
    }
}

impl HoldRef {
    /// Builds the request to change the quantity; an explicit token takes
    /// precedence.
    pub fn change(&self, quantity: u32, token: Option<Token>) -> ChangeQuantityRequest {
        let mut request = ChangeQuantityRequest::new(self.id, quantity);
        request.token = token.or(self.token);
        request
    }
}

/// A cart given by its id, or as a `Cart` object with its token.
pub struct CartRef {
    id: CartId,
    token: Option<Token>,
}

impl Readable for CartRef {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = value.py();
        if value.is_instance(imports::get(py)?.cart.bind(py))? {
            let id = CartId::read(&value.getattr("id")?)?;
            return Ok(Self { id, token: own_token(value)? });
        }
        Ok(Self { id: CartId::read(value)?, token: None })
    }
}

impl CartRef {
    /// Builds the release request; an explicit token takes precedence.
    pub fn release(&self, token: Option<Token>) -> ReleaseCartRequest {
        let mut request = ReleaseCartRequest::new(self.id);
        request.token = token.or(self.token);
        request
    }

    /// Builds the extend request; an explicit token takes precedence.
    pub fn extend(&self, token: Option<Token>) -> ExtendCartRequest {
        let mut request = ExtendCartRequest::new(self.id);
        request.token = token.or(self.token);
        request
    }
}

pub fn is_hold(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    value.is_instance(imports::get(py)?.hold.bind(py))
}
