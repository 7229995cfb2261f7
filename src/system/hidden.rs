//! Debug helpers for types with secrets. They show that a value exists, but not the value.

use std::fmt;

/// A placeholder for a hidden value.
pub struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

/// The names of pairs, without their values.
pub struct Names<'a, P>(pub &'a P);

impl<'a, P, N, V> fmt::Debug for Names<'a, P>
where
    &'a P: IntoIterator<Item = (N, V)>,
    N: fmt::Debug,
{
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.into_iter().map(|(name, _)| name)).finish()
    }
}
