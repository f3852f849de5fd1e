//! Checks that a contender sells exactly what there is: a fast one that oversells
//! would be no contender.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::contender::{Answer, Contender};

/// The stock to open a contender with for [`check`].
pub const STOCK: u64 = 20;
const CALLERS: usize = 10;
const EACH: usize = 4;

/// Sends more requests than there is stock, and closes the contender.
///
/// # Panics
/// When it does not grant [`STOCK`] of them and refuse all others.
pub async fn check<C: Contender>(contender: C) {
    let contender = Arc::new(contender);
    contender.prepare(CALLERS).await;
    let mut all = JoinSet::new();
    for caller in 0..CALLERS {
        let contender = Arc::clone(&contender);
        all.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..EACH {
                answers.push(contender.request(caller).await);
            }
            answers
        });
    }
    let answers: Vec<Answer> = all.join_all().await.into_iter().flatten().collect();
    let count = |wanted| answers.iter().filter(|answer| **answer == wanted).count();
    let (done, refused) = (count(Answer::Done), count(Answer::Refused));
    let wanted = (STOCK as usize, CALLERS * EACH - STOCK as usize);
    assert_eq!((done, refused), wanted, "{} of {STOCK} units: {answers:?}", contender.name());
    contender.close().await;
}
