//! Pseudo-random numbers. The same seed gives the same schedule.

/// The generator xorshift64*. A mixing step first separates neighbouring seeds.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((x ^ (x >> 31)) | 1)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`; `n` must be below 2^32.
    pub(crate) const fn below(&mut self, n: u64) -> u64 {
        ((self.next() >> 32) * n) >> 32
    }

    /// True once in `n` calls on average.
    pub(crate) const fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of these values.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    /// An index below `n`.
    pub(crate) const fn index(&mut self, n: usize) -> usize {
        self.below(n as u64) as usize
    }

    /// The number of a set bit in `mask`, which must not be 0.
    pub(crate) const fn bit(&mut self, mask: u64) -> usize {
        let mut left = mask;
        let mut skip = self.below(mask.count_ones() as u64);
        while skip > 0 {
            left &= left - 1;
            skip -= 1;
        }
        left.trailing_zeros() as usize
    }
}
