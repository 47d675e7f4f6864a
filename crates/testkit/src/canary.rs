//! An address that nobody may touch: it counts who did.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Listens, accepts, counts, and hangs up.
pub struct Canary {
    address: SocketAddr,
    touched: Arc<AtomicUsize>,
}

impl Canary {
    /// Listens on an address such as `127.0.0.2:0`.
    pub fn on(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("no canary on {address}: {error}"));
        let address = listener.local_addr().expect("a bound listener has an address");
        let touched = Arc::new(AtomicUsize::new(0));
        let count = touched.clone();
        // It ends with the process: a listener cannot be interrupted while it accepts.
        thread::spawn(move || {
            while listener.accept().is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, touched }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}/canary.png", self.address)
    }

    /// Connections so far.
    pub fn touched(&self) -> usize {
        self.touched.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_counts_connections() {
        let canary = Canary::on("127.0.0.1:0");
        assert_eq!(canary.touched(), 0);
        std::net::TcpStream::connect(canary.address()).expect("it listens");
        let seen = crate::wait::blocking(std::time::Duration::from_secs(5), || (canary.touched() == 1).then_some(()));
        assert!(seen.is_some(), "the connection was not counted");
    }
}
