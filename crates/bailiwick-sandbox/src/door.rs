//! The door of a cage, seen from outside: a listening socket in the cage's own network, and
//! whoever serves what connects to it.

use std::future::Future;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::process::Stdio;

use async_trait::async_trait;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use crate::error::SandboxError;

/// Serves the only way out of a cage.
#[async_trait]
pub trait Doorkeeper: Send + Sync {
    /// Accepts connections on `listener`, which is in the network of the cage, until `closed`: the
    /// cage is gone then. Ends what is under way before it returns.
    async fn serve(&self, listener: tokio::net::TcpListener, closed: CancellationToken);
}

/// The door of one cage.
#[derive(Clone)]
pub struct Door<'a> {
    /// Who serves it.
    pub keeper: &'a dyn Doorkeeper,
    /// Ends the cage, with everything in it, before its program ends by itself.
    pub stop: CancellationToken,
}

impl std::fmt::Debug for Door<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("stop", &self.stop).finish_non_exhaustive()
    }
}

/// Our end of the launcher's standard input.
#[derive(Debug)]
pub(crate) struct Way(UnixStream);

impl Way {
    /// A way, and the end for the launcher.
    pub(crate) fn open() -> std::io::Result<(Self, Stdio)> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok((Self(UnixStream::from_std(ours)?), Stdio::from(OwnedFd::from(theirs))))
    }

    pub(crate) async fn write_all(&mut self, message: &[u8]) -> std::io::Result<()> {
        self.0.write_all(message).await
    }

    /// Tells the launcher that nobody wants the cage any more, upon which it ends it and answers.
    fn give_up(&self) {
        // It fails when the launcher is gone, and then the cage is too.
        let _gone_already = rustix::net::shutdown(self.0.as_fd(), rustix::net::Shutdown::Write);
    }

    /// Waits until the listening socket comes. None when the launcher ends without one.
    async fn listener(&self) -> std::io::Result<Option<tokio::net::TcpListener>> {
        let socket = self.0.async_io(Interest::READABLE, || take_socket(&self.0)).await?;
        let Some(socket) = socket else { return Ok(None) };
        let listener = TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener).map(Some)
    }
}

fn take_socket(from: &UnixStream) -> std::io::Result<Option<OwnedFd>> {
    let mut byte = [0u8; 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut byte)];
    recvmsg(from.as_fd(), &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let socket = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    Ok(socket)
}

/// Waits for `cage`, with its door served meanwhile. The door is shut, and whatever it was busy
/// with is over, before this returns.
pub(crate) async fn served<T>(
    way: &Way,
    door: &Door<'_>,
    cage: impl Future<Output = Result<T, SandboxError>>,
) -> Result<T, SandboxError> {
    let closed = CancellationToken::new();
    // Also when this future is dropped: then the cage ends too.
    let _closed_at_the_latest = closed.clone().drop_guard();
    let serve = async {
        tokio::select! {
            listener = way.listener() => {
                if let Ok(Some(listener)) = listener {
                    door.keeper.serve(listener, closed.clone()).await;
                }
            }
            () = closed.cancelled() => {}
        }
    };
    let cage = async {
        let done = cage.await;
        closed.cancel();
        done
    };
    let stop = async {
        tokio::select! {
            () = door.stop.cancelled() => way.give_up(),
            () = closed.cancelled() => {}
        }
    };
    tokio::join!(serve, cage, stop).1
}
