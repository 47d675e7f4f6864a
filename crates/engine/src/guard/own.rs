//! The addresses of this machine.

use std::{io, net::IpAddr};

/// Of every interface that is up. Asked anew each time: addresses come and go while a server runs,
/// and the answer takes microseconds.
pub(super) fn addresses() -> io::Result<Vec<IpAddr>> {
    Ok(if_addrs::get_if_addrs()?.into_iter().map(|interface| interface.ip()).collect())
}
