//! Tests the checker and the model on histories that are known to be linearizable
//! or not.

use stockade::{HoldStatus, OrderStatus, PaymentDisposition};

use super::checker::{Operation, Verdict, WORK_MAX, check};
use super::model::{Act, Command, Keyed, Model, State};
use super::plan::PRICE;
use super::record::{Answer, Held, Ordered, Refused, Units};

const MODEL: Model = Model {
    hold_ttl_max: 1_000,
    payment_ttl: 500,
    max_per_customer: 3,
    counts_orders: false,
    re_reserve: true,
    clock_lag: 0,
};
const TTL: i64 = 100;

/// Builds a history of one product. Each operation's time counts as microseconds
/// of the engine's clock and as nanoseconds of the monotonic clock.
#[derive(Clone)]
struct HistoryBuilder {
    stock: u64,
    model: Model,
    operations: Vec<Operation<Act>>,
}

fn with_stock(stock: u64) -> HistoryBuilder {
    HistoryBuilder { stock, model: MODEL, operations: Vec::new() }
}

/// Where a customer's orders count for the limit.
fn counting(stock: u64) -> HistoryBuilder {
    HistoryBuilder { model: Model { counts_orders: true, ..MODEL }, ..with_stock(stock) }
}

impl HistoryBuilder {
    /// Adds an operation with its invocation and response times.
    fn during(mut self, from: i64, to: i64, command: Command, answer: Answer) -> Self {
        let nanos = |time: i64| time.unsigned_abs();
        let is_open = answer == Answer::Unknown;
        let answered = (!is_open).then_some(nanos(to));
        let to = if is_open { i64::MAX - 1 } else { to };
        let record = self.operations.len();
        let act = Act { command, key: None, answer, from, to };
        self.operations.push(Operation { act, called: nanos(from), answered, record });
        self
    }

    /// Adds an operation invoked and answered at the same time.
    fn at(self, time: i64, command: Command, answer: Answer) -> Self {
        self.during(time, time, command, answer)
    }

    /// Gives the last operation an idempotency key.
    fn keyed(mut self, key: &str, request: &str, replayed: bool) -> Self {
        let last = self.operations.last_mut().expect("an operation");
        last.act.key = Some(Keyed { key: key.to_owned(), request: request.to_owned(), replayed });
        self
    }

    fn held(self, time: i64, id: u64, quantity: u32) -> Self {
        self.at(time, HOLD(quantity), held(id, quantity, HoldStatus::Active, time))
    }

    fn held_for(self, customer: u8, time: i64, id: u64, quantity: u32) -> Self {
        self.at(time, HOLD_FOR(customer, quantity), held(id, quantity, HoldStatus::Active, time))
    }

    fn ordered(self, time: i64, id: u64, hold: u64, quantity: u32) -> Self {
        let pending = (OrderStatus::PendingPayment, PaymentDisposition::None);
        self.at(time, Command::Order { hold }, ordered(id, hold, quantity, pending, time))
    }

    fn paid(self, time: i64, order: u64, success: bool) -> Self {
        let key = format!("{order} {success} at {time}");
        let answer = Answer::Payment { is_waiting: false };
        self.at(time, Command::Payment { order, success, amount: None }, answer)
            .keyed(&key, "", false)
    }

    fn paid_with(self, time: i64, order: u64, minor: i64) -> Self {
        let command = Command::Payment { order, success: true, amount: Some(minor) };
        let answer = Answer::Payment { is_waiting: false };
        self.at(time, command, answer).keyed(&format!("{order} at {time}"), "", false)
    }

    /// Cancels an order of one unit.
    fn cancelled(self, time: i64, order: u64, hold: u64) -> Self {
        let shown = changed(order, hold, OrderStatus::Cancelled, (0, 0));
        self.at(time, Command::CancelOrder { order }, shown)
    }

    /// Refunds an order of one unit.
    fn refunded(self, time: i64, order: u64, hold: u64, restock: bool) -> Self {
        let shown = changed(order, hold, OrderStatus::Refunded, (1, u32::from(!restock)));
        self.at(time, Command::Refund { order, quantity: 1, restock }, shown)
    }

    /// Restocks an order of one unit.
    fn restocked(self, time: i64, order: u64, hold: u64) -> Self {
        let shown = changed(order, hold, OrderStatus::Refunded, (1, 0));
        self.at(time, Command::Restock { order, quantity: 1 }, shown)
    }

    fn released(self, time: i64, hold: u64, quantity: u32, status: HoldStatus) -> Self {
        self.at(time, Command::Release { hold }, held(hold, quantity, status, 0))
    }

    fn read(self, time: i64, stock: u64, held: u64, pending: u64, sold: u64) -> Self {
        self.at(
            time,
            Command::Read,
            Answer::Units(Units { stock, held, pending, sold, returned: 0 }),
        )
    }

    fn is_explained(&self) -> bool {
        let initial = State::with_stock(self.stock);
        match check(&self.model, &initial, &self.operations, WORK_MAX) {
            Verdict::Explained => true,
            Verdict::Unexplained { .. } => false,
            Verdict::Undecided => panic!("undecided"),
        }
    }
}

fn held(id: u64, quantity: u32, status: HoldStatus, created_at: i64) -> Answer {
    let expires_at = created_at + TTL;
    Answer::Held(Held { id, product: 1, quantity, status, created_at, expires_at })
}

fn ordered(
    id: u64,
    hold: u64,
    quantity: u32,
    (status, disposition): (OrderStatus, PaymentDisposition),
    created_at: i64,
) -> Answer {
    let (refunded, returned, product) = (0, 0, 1);
    Answer::Ordered(Ordered {
        id,
        hold,
        product,
        quantity,
        status,
        disposition,
        refunded,
        returned,
        created_at,
    })
}

/// An order of one unit after a change, with its units refunded and returned.
fn changed(id: u64, hold: u64, status: OrderStatus, (refunded, returned): (u32, u32)) -> Answer {
    match ordered(id, hold, 1, (status, PaymentDisposition::None), 2) {
        Answer::Ordered(order) => Answer::Ordered(Ordered { refunded, returned, ..order }),
        other => other,
    }
}

fn refused(code: &str) -> Answer {
    Answer::Refused(Refused { code: code.to_owned(), short: Vec::new(), order: None })
}

fn short(asked: u64, there: u64) -> Answer {
    let short = vec![(1, asked, there)];
    Answer::Refused(Refused { code: "insufficient_stock".to_owned(), short, order: None })
}

fn used_by(order: u64) -> Answer {
    let code = "hold_already_used".to_owned();
    Answer::Refused(Refused { code, short: Vec::new(), order: Some(order) })
}

macro_rules! histories {
    ($($name:ident: $verdict:ident $history:expr;)*) => {
        $(#[test] fn $name() { histories!(@$verdict $history); })*
    };
    (@good $history:expr) => { assert!($history.is_explained()) };
    (@bad $history:expr) => { assert!(!$history.is_explained()) };
}

const HOLD: fn(u32) -> Command = |quantity| Command::Hold { quantity, ttl: TTL, customer: None };
const HOLD_FOR: fn(u8, u32) -> Command =
    |customer, quantity| Command::Hold { quantity, ttl: TTL, customer: Some(customer) };

histories! {
    hold_order_payment_is_linearizable: good
        with_stock(3).held(1, 7, 2).ordered(5, 9, 7, 2).paid(6, 9, true).read(8, 1, 0, 0, 2);
    two_holds_of_the_last_unit_are_rejected: bad
        with_stock(1)
            .during(1, 5, HOLD(1), held(7, 1, HoldStatus::Active, 2))
            .during(1, 5, HOLD(1), held(8, 1, HoldStatus::Active, 2));
    insufficient_stock_despite_enough_stock_is_rejected: bad
        with_stock(3).at(1, HOLD(2), short(2, 1));
    insufficient_stock_with_too_low_available_is_rejected: bad
        with_stock(3).held(1, 7, 1).at(2, HOLD(3), short(3, 1));
    insufficient_stock_by_concurrent_hold_is_linearizable: good
        with_stock(1)
            .during(1, 5, HOLD(1), held(7, 1, HoldStatus::Active, 2))
            .during(1, 5, HOLD(1), short(1, 0));
    two_orders_of_one_hold_are_rejected: bad
        with_stock(3).held(1, 7, 1).ordered(2, 9, 7, 1).ordered(3, 10, 7, 1);
    second_order_error_names_first_order: good
        with_stock(3).held(1, 7, 1).ordered(2, 9, 7, 1).at(3, Command::Order { hold: 7 }, used_by(9));
    second_order_error_with_other_order_is_rejected: bad
        with_stock(3).held(1, 7, 1).ordered(2, 9, 7, 1).at(3, Command::Order { hold: 7 }, used_by(8));
    hold_already_used_before_any_order_is_rejected: bad
        with_stock(3).held(1, 7, 1).at(2, Command::Order { hold: 7 }, used_by(9)).ordered(3, 9, 7, 1);
    stale_read_after_answered_hold_is_rejected: bad
        with_stock(3).held(1, 7, 1).read(2, 3, 0, 0, 0);
    read_concurrent_with_hold_may_miss_it: good
        with_stock(3)
            .during(1, 5, HOLD(1), held(7, 1, HoldStatus::Active, 2))
            .during(3, 4, Command::Read, Answer::Units(Units { stock: 3, held: 0, pending: 0, sold: 0, returned: 0 }));
    stale_cached_read_after_answered_hold_is_rejected: bad
        with_stock(3).held(1, 7, 1).at(
            2,
            Command::ReadCached,
            Answer::Units(Units { stock: 3, held: 0, pending: 0, sold: 0, returned: 0 }),
        );
    hold_that_disappears_between_reads_is_rejected: bad
        with_stock(3)
            .during(1, 9, HOLD(1), held(7, 1, HoldStatus::Active, 2))
            .read(3, 2, 1, 0, 0)
            .read(4, 3, 0, 0, 0);
    leaked_units_are_rejected: bad
        with_stock(3).held(1, 7, 1).released(2, 7, 1, HoldStatus::Released).read(3, 2, 0, 0, 0);
    double_release_of_stock_is_rejected: bad
        with_stock(2)
            .held(1, 7, 1)
            .released(2, 7, 1, HoldStatus::Released)
            .released(3, 7, 1, HoldStatus::Released)
            .read(4, 3, 0, 0, 0);
    second_release_is_a_no_op: good
        with_stock(2)
            .held(1, 7, 1)
            .released(2, 7, 1, HoldStatus::Released)
            .released(3, 7, 1, HoldStatus::Released)
            .read(4, 2, 0, 0, 0);
    early_expiry_is_rejected: bad
        with_stock(2).held(1, 7, 1).at(100, Command::Order { hold: 7 }, refused("hold_expired"));
    expiry_at_due_time_is_linearizable: good
        with_stock(2).held(1, 7, 1).at(101, Command::Order { hold: 7 }, refused("hold_expired"));
    order_at_hold_expiry_is_rejected: bad
        with_stock(2).held(1, 7, 1).ordered(101, 9, 7, 1);
    order_just_before_hold_expiry_is_linearizable: good
        with_stock(2).held(1, 7, 1).ordered(100, 9, 7, 1);
    order_of_expired_hold_is_rejected: bad
        with_stock(1)
            .held(1, 7, 1)
            .during(50, 150, HOLD(1), held(8, 1, HoldStatus::Active, 101))
            .during(50, 160, Command::Order { hold: 7 }, ordered(
                9, 7, 1, (OrderStatus::PendingPayment, PaymentDisposition::None), 100))
            .read(161, 0, 0, 1, 0);
    expired_units_are_available: good
        with_stock(1).held(1, 7, 1).held(101, 8, 1).released(102, 7, 1, HoldStatus::Expired);
    unexpired_units_are_not_available: bad
        with_stock(1).held(1, 7, 1).held(100, 8, 1);
    read_counting_expired_hold_as_held_is_rejected: bad
        with_stock(2).held(1, 7, 1).read(101, 1, 1, 0, 0);
    read_counting_expired_hold_as_returned_is_linearizable: good
        with_stock(2).held(1, 7, 1).read(101, 2, 0, 0, 0);
    expired_hold_read_as_active_is_rejected: bad
        with_stock(2).held(1, 7, 1).at(
            101,
            Command::ReadHold { hold: 7 },
            held(7, 1, HoldStatus::Active, 1),
        );
    hold_alive_past_expiry_without_extension_is_rejected: bad
        with_stock(2).held(1, 7, 1).at(
            50,
            Command::ReadHold { hold: 7 },
            held(7, 1, HoldStatus::Active, 20),
        );
    extended_hold_lives_until_new_expiry: good
        with_stock(1)
            .held(1, 7, 1)
            .at(60, Command::Extend { hold: 7, ttl: TTL }, held(7, 1, HoldStatus::Active, 60))
            .at(120, HOLD(1), short(1, 0))
            .held(160, 8, 1);
    extension_of_expired_hold_is_rejected: bad
        with_stock(1).held(1, 7, 1).at(
            101,
            Command::Extend { hold: 7, ttl: TTL },
            held(7, 1, HoldStatus::Active, 101),
        );
    extension_beyond_ttl_max_is_rejected: bad
        HistoryBuilder { model: Model { hold_ttl_max: 120, ..MODEL }, ..with_stock(1) }
            .held(1, 7, 1)
            .at(60, Command::Extend { hold: 7, ttl: TTL }, held(7, 1, HoldStatus::Active, 60));
    repeated_extension_beyond_ttl_max_is_rejected: bad
        HistoryBuilder { model: Model { hold_ttl_max: 180, ..MODEL }, ..with_stock(1) }
            .held(1, 7, 1)
            .at(60, Command::Extend { hold: 7, ttl: TTL }, held(7, 1, HoldStatus::Active, 60))
            .at(100, Command::Extend { hold: 7, ttl: TTL }, held(7, 1, HoldStatus::Active, 100));
    extension_capped_at_ttl_max_is_linearizable: good
        HistoryBuilder { model: Model { hold_ttl_max: 180, ..MODEL }, ..with_stock(1) }
            .held(1, 7, 1)
            .at(100, Command::Extend { hold: 7, ttl: TTL }, held(7, 1, HoldStatus::Active, 81))
            .held(181, 8, 1);
    hold_beyond_customer_limit_is_rejected: bad
        with_stock(9).held_for(0, 1, 7, 2).held_for(0, 2, 8, 2);
    concurrent_holds_beyond_customer_limit_are_rejected: bad
        with_stock(9)
            .during(1, 5, HOLD_FOR(0, 2), held(7, 2, HoldStatus::Active, 2))
            .during(1, 5, HOLD_FOR(0, 2), held(8, 2, HoldStatus::Active, 2));
    quantity_limit_beyond_customer_limit_is_linearizable: good
        with_stock(9).held_for(0, 1, 7, 2).at(2, HOLD_FOR(0, 2), refused("quantity_limit"));
    quantity_limit_within_customer_limit_is_rejected: bad
        with_stock(9).held_for(0, 1, 7, 2).at(2, HOLD_FOR(0, 1), refused("quantity_limit"));
    customer_limit_frees_up_when_hold_expires: good
        with_stock(9).held_for(0, 1, 7, 3).held_for(1, 2, 8, 3).held_for(0, 101, 9, 3);
    hold_beyond_what_its_customer_has_paid_for_is_rejected: bad
        counting(9)
            .held_for(0, 1, 7, 3).ordered(2, 9, 7, 3).paid(3, 9, true).held_for(0, 4, 8, 1);
    hold_beyond_what_its_customer_has_ordered_is_rejected: bad
        counting(9).held_for(0, 1, 7, 3).ordered(2, 9, 7, 3).held_for(0, 4, 8, 1);
    quantity_limit_of_what_is_paid_is_linearizable: good
        counting(9).held_for(0, 1, 7, 3).ordered(2, 9, 7, 3).paid(3, 9, true)
            .at(4, HOLD_FOR(0, 1), refused("quantity_limit")).held_for(1, 5, 8, 3);
    customer_limit_frees_up_when_order_is_cancelled: good
        counting(9).held_for(0, 1, 7, 3).ordered(2, 9, 7, 3).paid(3, 9, false)
            .held_for(0, 4, 8, 3);
    cached_read_going_back_is_rejected: bad
        with_stock(3)
            .held(1, 7, 1)
            .at(2, Command::ReadCached, Answer::Units(Units { stock: 2, held: 1, pending: 0, sold: 0, returned: 0 }))
            .at(3, Command::ReadCached, Answer::Units(Units { stock: 3, held: 0, pending: 0, sold: 0, returned: 0 }));
    replay_returns_first_response: good
        with_stock(3)
            .held(1, 7, 1).keyed("k", "one", false)
            .at(2, HOLD(1), held(7, 1, HoldStatus::Active, 1)).keyed("k", "one", true)
            .read(3, 2, 1, 0, 0);
    replay_with_other_response_is_rejected: bad
        with_stock(3)
            .held(1, 7, 1).keyed("k", "one", false)
            .at(2, HOLD(1), held(8, 1, HoldStatus::Active, 2)).keyed("k", "one", true);
    replay_executed_again_is_rejected: bad
        with_stock(3)
            .held(1, 7, 1).keyed("k", "one", false)
            .held(2, 8, 1).keyed("k", "one", false);
    replay_repeats_rejection_after_stock_returns: good
        with_stock(1)
            .held(1, 7, 1)
            .at(2, HOLD(1), short(1, 0)).keyed("k", "one", false)
            .released(3, 7, 1, HoldStatus::Released)
            .at(4, HOLD(1), short(1, 0)).keyed("k", "one", true);
    other_request_under_used_key_is_a_mismatch: good
        with_stock(3)
            .held(1, 7, 1).keyed("k", "one", false)
            .at(2, HOLD(2), refused("idempotency_mismatch")).keyed("k", "two", false);
    other_request_under_used_key_executed_is_rejected: bad
        with_stock(3)
            .held(1, 7, 1).keyed("k", "one", false)
            .held(2, 8, 2).keyed("k", "two", false);
    payment_counted_twice_is_rejected: bad
        with_stock(3).held(1, 7, 1).ordered(2, 9, 7, 1).paid(3, 9, true).paid(4, 9, true)
            .read(5, 1, 0, 0, 2);
    failed_payment_returns_stock_once: good
        with_stock(3).held(1, 7, 1).ordered(2, 9, 7, 1).paid(3, 9, false).paid(4, 9, false)
            .read(5, 3, 0, 0, 0);
    failed_payment_returning_stock_twice_is_rejected: bad
        with_stock(3).held(1, 7, 1).ordered(2, 9, 7, 1).paid(3, 9, false).paid(4, 9, false)
            .read(5, 4, 0, 0, 0);
    late_payment_re_reserves_units: good
        with_stock(1).held(1, 7, 1).ordered(2, 9, 7, 1).paid(3, 9, false).paid(4, 9, true)
            .read(5, 0, 0, 0, 1);
    late_payment_for_units_held_by_others_is_rejected: bad
        with_stock(1).held(1, 7, 1).ordered(2, 9, 7, 1).paid(3, 9, false).held(4, 8, 1)
            .paid(5, 9, true).read(6, 0, 0, 0, 1);
    late_money_of_a_cancelled_order_is_owed: good
        with_stock(1).held(1, 7, 1).ordered(2, 9, 7, 1).cancelled(3, 9, 7).paid(4, 9, true)
            .read(5, 1, 0, 0, 0);
    late_money_that_revives_a_cancelled_order_is_rejected: bad
        with_stock(1).held(1, 7, 1).ordered(2, 9, 7, 1).cancelled(3, 9, 7).paid(4, 9, true)
            .read(5, 0, 0, 0, 1);
    cancellation_of_a_paid_order_is_rejected: bad
        with_stock(1).held(1, 7, 1).ordered(2, 9, 7, 1).paid(3, 9, true).cancelled(4, 9, 7);
    wrong_amount_waits_for_the_right_one: good
        with_stock(1).held(1, 7, 1).ordered(2, 9, 7, 1).paid_with(3, 9, 1).read(4, 0, 0, 1, 0)
            .paid_with(5, 9, PRICE).read(6, 0, 0, 0, 1);
    wrong_amount_that_pays_is_rejected: bad
        with_stock(1).held(1, 7, 1).ordered(2, 9, 7, 1).paid_with(3, 9, 1).read(4, 0, 0, 0, 1);
    refunded_unit_returns_once: good
        with_stock(1).held(1, 7, 1).ordered(2, 9, 7, 1).paid(3, 9, true).refunded(4, 9, 7, true)
            .at(5, Command::Refund { order: 9, quantity: 1, restock: true }, refused("refund_too_large"))
            .read(6, 1, 0, 0, 0);
    unit_refunded_twice_is_rejected: bad
        with_stock(1).held(1, 7, 1).ordered(2, 9, 7, 1).paid(3, 9, true).refunded(4, 9, 7, true)
            .refunded(5, 9, 7, true);
    returned_unit_is_for_sale_after_its_restock: good
        with_stock(1).held(1, 7, 1).ordered(2, 9, 7, 1).paid(3, 9, true).refunded(4, 9, 7, false)
            .restocked(5, 9, 7).read(6, 1, 0, 0, 0);
    unit_restocked_twice_is_rejected: bad
        with_stock(1).held(1, 7, 1).ordered(2, 9, 7, 1).paid(3, 9, true).refunded(4, 9, 7, false)
            .restocked(5, 9, 7).restocked(6, 9, 7);
    unpaid_order_expires: good
        with_stock(1).held(1, 7, 1).ordered(2, 9, 7, 1).read(501, 0, 0, 1, 0)
            .read(502, 1, 0, 0, 0);
    unpaid_order_that_never_expires_is_rejected: bad
        with_stock(1).held(1, 7, 1).ordered(2, 9, 7, 1).at(502, HOLD(1), short(1, 0));
    early_payment_applies_to_later_order: good
        with_stock(1)
            .held(1, 7, 1)
            .at(2, Command::Payment { order: 9, success: true, amount: None }, Answer::Payment { is_waiting: true })
            .at(3, Command::Order { hold: 7 }, ordered(
                9, 7, 1, (OrderStatus::Paid, PaymentDisposition::None), 3));
    lost_early_payment_is_rejected: bad
        with_stock(1)
            .held(1, 7, 1)
            .at(2, Command::Payment { order: 9, success: true, amount: None }, Answer::Payment { is_waiting: true })
            .ordered(3, 9, 7, 1);
    lost_stock_adjustment_is_rejected: bad
        with_stock(1)
            .at(1, Command::Adjust { delta: 2 }, Answer::Units(Units {
                stock: 3, held: 0, pending: 0, sold: 0, returned: 0 }))
            .at(2, HOLD(3), short(3, 1));
    write_off_below_zero_is_rejected: bad
        with_stock(1).held(1, 7, 1).at(2, Command::Adjust { delta: -1 }, Answer::Units(Units {
            stock: 0, held: 0, pending: 0, sold: 0, returned: 0 }));
    in_doubt_hold_may_exist: good
        with_stock(1).at(1, HOLD(1), Answer::Unknown).at(5, HOLD(1), short(1, 0));
    in_doubt_hold_may_not_exist: good
        with_stock(1).at(1, HOLD(1), Answer::Unknown).held(5, 8, 1);
    in_doubt_hold_taking_more_than_requested_is_rejected: bad
        with_stock(2).at(1, HOLD(1), Answer::Unknown).at(5, HOLD(2), short(2, 0));
    in_doubt_hold_returning_before_expiry_is_rejected: bad
        with_stock(1)
            .at(1, HOLD(1), Answer::Unknown)
            .at(101, Command::UnobservedExpiry { hold: u64::MAX - 1 }, Answer::Unknown)
            .at(5, HOLD(1), short(1, 0))
            .held(6, 8, 1);
    in_doubt_hold_may_return_at_expiry: good
        with_stock(1)
            .at(1, HOLD(1), Answer::Unknown)
            .at(101, Command::UnobservedExpiry { hold: u64::MAX - 1 }, Answer::Unknown)
            .at(5, HOLD(1), short(1, 0))
            .held(101, 8, 1);
    in_doubt_order_may_have_used_the_hold: good
        with_stock(1)
            .held(1, 7, 1)
            .at(2, Command::Order { hold: 7 }, Answer::Unknown)
            .at(5, Command::Release { hold: 7 }, used_by(44))
            .read(6, 0, 0, 1, 0);
    hold_already_used_without_order_is_rejected: bad
        with_stock(1).held(1, 7, 1).at(5, Command::Release { hold: 7 }, used_by(44));
}
