//! Limits how much one client may have open at the same time.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{HeaderMap, HeaderName};

use crate::settings::Limits;

/// The connections, or the requests behind a trusted proxy, of each client.
pub(crate) struct Clients {
    /// 0 for no limit.
    max: usize,
    header: Option<HeaderName>,
    trusted: Vec<IpAddr>,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection or a request that counts until it is dropped.
pub(crate) struct Counted {
    clients: Arc<Clients>,
    client: Option<IpAddr>,
}

/// The client has as many open as it may.
pub(crate) struct TooMany;

impl Clients {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            max: limits.per_client,
            header: limits.client_header.clone(),
            trusted: limits.trusted_proxies.clone(),
            open: Mutex::default(),
        }
    }

    /// Counts a connection. Connections of a trusted proxy are not limited, because its requests are.
    pub(crate) fn connect(self: &Arc<Self>, peer: IpAddr) -> Result<Counted, TooMany> {
        self.count(Some(peer).filter(|peer| !self.is_proxy(*peer)))
    }

    /// Counts a request for the client that a trusted proxy names. A request without such a name is not limited.
    pub(crate) fn request(
        self: &Arc<Self>,
        peer: IpAddr,
        headers: &HeaderMap,
    ) -> Result<Counted, TooMany> {
        let named = self.header.as_ref().filter(|_| self.is_proxy(peer));
        let client = named.and_then(|name| {
            // The proxy adds the last address. The client chooses the others.
            let last = headers.get_all(name).iter().next_back()?.to_str().ok()?;
            last.rsplit(',').next()?.trim().parse().ok()
        });
        self.count(client)
    }

    fn count(self: &Arc<Self>, client: Option<IpAddr>) -> Result<Counted, TooMany> {
        let client = client.filter(|_| self.max > 0).map(network);
        if let Some(client) = client {
            let mut open = self.open();
            let count = open.entry(client).or_default();
            if *count >= self.max {
                return Err(TooMany);
            }
            *count += 1;
        }
        Ok(Counted {
            clients: Arc::clone(self),
            client,
        })
    }

    fn is_proxy(&self, peer: IpAddr) -> bool {
        self.header.is_some() && self.trusted.contains(&peer.to_canonical())
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(client) = self.client else {
            return;
        };
        let mut open = self.clients.open();
        if let Some(count) = open.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&client);
            }
        }
    }
}

/// Returns the address that stands for a client: with IPv6 its network, because each host has 2^64 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}
