//! Moments in request bodies.

use std::borrow::Cow;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use stockade::Timestamp;

/// A moment in a request body, a text of RFC 3339.
#[derive(Debug, Clone, Copy)]
pub struct Moment(Timestamp);

impl From<Moment> for Timestamp {
    fn from(Moment(moment): Moment) -> Self {
        moment
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}
