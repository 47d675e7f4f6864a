//! People's own accounts as credentials: a session is signed in to once, kept sealed, checked, and
//! renewed seldom, by one server at a time.
//!
//! A [`Holder`] stands behind a key of the engine and knows one account. What would need a person
//! (a second factor, a bot check, somebody else's sign-in) parks the account and is never fought.
//! No password and no token leaves this room but to the vendor, to the browser that signs in, and
//! sealed to the database.

mod browser;
mod holder;
mod seal;
mod sign_in;
mod trial;

pub use browser::Browser;
pub use holder::{Holder, Office, Order};
pub use seal::Sealer;
pub use sign_in::{Login, Outcome, Page, SignIn};
pub use trial::{AtTheDoor, Trial};
