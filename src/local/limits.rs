//! How far a peer's slowness and greed are borne.

use std::time::Duration;

/// How long a server waits for its peers, and how much it holds for them.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// From the end of a reply, or the beginning of the connection, to the end of the next request's head: idle connections
    /// are closed after that, as the service's load balancers do. A TLS handshake has as long to itself.
    pub head: Duration,
    /// From the end of the head to the end of the body.
    pub body: Duration,
    /// Without a byte of a reply taken.
    pub reply: Duration,
    /// TLS handshakes under way at once; beyond it the one that began first is given up.
    pub handshakes: usize,
    /// Bytes of request bodies in memory at once.
    pub bodies: usize,
    /// Bytes of replies in memory at once; beyond it nothing more is received.
    pub replies: usize,
}

impl Default for ServerLimits {
    fn default() -> ServerLimits {
        let minute = Duration::from_secs(60);
        ServerLimits {
            head: minute,
            body: minute,
            reply: minute,
            handshakes: 2_048,
            bodies: 128 << 20,
            replies: 256 << 20,
        }
    }
}

#[cfg(test)]
mod tests;
