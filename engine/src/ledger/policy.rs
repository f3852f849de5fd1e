//! The policy: the settings that the rules depend on.

use std::time::Duration;

use super::Command;

/// The settings that the rules depend on.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// The longest lifetime of a hold, with all its extensions.
    pub hold_ttl_max: Duration,
    /// How long an order may stay unpaid; `None`: without limit.
    pub payment_ttl: Option<Duration>,
    /// Whether a late payment reserves the units again.
    pub re_reserve: bool,
    /// Whether a request about a hold must carry its token.
    pub require_hold_token: bool,
    /// The most units of a product that one customer may hold; `None`: without
    /// limit.
    pub max_per_customer: Option<u32>,
}

impl Policy {
    pub fn needs_customer_holds(&self, command: &Command) -> bool {
        self.max_per_customer.is_some() && command.customer().is_some()
    }
}
