//! A text that the database runs twice because a proxy sent it again.

use stockade::{HoldRequest, StockAdjustment};

use crate::Scenario;
use crate::repeater::Repeater;
use crate::scenarios;
use crate::steps::Later;
use crate::world::{World, assert_clean, numbers, product};

pub const SERVERS: &[Scenario] = scenarios!("repeated";
    a_text_that_runs_twice_is_done_once_and_its_answer_given,
);

const TEXTS: &str = "INSERT INTO stockade_outbox";

fn a_text_that_runs_twice_is_done_once_and_its_answer_given(world: &World) {
    let database = world.backend.server().addr();
    let repeater = Repeater::start(database);
    let url = world.url.replace(&database.to_string(), &repeater.addr().to_string());
    let builder = world.builder().store(&url).set("retries", "0").expect("a setting");
    let engine = builder.open().expect("opens");
    let id = product(&engine, 100);
    let mut held = 0;
    for round in 0..12 {
        let before = repeater.repeated();
        repeater.arm(TEXTS);
        // The first are decided on the locking path, those behind them by
        // speculation; an adjustment inserts nothing of its own.
        if round % 4 == 3 {
            let adjustment = StockAdjustment::new(id, 1, "a recount");
            engine.adjust_stock(&adjustment).expect("adjusted");
        } else {
            let hold = engine.create_hold(HoldRequest::new(id, 1)).expect("held").value;
            assert_eq!(engine.hold(hold.id).expect("is there"), hold.later());
            held += 1;
        }
        assert_eq!(repeater.repeated(), before + 1, "{round}");
        let adjusted = (round + 1) / 4;
        assert_eq!(numbers(&engine, id), [100 + adjusted - held, held, 0, 0], "{round}");
    }
    assert_clean(&engine);
}
