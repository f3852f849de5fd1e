//! The policy: the settings that the rules depend on.

use std::time::Duration;

use super::{Command, PaymentRow};
use crate::model::Timestamp;

/// How long a payment event that has its order's token waits for that order: as long
/// as providers repeat an event. Who has the token was given it by the shop, so that
/// the order it names is no other's.
const TOKEN_WAITS: Duration = Duration::from_secs(3 * 86_400);

/// The settings that the rules depend on.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// The longest lifetime of a hold, with all its extensions.
    pub hold_ttl_max: Duration,
    /// How long an order may stay unpaid; `None`: without limit.
    pub payment_ttl: Option<Duration>,
    /// How long an order may stay unpaid with all its extensions.
    pub payment_ttl_max: Duration,
    /// How long a pending order lives on after the first failed attempt to pay it.
    pub failed_payment_grace: Duration,
    /// Whether a late payment reserves the units again.
    pub re_reserve: bool,
    /// Whether a request about a hold must carry its token.
    pub require_hold_token: bool,
    /// The most units of a product that one customer may hold; `None`: without
    /// limit.
    pub max_per_customer: Option<u32>,
    /// For how long the units that a customer has paid for count for the limit, and
    /// those of unpaid orders; `None`: active holds alone count.
    pub customer_window: Option<Duration>,
    /// How long a payment event that names an order by its id waits for it.
    pub early_payment_ttl: Duration,
}

impl Policy {
    /// Returns when an event no longer waits for its order: one that is made then, or
    /// later, is not affected by it.
    pub fn waits_until(&self, event: &PaymentRow) -> Timestamp {
        let ttl = if event.secret.is_some() { TOKEN_WAITS } else { self.early_payment_ttl };
        event.received_at.after(ttl)
    }

    /// Returns how long events by an order's id and by its token wait.
    pub fn waiting_times(&self) -> (Duration, Duration) {
        (self.early_payment_ttl, TOKEN_WAITS)
    }

    pub fn needs_customer_holds(&self, command: &Command) -> bool {
        self.max_per_customer.is_some() && command.customer().is_some()
    }
}
