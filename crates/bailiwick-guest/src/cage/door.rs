//! The door: a port of the cage's own loopback whose listening socket is held outside.
//!
//! A socket stays in the network namespace that it was made in, whoever holds it. So the init makes
//! the listening socket in the cage's namespace and hands it out before anything of an agent runs:
//! connections are accepted out there, by a process that the cage can't see. No relay runs inside,
//! no file of the host is mounted for it, and the cage gets no route.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    bind, listen, sendmsg, socket_with, sockopt,
};

use crate::reply::CageError;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 128;

/// Where the listening socket goes to, and the port it will listen on.
#[derive(Debug)]
pub(super) struct WayOut {
    to: OwnedFd,
    port: u16,
}

/// Keeps the launcher's standard input, before the payload's takes its place.
pub(super) fn way_out(port: u16) -> Result<WayOut, CageError> {
    let step = |error: Errno| CageError::at("keeping the way out")(error.into());
    if port == 0 {
        return Err(CageError::new("keeping the way out", "the door has no port"));
    }
    let stdin = std::io::stdin();
    let to = rustix::io::fcntl_dupfd_cloexec(stdin.as_fd(), 3).map_err(step)?;
    Ok(WayOut { to, port })
}

impl WayOut {
    /// Listens, hands the socket out, and keeps nothing of it.
    pub(super) fn open(self) -> Result<String, CageError> {
        let step = |error: Errno| CageError::at("opening the door")(error.into());
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port);
        let listener =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .map_err(step)?;
        sockopt::set_socket_reuseaddr(&listener, true).map_err(step)?;
        bind(&listener, &address).map_err(step)?;
        listen(&listener, BACKLOG).map_err(step)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let handed = [listener.as_fd()];
        if !ancillary.push(SendAncillaryMessage::ScmRights(&handed)) {
            return Err(CageError::new("opening the door", "there is no room for the socket"));
        }
        // Without an end that is read this is an error, not a signal.
        let sent = sendmsg(&self.to, &[IoSlice::new(b"d")], &mut ancillary, SendFlags::NOSIGNAL);
        if sent.map_err(step)? != 1 {
            return Err(CageError::new("opening the door", "the socket was not handed out"));
        }
        Ok(format!("{address}, served from outside"))
    }
}
