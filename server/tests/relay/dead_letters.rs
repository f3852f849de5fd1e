//! Dead letters: events that were given up can be looked at and sent again.

use serde_json::Value;
use stockade_testkit::wait_until;

use crate::receiver::{Answer, Receiver, SOON};
use crate::shop::Shop;

#[test]
fn dead_letters_are_listed_and_sent_again() {
    let shop = Shop::new(2);
    shop.hold(1);
    let poison = shop.cursors()[1];
    let endpoint = Receiver::with(move |message, _| {
        Answer::Status(if message.cursor == poison { 422 } else { 200 })
    });
    // Given up with the second attempt.
    let plan = endpoint.plan("erp", "give_up = \"1s\"");
    let relay = shop.relay(&plan);
    let list = || shop.lines(&["relay", "dead-letters", "list", "erp"]);
    let mut letters: Vec<Value> = vec![];
    wait_until("there is a dead letter", SOON, || {
        letters = list();
        !letters.is_empty()
    });
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((letter["event"].as_u64(), letter["state"].as_str()), (Some(poison), Some("dead")));
    assert_eq!(letter["error"], "422 Unprocessable Entity");
    assert_eq!(letter["data"]["cursor"].as_u64(), Some(poison));
    // Its product has gone on.
    endpoint.wait_for(shop.cursors().into_iter().filter(|cursor| *cursor != poison));
    let (code, said, _) = shop.run(&["relay", "dead-letters", "resend", "erp", "999999"]);
    assert_eq!((code, said.as_str()), (1, "0 dead letters are due again\n"));
    // It is sent again by the relay that runs, and given up again while it is refused.
    let tried = || endpoint.received().iter().filter(|one| one.cursor == poison).count();
    let before = tried();
    let event = poison.to_string();
    let (code, said, _) = shop.run(&["relay", "dead-letters", "resend", "erp", &event]);
    assert_eq!((code, said.as_str()), (0, "1 dead letters are due again\n"));
    wait_until("it was sent again", SOON, || tried() > before);
    wait_until("it is a dead letter again", SOON, || list().len() == 1);
    endpoint.answer_by(|_, _| Answer::Status(200));
    assert_eq!(shop.run(&["relay", "dead-letters", "resend", "erp", "--all"]).0, 0);
    endpoint.wait_for(shop.cursors());
    wait_until("none is left", SOON, || list().is_empty());
    relay.stop();
    let [status] = &shop.lines(&["relay", "status"])[..] else { panic!() };
    assert_eq!((status["dead_letters"].as_u64(), status["waiting"].as_u64()), (Some(0), Some(0)));
    assert_eq!(shop.run(&["relay", "dead-letters", "list", "no such name"]).0, 2);
}
