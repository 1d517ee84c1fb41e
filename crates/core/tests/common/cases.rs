//! Which cases a property is tried with.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;

/// The same cases every time, so that a failure is about the code; others are tried with
/// PROPTEST_RNG_SEED, and more or fewer than `cases` with PROPTEST_CASES.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(1);
    }
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config
}
