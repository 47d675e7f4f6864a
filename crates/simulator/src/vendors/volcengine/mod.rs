//! Volcengine's three services, each with its own credential: a key of one is refused by the others.

pub(crate) mod ark;
mod checks;
mod speech;
mod visual;
