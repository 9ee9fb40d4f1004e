//! Connections of which no request was let in yet: each peer has a share of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use http::Request;

/// Such connections of one peer at a time.
const SHARE: usize = 64;

/// Counts of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Newcomers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection that counts as one until it is proved or ends.
#[derive(Debug)]
pub(crate) struct Newcomer {
    all: Newcomers,
    peer: IpAddr,
}

/// The newcomer of a request's connection.
#[derive(Debug, Clone)]
pub(crate) struct OfConnection(Arc<Mutex<Option<Newcomer>>>);

impl Newcomers {
    /// Counts a connection in, unless its peer has its share already.
    pub(crate) fn enter(&self, peer: IpAddr) -> Option<Newcomer> {
        let peer = network(peer);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(peer).or_default();
        if *count >= SHARE {
            return None;
        }
        *count += 1;
        Some(Newcomer { all: self.clone(), peer })
    }
}

impl Newcomer {
    pub(crate) fn of_connection(self) -> OfConnection {
        OfConnection(Arc::new(Mutex::new(Some(self))))
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

/// The connection of this request, which was let in, is no newcomer any more.
pub(crate) fn prove<B>(request: &Request<B>) {
    if let Some(OfConnection(newcomer)) = request.extensions().get() {
        newcomer.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// What one peer has at its disposal: an address, or a network of IPv6 (RFC 6177).
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_a_share_until_its_requests_are_let_in() {
        let all = Newcomers::default();
        let [peer, same, other] =
            ["2001:db8::1", "2001:db8::2", "192.0.2.1"].map(|text| text.parse::<IpAddr>().unwrap());
        let mut held: Vec<_> =
            (0..SHARE).map(|_| all.enter(peer).unwrap().of_connection()).collect();
        assert!(all.enter(same).is_none(), "the same network");
        assert!(all.enter(other).is_some());
        let mut request = Request::new(());
        request.extensions_mut().insert(held.pop().unwrap());
        prove(&request);
        prove(&request);
        let again = all.enter(same);
        assert!(again.is_some() && all.enter(same).is_none());
        drop((held, again));
        assert!(all.0.lock().unwrap().is_empty());
    }
}
