//! Git's smart HTTP protocol (gitprotocol-http), without HTTP.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};

use bailiwick_git::{Advertise, Service};
use bailiwick_model::action::BranchPush;
use bailiwick_model::id::{Oid, RepoName};
use bailiwick_model::outcome::{Outcome, Recorded};
use bailiwick_warden::Permit;
use flate2::read::GzDecoder;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::child::{UploadPackStream, run};
use crate::embedded::EmbeddedForge;
use crate::error::ForgeError;
use crate::pkt_line::{Header, PktLineError, header, put};
use crate::receive_pack::{ReceivePackRequest, Refusal, outcome};

/// The largest request of a fetch, as sent and as unpacked.
const FETCH_BYTES: u64 = 16 << 20;
/// The largest command list of a push.
const COMMAND_BYTES: usize = 128 << 10;

/// How many times the largest pack is read and thrown away to be able to refuse a larger one with
/// a reason. Beyond that the connection is cut, and the client only sees that.
const DRAINED: u64 = 8;

/// A push as it was put aside.
struct Spooled {
    commands: Vec<u8>,
    pack: File,
    size: PackSize,
}

/// Whether a pack is within the limit.
enum PackSize {
    Fits,
    TooLarge,
}

/// The `Content-Encoding` of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEncoding {
    /// As it is.
    Identity,
    /// Packed with gzip.
    Gzip,
}

impl BodyEncoding {
    /// Parses the header's value; none is the identity.
    pub fn parse(header: Option<&str>) -> Result<Self, PktLineError> {
        match header {
            None | Some("identity" | "") => Ok(Self::Identity),
            Some("gzip" | "x-gzip") => Ok(Self::Gzip),
            Some(_) => {
                Err(PktLineError::new("its content encoding is neither `gzip` nor `identity`"))
            }
        }
    }
}

/// The bound on a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushLimits {
    /// The largest pack, in bytes.
    pub pack_bytes: u64,
}

impl PushLimits {
    /// Packs of up to 1 GiB.
    pub const STANDARD: Self = Self { pack_bytes: 1 << 30 };
}

/// Git's smart HTTP protocol for an embedded forge. Whoever maps HTTP to it checks first who asks.
///
/// | request | call | response type |
/// |---|---|---|
/// | `GET /NAME.git/info/refs?service=S` | [`advertise`](Self::advertise) | `application/x-S-advertisement` |
/// | `POST /NAME.git/git-upload-pack` | [`upload_pack`](Self::upload_pack) | `application/x-git-upload-pack-result` |
/// | `POST /NAME.git/git-receive-pack` | [`read_push`](Self::read_push), then [`receive_pack`](Self::receive_pack) | `application/x-git-receive-pack-result` |
///
/// Every response has `Cache-Control: no-cache`. With axum the push looks like this:
///
/// ```
/// use axum::body::Body;
/// use bailiwick_forge::{BodyEncoding, ForgeError, GitHttp, Wanted};
/// use bailiwick_model::id::RepoName;
/// use bailiwick_model::outcome::EffectError;
/// use bailiwick_model::subject::{Context, Subject};
/// use bailiwick_warden::{ActError, Warden};
/// use futures_util::TryStreamExt;
/// use tokio_util::io::StreamReader;
///
/// async fn receive(
///     git: GitHttp, warden: &Warden, subject: &Subject, context: &Context,
///     repo: &RepoName, encoding: Option<&str>, body: Body,
/// ) -> Result<Vec<u8>, ForgeError> {
///     let encoding = BodyEncoding::parse(encoding)?;
///     let body = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
///     let push = git.read_push(repo, encoding, body).await?;
///     let refusal = push.refusal();
///     match push.wanted() {
///         Wanted::Nothing => Ok(Vec::new()),
///         Wanted::Refused { reason } => Ok(refusal.answer(&reason, None)),
///         Wanted::Branch(action) => {
///             let done = warden.perform(subject, context, action, |permit| async move { git.receive_pack(permit, push).await });
///             Ok(match done.await {
///                 Ok(answer) => answer.body,
///                 Err(error) => refusal.answer(&error.to_string(), Some(&error.hint())),
///             })
///         }
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct GitHttp {
    forge: EmbeddedForge,
    limits: PushLimits,
}

/// What a push asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing: a client tries out the connection before a large push. The answer is empty.
    Nothing,
    /// Moving this branch.
    Branch(BranchPush),
    /// Something that is not done, whoever asks.
    Refused {
        /// Why.
        reason: String,
    },
}

/// A push that has arrived whole and has had no effect yet.
#[derive(Debug)]
pub struct IncomingPush {
    repo: RepoName,
    request: ReceivePackRequest,
    commands: Vec<u8>,
    pack: File,
    wanted: Wanted,
}

impl IncomingPush {
    /// What it asks for.
    pub fn wanted(&self) -> Wanted {
        self.wanted.clone()
    }

    /// How it is refused; to be taken before the push is handed on.
    pub fn refusal(&self) -> Refusal {
        self.request.refusal()
    }
}

/// A push that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushAnswer {
    /// The body of the response.
    pub body: Vec<u8>,
    /// Where the branch is now; none when it was deleted.
    pub commit: Option<Oid>,
}

impl Recorded for PushAnswer {
    fn outcome(&self) -> Outcome {
        Outcome::Git { oid: self.commit.clone() }
    }
}

impl GitHttp {
    /// Speaks for a forge.
    pub fn new(forge: EmbeddedForge, limits: PushLimits) -> Self {
        Self { forge, limits }
    }

    /// Lists the references: the body of `info/refs`. `protocol` is the `Git-Protocol` header.
    pub async fn advertise(
        &self,
        repo: &RepoName,
        service: Service,
        protocol: Option<&str>,
    ) -> Result<Vec<u8>, ForgeError> {
        let git = self.git(repo).await?;
        // a push has no version 2, and only version 2 goes without the announcement
        let protocol =
            protocol.filter(|version| service == Service::UploadPack || *version != "version=2");
        let mut body = Vec::new();
        if protocol != Some("version=2") {
            put(&mut body, format!("# service={}\n", service.name()).as_bytes());
            body.extend_from_slice(crate::pkt_line::FLUSH);
        }
        let command = git.serve(service, protocol, Advertise::References);
        let refs =
            run(command, Vec::new(), None).await.map_err(ForgeError::io("serve", git.git_dir()))?;
        body.extend_from_slice(&refs);
        Ok(body)
    }

    /// Serves a fetch or clone. The request is read whole; the answer is a stream.
    pub async fn upload_pack(
        &self,
        repo: &RepoName,
        encoding: BodyEncoding,
        protocol: Option<&str>,
        body: impl AsyncRead + Unpin,
    ) -> Result<UploadPackStream, ForgeError> {
        let git = self.git(repo).await?;
        let request = read_whole(encoding, body).await?;
        let command = git.serve(Service::UploadPack, protocol, Advertise::Nothing);
        UploadPackStream::start(command, request).map_err(ForgeError::io("serve", git.git_dir()))
    }

    /// Takes a push in, without any effect: the command list is parsed, the pack is put aside.
    pub async fn read_push(
        &self,
        repo: &RepoName,
        encoding: BodyEncoding,
        body: impl AsyncRead + Unpin,
    ) -> Result<IncomingPush, ForgeError> {
        let git = self.git(repo).await?;
        let pack = tempfile::tempfile_in(git.git_dir())
            .map_err(ForgeError::io("create a file in", git.git_dir()))?;
        let Spooled { commands, pack, size } = match encoding {
            BodyEncoding::Identity => self.spool(body, pack).await?,
            BodyEncoding::Gzip => {
                let whole = read_whole(encoding, body).await?;
                self.spool(whole.as_slice(), pack).await?
            }
        };
        let request = ReceivePackRequest::parse(&commands)?;
        let wanted = match size {
            PackSize::Fits => self.examine(repo, &request).await?,
            PackSize::TooLarge => Wanted::Refused {
                reason: format!("the push has more than {} bytes", self.limits.pack_bytes),
            },
        };
        Ok(IncomingPush { repo: repo.clone(), request, commands, pack, wanted })
    }

    /// Does what was pushed, if it is what was permitted.
    pub async fn receive_pack(
        &self,
        permit: Permit<BranchPush>,
        push: IncomingPush,
    ) -> Result<PushAnswer, ForgeError> {
        let action = permit.action();
        if action.repo != push.repo || push.wanted != Wanted::Branch(action.clone()) {
            return Err(ForgeError::Unfit { reason: "it is for another push".to_owned() });
        }
        let branch = action.branch.clone();
        let git = self
            .forge
            .blocking({
                let (repo, branch) = (action.repo.clone(), branch.clone());
                move |forge| {
                    let opened = forge.opened(&repo)?;
                    opened.refuse_protected(&branch)?;
                    Ok(opened.git.clone())
                }
            })
            .await?;
        let command = git.serve(Service::ReceivePack, None, Advertise::Nothing);
        let pack = action.commit.is_some().then_some(push.pack);
        let body = run(command, push.commands, pack)
            .await
            .map_err(ForgeError::io("serve", git.git_dir()))?;
        let taken = outcome(&body);
        self.forge.changing(&action.repo, move |opened, _| opened.branch_moved(&branch)).await?;
        taken.map_err(|reason| ForgeError::PushRejected { reason })?;
        Ok(PushAnswer { body, commit: action.commit.clone() })
    }

    async fn git(&self, repo: &RepoName) -> Result<bailiwick_git::Git, ForgeError> {
        let repo = repo.clone();
        self.forge.blocking(move |forge| forge.git(&repo)).await
    }

    async fn examine(
        &self,
        repo: &RepoName,
        request: &ReceivePackRequest,
    ) -> Result<Wanted, ForgeError> {
        let update = match request.updates.as_slice() {
            [] => return Ok(Wanted::Nothing),
            [update] => update,
            [..] => return Ok(Wanted::Refused { reason: "push one branch at a time".to_owned() }),
        };
        let Some(branch) = update.branch() else {
            return Ok(Wanted::Refused { reason: "only branches can be pushed".to_owned() });
        };
        let action = BranchPush {
            repo: repo.clone(),
            branch: branch.clone(),
            expected: update.old.clone(),
            commit: update.new.clone(),
            protected: false,
        };
        let repo = repo.clone();
        self.forge
            .blocking(move |forge| match forge.opened(&repo)?.refuse_protected(&branch) {
                Ok(()) => Ok(Wanted::Branch(action)),
                Err(ForgeError::ProtectedBranch { .. }) => {
                    Ok(Wanted::Branch(BranchPush { protected: true, ..action }))
                }
                Err(error) => Err(error),
            })
            .await
    }

    /// Reads the command list into memory and the pack into a file.
    async fn spool(
        &self,
        mut body: impl AsyncRead + Unpin,
        pack: File,
    ) -> Result<Spooled, ForgeError> {
        let unreadable =
            |error: std::io::Error| PktLineError::new(format!("it cannot be read: {error}"));
        let mut commands = Vec::new();
        loop {
            let mut digits = [0u8; 4];
            body.read_exact(&mut digits).await.map_err(unreadable)?;
            commands.extend_from_slice(&digits);
            match header(digits)? {
                Header::Flush => break,
                Header::Delimiter => {
                    return Err(PktLineError::new("a delimiter stands in the command list").into());
                }
                Header::Data(length) => {
                    let start = commands.len();
                    if start + length > COMMAND_BYTES {
                        return Err(PktLineError::new("the command list is too long").into());
                    }
                    commands.resize(start + length, 0);
                    let line = commands.get_mut(start..).unwrap_or_default();
                    body.read_exact(line).await.map_err(unreadable)?;
                }
            }
        }
        let mut pack = tokio::fs::File::from_std(pack);
        let mut limited = (&mut body).take(self.limits.pack_bytes.saturating_add(1));
        let bytes = tokio::io::copy(&mut limited, &mut pack).await.map_err(unreadable)?;
        let size = if bytes > self.limits.pack_bytes {
            // a client that is still sending does not read an answer, so the rest is taken too
            let mut rest = body.take(self.limits.pack_bytes.saturating_mul(DRAINED));
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map_err(unreadable)?;
            PackSize::TooLarge
        } else {
            PackSize::Fits
        };
        tokio::io::AsyncWriteExt::flush(&mut pack).await.map_err(unreadable)?;
        let mut pack = pack.into_std().await;
        pack.rewind().map_err(unreadable)?;
        pack.flush().map_err(unreadable)?;
        Ok(Spooled { commands, pack, size })
    }
}

/// Reads a request of bounded size and unpacks it, with a bound on that too.
async fn read_whole(
    encoding: BodyEncoding,
    body: impl AsyncRead + Unpin,
) -> Result<Vec<u8>, ForgeError> {
    let unreadable =
        |error: std::io::Error| PktLineError::new(format!("it cannot be read: {error}"));
    let too_large = || PktLineError::new(format!("it has more than {FETCH_BYTES} bytes"));
    let mut sent = Vec::new();
    body.take(FETCH_BYTES + 1).read_to_end(&mut sent).await.map_err(unreadable)?;
    let whole = match encoding {
        BodyEncoding::Identity => sent,
        BodyEncoding::Gzip if sent.len() as u64 > FETCH_BYTES => return Err(too_large().into()),
        BodyEncoding::Gzip => {
            let mut whole = Vec::new();
            GzDecoder::new(sent.as_slice())
                .take(FETCH_BYTES + 1)
                .read_to_end(&mut whole)
                .map_err(unreadable)?;
            whole
        }
    };
    if whole.len() as u64 > FETCH_BYTES {
        return Err(too_large().into());
    }
    Ok(whole)
}
