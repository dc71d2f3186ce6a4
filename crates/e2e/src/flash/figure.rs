//! One figure of the section, and what must hold of it.

use serde_json::Value;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Nothing: it is there to be known.
    None,
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its key in the report, without the section.
    pub key: &'static str,
    /// What it says, for people.
    pub text: &'static str,
    /// What was measured.
    pub value: Value,
    /// What must hold.
    pub bound: Bound,
}

impl Figure {
    pub(super) fn new(key: &'static str, text: &'static str, value: Value, bound: Bound) -> Self {
        Self {
            key,
            text,
            value,
            bound,
        }
    }

    /// Tells whether the bound holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        let value = self.value.as_f64().unwrap_or(f64::NAN);
        match self.bound {
            Bound::None => true,
            Bound::AtMost(most) => value <= most,
            Bound::AtLeast(least) => value >= least,
        }
    }
}
