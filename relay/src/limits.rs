//! How much of the relay one stranger may hold: connections in all and per address, and for how long one may stay
//! silent. A connection holds a [`Permit`] for as long as it lives, as HTTP or as WebSocket.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The bounds of the relay's one port.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at one time, from everywhere.
    pub connections: usize,
    /// Connections at one time from one address (IPv6: from one /64). Loopback and trusted proxies are not counted.
    pub per_address: usize,
    /// How long a request's header, or a TLS handshake, may take.
    pub header: Duration,
    /// How long an HTTP connection may live. A WebSocket is not bound by it.
    pub lifetime: Duration,
    /// How long open HTTP connections may go on when the relay stops.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2_000,
            per_address: 64,
            header: Duration::from_secs(15),
            lifetime: Duration::from_secs(600),
            grace: Duration::from_secs(1),
        }
    }
}

/// Why somebody is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The relay holds as many connections as it may.
    Relay,
    /// This address holds as many as it may.
    Address,
}

/// Counts who is inside. The table holds only addresses that are, so it is bounded by the connections.
#[derive(Clone, Debug)]
pub struct Gate {
    limits: Limits,
    inside: Arc<Mutex<Inside>>,
}

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    by: HashMap<Source, usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    V4([u8; 4]),
    /// A /64: whoever has one has all its addresses.
    V6([u16; 4]),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// The right to a connection; dropping it makes room.
#[derive(Debug)]
pub struct Permit {
    gate: Gate,
    connection: bool,
    source: Option<Source>,
}

impl Gate {
    /// An empty relay.
    pub fn new(limits: Limits) -> Self {
        Self { limits, inside: Arc::default() }
    }

    /// The bounds that it keeps.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Lets a connection in. `counted`: the address whose share it takes; `None` for loopback and trusted proxies.
    pub fn connection(&self, counted: Option<IpAddr>) -> Result<Permit, Full> {
        self.enter(true, counted)
    }

    /// Takes a share of `address` for somebody whose connection is a proxy's and already counted in all.
    pub fn behind_proxy(&self, address: IpAddr) -> Result<Permit, Full> {
        self.enter(false, Some(address))
    }

    /// Connections at this moment.
    pub fn connections(&self) -> usize {
        self.inside().all
    }

    fn enter(&self, connection: bool, counted: Option<IpAddr>) -> Result<Permit, Full> {
        let source = counted.map(Source::from);
        let mut inside = self.inside();
        if connection && inside.all >= self.limits.connections {
            return Err(Full::Relay);
        }
        if let Some(source) = source {
            let held = inside.by.get(&source).copied().unwrap_or(0);
            if held >= self.limits.per_address {
                return Err(Full::Address);
            }
            inside.by.insert(source, held + 1);
        }
        inside.all += usize::from(connection);
        drop(inside);
        Ok(Permit { gate: self.clone(), connection, source })
    }

    /// Counting cannot panic half-way, so a poisoned count is a right one.
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut inside = self.gate.inside();
        inside.all -= usize::from(self.connection);
        if let Some(source) = self.source
            && let Some(held) = inside.by.get_mut(&source)
        {
            *held -= 1;
            if *held == 0 {
                inside.by.remove(&source);
            }
        }
    }
}

/// Whether an address may be a proxy of our own: this machine, or its private network.
pub fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}
