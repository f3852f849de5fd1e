//! Progress of a command that may take longer than a second, on stderr if that is a
//! terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::interval;

/// How often it is drawn again.
const REFRESH: Duration = Duration::from_millis(200);

/// Awaits a work that cannot tell how far it is, and shows for how long it runs.
pub(super) async fn awaited<T>(what: &'static str, work: impl Future<Output = T>) -> T {
    watched("{spinner} {msg} {elapsed}", what, work, |_| {}).await
}

/// Awaits a work, and shows what `look` finds out about it.
pub(super) async fn watched<T>(
    template: &str,
    what: &'static str,
    work: impl Future<Output = T>,
    look: impl Fn(&ProgressBar),
) -> T {
    let bar = ProgressBar::new_spinner().with_message(what);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    let mut work = std::pin::pin!(work);
    let mut ticks = interval(REFRESH);
    // The first tick is at once; what is done by then is not shown.
    ticks.tick().await;
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                return done;
            }
            _ = ticks.tick() => {
                look(&bar);
                bar.tick();
            }
        }
    }
}
