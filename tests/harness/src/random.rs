//! Repeatable random numbers.

/// A generator whose seed determines all numbers (xorshift64*).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// A generator with that seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            random.next_u64();
        }
        random
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below the limit.
    ///
    /// # Panics
    ///
    /// If the limit is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from((self.next_u64() >> 33) % limit as u64).expect("31 bits")
    }

    /// A number between two others, both included.
    ///
    /// # Panics
    ///
    /// If the first is the larger one.
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    /// Returns true once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of the elements.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn choose<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// Bytes of an alphabet.
    pub fn bytes(&mut self, alphabet: &[u8], length: usize) -> Vec<u8> {
        (0..length).map(|_| self.choose(alphabet)).collect()
    }
}
