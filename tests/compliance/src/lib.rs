//! What the original does and ours must do too. Everything is in the tests, a
//! file per program; run against the original they say what it does.
