//! Git processes that serve one request.

use std::fmt;
use std::fs::File;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Sleep, sleep, timeout};

/// The longest a client may take over one request.
const REQUEST: Duration = Duration::from_secs(600);
/// The largest answer that is kept in memory: a list of references, or the report of a push.
const ANSWER_BYTES: u64 = 64 << 20;

/// Starts a process that ends when nobody waits for it any more.
fn start(command: std::process::Command) -> io::Result<Child> {
    Command::from(command).stderr(Stdio::null()).kill_on_drop(true).spawn()
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the process has no such stream")
}

/// Runs to the end with this input, and gives the whole output.
pub(crate) async fn run(
    command: std::process::Command,
    head: Vec<u8>,
    pack: Option<File>,
) -> io::Result<Vec<u8>> {
    let mut child = start(command)?;
    let mut stdin = child.stdin.take().ok_or_else(gone)?;
    let stdout = child.stdout.take().ok_or_else(gone)?;
    let feed = async move {
        stdin.write_all(&head).await?;
        if let Some(pack) = pack {
            tokio::io::copy(&mut tokio::fs::File::from_std(pack), &mut stdin).await?;
        }
        stdin.shutdown().await
    };
    let read = async move {
        let mut output = Vec::new();
        stdout.take(ANSWER_BYTES).read_to_end(&mut output).await.map(|_| output)
    };
    let work = async {
        let (fed, output) = tokio::join!(feed, read);
        match fed {
            // the process ends early when it refuses, and says why in its output
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            Ok(()) | Err(_) => {}
        }
        child.wait().await?;
        output
    };
    timeout(REQUEST, work).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// What `git upload-pack` answers, as it comes. Dropping it ends the process.
pub struct UploadPackStream {
    _child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    request: Vec<u8>,
    written: usize,
    deadline: Pin<Box<Sleep>>,
}

impl fmt::Debug for UploadPackStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadPackStream").finish_non_exhaustive()
    }
}

impl UploadPackStream {
    pub(crate) fn start(command: std::process::Command, request: Vec<u8>) -> io::Result<Self> {
        let mut child = start(command)?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(gone)?;
        Ok(Self {
            _child: child,
            stdin,
            stdout,
            request,
            written: 0,
            deadline: Box::pin(sleep(REQUEST)),
        })
    }

    /// Writes as much of the request as the process takes now.
    fn feed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Some(stdin) = self.stdin.as_mut() {
            let rest = self.request.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                // closing it tells the process that the request is complete
                self.stdin = None;
                break;
            }
            match ready!(Pin::new(stdin).poll_write(context, rest)) {
                Ok(0) | Err(_) => self.stdin = None,
                Ok(count) => self.written += count,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for UploadPackStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match self.feed(context) {
            // reading goes on either way: the process may answer before it has read everything
            Poll::Ready(()) | Poll::Pending => {
                Pin::new(&mut self.stdout).poll_read(context, buffer)
            }
        }
    }
}
