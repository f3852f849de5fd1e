//! Reads the event feed with a cursor:
//! `cargo run -p stockade --example events -- sqlite:shop.db 0`.
//!
//! Every transition writes its event in its own transaction (a transactional
//! outbox). A reader stores the cursor of the last event that it has processed,
//! with the effect if it can, and reads on from there after a restart.

use std::error::Error as StdError;
use std::thread;
use std::time::Duration;

use stockade::{Engine, HoldRequest, NewProduct};

/// Events read in one call; the engine accepts up to 10,000.
const PAGE: u32 = 100;
/// How long the reader sleeps at the end of the feed.
const POLL: Duration = Duration::from_millis(200);

fn main() -> Result<(), Box<dyn StdError>> {
    let mut arguments = std::env::args().skip(1);
    let store = arguments.next();
    let mut cursor: u64 = arguments.next().as_deref().unwrap_or("0").parse()?;

    let engine = Engine::open(store.as_deref().unwrap_or("sqlite::memory:"))?;
    let is_demo = store.is_none();
    if is_demo {
        let lamp = engine.create_product(NewProduct::new("Lamp", "19.99".parse()?, 5))?.value;
        let hold = engine.create_hold(HoldRequest::new(lamp.id, 2))?.value;
        engine.release_hold(hold.id)?;
    }
    loop {
        let events = engine.events_after(cursor, PAGE)?;
        for event in &events {
            println!(
                "{:>6}  {}  product {} version {}  {:+} units",
                event.cursor,
                event.kind.as_str(),
                event.product_id,
                event.version,
                event.quantity
            );
            // Store the cursor here, durably, before the next event.
            cursor = event.cursor;
        }
        if events.is_empty() {
            if is_demo {
                break;
            }
            thread::sleep(POLL);
        }
    }
    engine.close()?;
    Ok(())
}
