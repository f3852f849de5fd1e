//! A connection, whichever way it came.

use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection's two directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// A connection of either kind.
pub type Stream = Pin<Box<dyn Duplex>>;
