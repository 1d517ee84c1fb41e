//! How much may be read of a log: its owner decides how long its files and its lines are.

use crate::interrupt::is_end_requested;
use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// The bytes that may still be read, compressed and decompressed. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct ReadBudget {
    left: Rc<Cell<u64>>,
}

impl ReadBudget {
    /// All of it, until a signal ends svctl.
    pub(crate) fn unlimited() -> Self {
        Self::of_bytes(u64::MAX)
    }

    pub(crate) fn of_bytes(bytes: u64) -> Self {
        Self { left: Rc::new(Cell::new(bytes)) }
    }

    /// Whether nothing more may be read.
    pub(crate) fn is_spent(&self) -> bool {
        self.left.get() == 0 || is_end_requested()
    }

    /// Takes note that so many bytes were read.
    pub(crate) fn spend(&self, bytes: u64) {
        if self.left.get() != u64::MAX {
            self.left.set(self.left.get().saturating_sub(bytes));
        }
    }

    /// Allows to read so many bytes from now on.
    pub(crate) fn renew(&self, bytes: u64) {
        self.left.set(bytes);
    }
}

/// A reader that ends when the budget is spent.
pub(crate) struct BudgetedReader<R> {
    inner: R,
    budget: ReadBudget,
}

impl<R: Read> BudgetedReader<R> {
    pub(crate) const fn new(inner: R, budget: ReadBudget) -> Self {
        Self { inner, budget }
    }
}

impl<R: Read> Read for BudgetedReader<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.budget.is_spent() {
            return Ok(0);
        }
        let count = self.inner.read(room)?;
        self.budget.spend(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_ends_with_the_budget() {
        let budget = ReadBudget::of_bytes(100);
        let mut reader = BudgetedReader::new(io::repeat(b'x'), budget.clone());
        let mut room = [0; 64];
        assert_eq!(reader.read(&mut room).unwrap(), 64);
        assert!(!budget.is_spent());
        // The last read may pass the limit.
        assert_eq!(reader.read(&mut room).unwrap(), 64);
        assert_eq!(reader.read(&mut room).unwrap(), 0);
        assert!(budget.is_spent());
        budget.renew(1);
        assert_eq!(reader.read(&mut room).unwrap(), 64);
        assert!(!ReadBudget::unlimited().is_spent());
    }
}
