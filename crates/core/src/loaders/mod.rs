//! The formats and rules of the chain loaders: environment, accounts, limits, and PATH.

pub mod accounts;
pub mod envdir;
pub mod envfile;
pub mod envini;
pub mod limits;
pub mod path_search;
