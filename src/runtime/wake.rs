//! Wake descriptors: a pair of connected sockets, of which the one is readable when the other was written to.
//!
//! On Unix they are Unix sockets. Elsewhere they are two ends of a TCP connection of this machine with itself, since that is
//! what every event loop, and every library's `select`, can watch. `TURBOSQS_PORTABLE=1` has the same on Unix, for tests.

use std::env;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
#[cfg(unix)]
pub(crate) use std::os::fd::RawFd as Descriptor;
#[cfg(unix)]
use std::os::fd::{AsRawFd, OwnedFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(windows)]
use std::os::windows::io::AsRawSocket;
#[cfg(windows)]
pub(crate) use std::os::windows::io::RawSocket as Descriptor;

pub(crate) fn descriptor(socket: &TcpStream) -> Descriptor {
    #[cfg(unix)]
    return socket.as_raw_fd();
    #[cfg(windows)]
    return socket.as_raw_socket();
}

/// Whether what other platforms do is to be done here.
pub(crate) fn is_portable() -> bool {
    env::var_os("TURBOSQS_PORTABLE").is_some_and(|value| value == "1")
}

/// A sender and a receiver, of which neither blocks.
pub(crate) fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let (sender, receiver) = connected()?;
    sender.set_nonblocking(true)?;
    receiver.set_nonblocking(true)?;
    Ok((sender, receiver))
}

#[cfg(unix)]
fn connected() -> io::Result<(TcpStream, TcpStream)> {
    if is_portable() {
        return with_itself();
    }
    // The type says TCP; what is asked of it is the same for both.
    let (sender, receiver) = UnixStream::pair()?;
    Ok((OwnedFd::from(sender).into(), OwnedFd::from(receiver).into()))
}

#[cfg(not(unix))]
fn connected() -> io::Result<(TcpStream, TcpStream)> {
    with_itself()
}

fn with_itself() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let sender = TcpStream::connect(listener.local_addr()?)?;
    // One byte at a time, and never late.
    sender.set_nodelay(true)?;
    let ours = sender.local_addr()?;
    // Any process of this machine may connect as well, and be the first.
    loop {
        let (receiver, peer) = listener.accept()?;
        if peer == ours {
            return Ok((sender, receiver));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn both_kinds_carry_a_byte_and_do_not_block() {
        for (mut sender, mut receiver) in [connected().unwrap(), with_itself().unwrap()] {
            sender.set_nonblocking(true).unwrap();
            receiver.set_nonblocking(true).unwrap();
            let mut bytes = [0; 8];
            assert_eq!(receiver.read(&mut bytes).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            assert_eq!(sender.write(&[1]).unwrap(), 1);
            receiver.set_nonblocking(false).unwrap();
            assert_eq!(receiver.read(&mut bytes).unwrap(), 1);
        }
    }
}
