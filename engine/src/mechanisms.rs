//! The optimizations that a bench can switch off, to measure what each earns.
//!
//! This module alone knows which are on. Without the feature `bench` all of them
//! are, as a constant.

/// An optimization. Correctness rests on none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "bench", derive(serde::Serialize, serde::Deserialize))]
pub enum Mechanism {
    /// A batch of holds is decided on cached rows, before the rows are read.
    Speculation,
    /// A lane keeps its lease from batch to batch.
    KeptLeases,
    /// A hold of a product that is sold out is refused from memory.
    FastRefusal,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mechanisms {
    /// A bit for each [`Mechanism`].
    #[cfg(feature = "bench")]
    disabled: u8,
}

impl Mechanisms {
    #[cfg(not(feature = "bench"))]
    pub const fn is_on(self, _: Mechanism) -> bool {
        true
    }

    #[cfg(feature = "bench")]
    pub fn is_on(self, mechanism: Mechanism) -> bool {
        self.disabled & (1 << mechanism as u8) == 0
    }

    /// Switches a mechanism off.
    #[cfg(feature = "bench")]
    pub fn disable(&mut self, mechanism: Mechanism) {
        self.disabled |= 1 << mechanism as u8;
    }
}

#[cfg(all(test, feature = "bench"))]
mod tests {
    use super::*;

    #[test]
    fn a_disabled_mechanism_is_off_and_the_others_are_on() {
        let mut mechanisms = Mechanisms::default();
        assert!(mechanisms.is_on(Mechanism::Speculation));
        mechanisms.disable(Mechanism::KeptLeases);
        mechanisms.disable(Mechanism::FastRefusal);
        assert!(!mechanisms.is_on(Mechanism::KeptLeases));
        assert!(!mechanisms.is_on(Mechanism::FastRefusal));
        assert!(mechanisms.is_on(Mechanism::Speculation));
    }
}
