//! Limits of connections without an admitted request, for each peer.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use http::Request;
use parking_lot::Mutex;

/// Such connections of one peer.
const MAX_CONNECTIONS: usize = 64;

/// Numbers of such connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct PeerLimits(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection that is counted until a request is admitted or it ends.
#[derive(Debug)]
pub(crate) struct PeerSlot {
    all: PeerLimits,
    peer: IpAddr,
}

/// The slot of the connection of a request.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionSlot(Arc<Mutex<Option<PeerSlot>>>);

impl PeerLimits {
    /// Counts a connection; `None` if its peer has too many.
    pub(crate) fn enter(&self, peer: IpAddr) -> Option<PeerSlot> {
        let peer = network(peer);
        let mut counts = self.0.lock();
        let count = counts.entry(peer).or_default();
        if *count >= MAX_CONNECTIONS {
            return None;
        }
        *count += 1;
        Some(PeerSlot { all: self.clone(), peer })
    }
}

impl PeerSlot {
    pub(crate) fn shared(self) -> ConnectionSlot {
        ConnectionSlot(Arc::new(Mutex::new(Some(self))))
    }
}

impl Drop for PeerSlot {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock();
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

/// Stops counting the connection of a request that was admitted.
pub(crate) fn admitted<B>(request: &Request<B>) {
    if let Some(ConnectionSlot(slot)) = request.extensions().get() {
        slot.lock().take();
    }
}

/// The addresses of one peer: one of IPv4, or a network of IPv6 (RFC 6177).
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
    fn a_peer_is_limited_until_its_requests_are_admitted() {
        let all = PeerLimits::default();
        let [peer, same, other] =
            ["2001:db8::1", "2001:db8::2", "192.0.2.1"].map(|text| text.parse::<IpAddr>().unwrap());
        let mut held: Vec<_> =
            (0..MAX_CONNECTIONS).map(|_| all.enter(peer).unwrap().shared()).collect();
        assert!(all.enter(same).is_none(), "the same network");
        assert!(all.enter(other).is_some());
        let mut request = Request::new(());
        request.extensions_mut().insert(held.pop().unwrap());
        admitted(&request);
        admitted(&request);
        let again = all.enter(same);
        assert!(again.is_some() && all.enter(same).is_none());
        drop((held, again));
        assert!(all.0.lock().is_empty());
    }
}
