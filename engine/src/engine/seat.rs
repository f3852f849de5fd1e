//! Where an engine's calls are done.

use std::sync::Arc;
use std::time::Duration;

use super::life::Life;
use super::{Core, EngineBuilder};
use crate::config::Config;
use crate::error::{Error, Result};
#[cfg(feature = "remote")]
use crate::remote::Remote;

/// In this process, or by a running engine.
#[derive(Clone)]
pub(super) enum Seat {
    Here(Arc<Core>),
    #[cfg(feature = "remote")]
    There(Arc<Remote>),
}

/// Has a call done where the engine has its seat.
macro_rules! at_seat {
    ($seat:expr, $part:ident => $call:expr) => {
        match $seat {
            $crate::engine::seat::Seat::Here($part) => $call,
            #[cfg(feature = "remote")]
            $crate::engine::seat::Seat::There($part) => $call,
        }
    };
}
pub(super) use at_seat;

impl Seat {
    /// Takes the seat that the store's URL names.
    pub async fn open(builder: EngineBuilder) -> Result<Self> {
        if !builder.config.names_a_running_engine() {
            return Ok(Self::Here(Core::open(builder).await?));
        }
        #[cfg(feature = "remote")]
        return Ok(Self::There(Remote::open(builder.config, builder.clock.as_ref()).await?));
        #[cfg(not(feature = "remote"))]
        Err(Error::invalid_argument("this build opens no running engines: it lacks `remote`"))
    }

    pub fn config(&self) -> &Config {
        at_seat!(self, part => part.config())
    }

    pub fn life(&self) -> &Life {
        at_seat!(self, part => part.life())
    }

    pub fn metrics_text(&self) -> String {
        at_seat!(self, part => part.metrics_text())
    }

    pub fn redis_prefix(&self) -> Option<String> {
        at_seat!(self, part => part.redis_prefix())
    }

    pub async fn close(&self, bound: Duration) {
        at_seat!(self, part => part.close(bound).await);
    }

    /// What does the calls of others, if they are done here.
    pub fn own_core(&self) -> Result<&Core> {
        self.life().check_usable()?;
        match self {
            Self::Here(core) => Ok(core),
            #[cfg(feature = "remote")]
            Self::There(_) => {
                let why = "the engine sends its calls to another: open that one";
                Err(Error::new(crate::error::ErrorKind::Misuse, why))
            }
        }
    }
}
