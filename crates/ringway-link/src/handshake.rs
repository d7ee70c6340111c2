//! Who is there? Both ends prove that they know the join secret, over nonces of both and all that was said.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use hmac::{Hmac, KeyInit, Mac};
use ringway_core::id::Incarnation;
use ringway_protocol::link::{
    FrameError, Handshake, Hello, Identity, MAX_HANDSHAKE_BYTES, NotALink, PREAMBLE_HEAD_BYTES, PreambleHead, Purpose,
    Rejection, Versions, decode_handshake, encode_handshake, preamble, read_preamble_head,
};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fault::Faults;
use crate::wrong_secret::Treatment;

/// Bytes of a seal.
pub const SEAL_BYTES: usize = 32;

/// The join secret: whoever knows it is a member. Any bytes; it is never sent and never shown.
#[derive(Clone)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// Takes the secret.
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        Self(secret.as_ref().into())
    }

    /// What only a member can say of these bytes. The label says what they are, so that a seal is of no use elsewhere.
    pub fn seal(&self, label: &[u8], bytes: &[u8]) -> [u8; SEAL_BYTES] {
        self.sealing(label, bytes).finalize().into_bytes().into()
    }

    /// Whether a member has said that of these bytes. Takes as long whatever is wrong.
    pub fn is_seal(&self, label: &[u8], bytes: &[u8], seal: &[u8]) -> bool {
        self.sealing(label, bytes).verify_slice(seal).is_ok()
    }

    fn sealing(&self, label: &[u8], bytes: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.chain_update(label).chain_update(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why two members did not come together.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection broke, or the other end closed it.
    #[error("the connection ended during the handshake: {0}")]
    Io(#[from] io::Error),
    /// It took too long. The other end may be frozen, or cut off.
    #[error("the other end did not answer in time")]
    TimedOut,
    /// A web server listens there: the port for clients, mostly.
    #[error("the other end answers HTTP, so it is a port for clients and no link port")]
    Http,
    /// Something else listens or knocks there.
    #[error("{0}: check the address")]
    NotALink(#[from] NotALink),
    /// The two ends are of releases that have no version in common.
    #[error(
        "refused: the other end speaks {theirs} of the link protocol, this one {ours}: run releases that have a version \
         in common"
    )]
    Version {
        /// Their versions.
        theirs: Versions,
        /// This end's versions.
        ours: Versions,
    },
    /// The other end refused us.
    #[error("refused: {}", explain(*.0))]
    Refused(Rejection),
    /// We refused the other end.
    #[error("refused the other end: {}", explain(*.0))]
    Rejected(Rejection),
    /// There is a link with this incarnation already; no other was made.
    #[error("linked with {0} already")]
    Linked(Incarnation),
    /// The other end sent what is no handshake.
    #[error("the other end broke the handshake: {0}")]
    Malformed(#[from] FrameError),
    /// The other end sent another message than the one that was its turn.
    #[error("the other end broke the handshake: a message out of turn")]
    OutOfTurn,
}

/// What happened and what to do, in words that hold for both ends.
fn explain(why: Rejection) -> &'static str {
    match why {
        Rejection::WrongSecret => "wrong join secret: the two members were given different ones; give both the same",
        Rejection::OtherCluster => {
            "the two members belong to different clusters; check the address and the cluster's name"
        }
        Rejection::Myself => "the address leads back to this member itself; give it another member's",
        Rejection::Linked => "the two members have a link already",
        Rejection::Unknown => {
            "the other end is of a later release and has a reason that this one does not know; look into its log"
        }
    }
}

/// What proofs are made with.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) secret: Secret,
    pub(crate) cluster: Box<str>,
    /// What this end speaks.
    pub(crate) versions: Versions,
}

/// Told apart, so that a proof cannot be sent back to the one who made it.
const DIALER: &[u8] = b"ringway link dialer";
const ACCEPTOR: &[u8] = b"ringway link acceptor";

/// What both ends have said, as it went over the wire: preambles, and hellos with their lengths. A range of versions that
/// somebody has changed on the way makes the proofs wrong.
struct Transcript {
    dialer: Said,
    acceptor: Said,
}

/// What one end has said.
struct Said {
    versions: Versions,
    hello: BytesMut,
}

impl Said {
    /// The same bytes again.
    fn spelled(&self) -> BytesMut {
        let mut bytes = BytesMut::from(&preamble(self.versions)[..]);
        bytes.extend_from_slice(&self.hello);
        bytes
    }
}

/// Who is at the other end, proved.
#[derive(Debug)]
pub(crate) struct Proved {
    pub(crate) identity: Identity,
    /// What is spoken with it.
    pub(crate) version: u16,
}

impl Keys {
    fn hello(&self, me: &Identity, purpose: Purpose) -> Handshake {
        let (cluster, identity) = (self.cluster.clone(), me.clone());
        Handshake::Hello(Box::new(Hello { nonce: rand::random(), cluster, identity, purpose }))
    }

    fn proof(&self, label: &[u8], transcript: &Transcript) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.secret.0).expect("HMAC takes keys of any length");
        mac.chain_update(label).chain_update(transcript.dialer.spelled()).chain_update(transcript.acceptor.spelled())
    }

    fn prove(&self, label: &[u8], transcript: &Transcript) -> Handshake {
        Handshake::Proof(self.proof(label, transcript).finalize().into_bytes().into())
    }

    /// Compares in constant time.
    fn accepts(&self, proof: &[u8; 32], label: &[u8], transcript: &Transcript) -> bool {
        self.proof(label, transcript).verify_slice(proof).is_ok()
    }

    /// The dialer's part. Returns who answered, proved. Where `is_linked` says that there is a link with the one who
    /// answers, the dialer steps back before it has proved anything: the new connection would replace that link.
    pub(crate) async fn dial(
        &self,
        stream: &mut TcpStream,
        me: &Identity,
        purpose: Purpose,
        is_linked: impl Fn(&Identity) -> bool,
    ) -> Result<Proved, HandshakeError> {
        let dialer = Said { versions: self.versions, hello: spell(&self.hello(me, purpose))? };
        stream.write_all(&dialer.spelled()).await?;
        let versions = read_versions(stream).await?;
        let version = self.common(versions)?;
        let (said, Handshake::Hello(hello)) = receive(stream).await? else { return Err(HandshakeError::OutOfTurn) };
        let acceptor = Said { versions, hello: said };
        if hello.cluster != self.cluster {
            return refuse(stream, Rejection::OtherCluster).await;
        }
        if is_linked(&hello.identity) {
            let _ = send(stream, &Handshake::Refused(Rejection::Linked)).await;
            return Err(HandshakeError::Linked(hello.identity.incarnation));
        }
        let transcript = Transcript { dialer, acceptor };
        send(stream, &self.prove(DIALER, &transcript)).await?;
        let Handshake::Proof(proof) = receive(stream).await?.1 else { return Err(HandshakeError::OutOfTurn) };
        if !self.accepts(&proof, ACCEPTOR, &transcript) {
            return refuse(stream, Rejection::WrongSecret).await;
        }
        Ok(Proved { identity: hello.identity, version })
    }

    /// The acceptor's first part: who claims to be there, and what for.
    pub(crate) async fn greet(&self, stream: &mut TcpStream, me: &Identity) -> Result<Caller, HandshakeError> {
        let versions = read_versions(stream).await?;
        let version = match self.common(versions) {
            Ok(version) => version,
            Err(error) => {
                stream.write_all(&preamble(self.versions)).await?;
                part(stream).await;
                return Err(error);
            }
        };
        let (said, Handshake::Hello(hello)) = receive(stream).await? else { return Err(HandshakeError::OutOfTurn) };
        let refusal = if hello.identity.incarnation == me.incarnation {
            Some(Rejection::Myself)
        } else if hello.cluster != self.cluster {
            Some(Rejection::OtherCluster)
        } else {
            None
        };
        if let Some(why) = refusal {
            stream.write_all(&preamble(self.versions)).await?;
            return refuse(stream, why).await;
        }
        Ok(Caller { said: Said { versions, hello: said }, hello, version })
    }

    /// The acceptor's second part. Returns once both ends have proved that they know the secret. `wrong` says what becomes of a dialer
    /// that does not.
    pub(crate) async fn accept(
        &self,
        stream: &mut TcpStream,
        me: &Identity,
        caller: Caller,
        faults: &Faults,
        wrong: impl FnOnce() -> Treatment,
    ) -> Result<(Proved, Purpose), HandshakeError> {
        let Caller { said, hello, version } = caller;
        faults.hang_if_cut(&hello.identity.id).await;
        let acceptor = Said { versions: self.versions, hello: spell(&self.hello(me, hello.purpose))? };
        stream.write_all(&acceptor.spelled()).await?;
        let transcript = Transcript { dialer: said, acceptor };
        let Handshake::Proof(proof) = receive(stream).await?.1 else { return Err(HandshakeError::OutOfTurn) };
        if !self.accepts(&proof, DIALER, &transcript) {
            return refuse_stranger(stream, wrong()).await;
        }
        send(stream, &self.prove(ACCEPTOR, &transcript)).await?;
        Ok((Proved { identity: hello.identity, version }, hello.purpose))
    }

    /// The version that is spoken with an end that speaks these.
    fn common(&self, theirs: Versions) -> Result<u16, HandshakeError> {
        self.versions.common(theirs).ok_or(HandshakeError::Version { theirs, ours: self.versions })
    }
}

/// A dialer that has said hello and proved nothing yet.
pub(crate) struct Caller {
    said: Said,
    hello: Box<Hello>,
    version: u16,
}

/// What the other end speaks. Of one from before there were ranges nothing more is read.
async fn read_versions(stream: &mut TcpStream) -> Result<Versions, HandshakeError> {
    let mut head = [0; PREAMBLE_HEAD_BYTES];
    stream.read_exact(&mut head).await?;
    if head.starts_with(b"HTTP/") {
        return Err(HandshakeError::Http);
    }
    Ok(match read_preamble_head(&head)? {
        PreambleHead::Only(version) => Versions { lowest: version, highest: version },
        PreambleHead::Lowest(lowest) => Versions { lowest, highest: stream.read_u16_le().await? },
    })
}

fn spell(message: &Handshake) -> io::Result<BytesMut> {
    let mut bytes = BytesMut::new();
    encode_handshake(message, &mut bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    Ok(bytes)
}

/// Sends one message of the handshake.
pub(crate) async fn send(stream: &mut TcpStream, message: &Handshake) -> io::Result<()> {
    stream.write_all(&spell(message)?).await
}

/// Reads one message of the handshake and not a byte more, with its bytes. A refusal comes back as an error.
pub(crate) async fn receive(stream: &mut TcpStream) -> Result<(BytesMut, Handshake), HandshakeError> {
    let announced = stream.read_u32_le().await?;
    let length = announced as usize;
    if length > MAX_HANDSHAKE_BYTES {
        return Err(FrameError::TooLong { length, limit: MAX_HANDSHAKE_BYTES }.into());
    }
    let mut bytes = BytesMut::zeroed(size_of::<u32>() + length);
    let (prefix, body) = bytes.split_at_mut(size_of::<u32>());
    prefix.copy_from_slice(&announced.to_le_bytes());
    stream.read_exact(body).await?;
    match decode_handshake(body)? {
        Handshake::Refused(why) => Err(HandshakeError::Refused(why)),
        message => Ok((bytes, message)),
    }
}

/// Tells the other end why, so that both know.
async fn refuse<T>(stream: &mut TcpStream, why: Rejection) -> Result<T, HandshakeError> {
    let _ = send(stream, &Handshake::Refused(why)).await;
    part(stream).await;
    Err(HandshakeError::Rejected(why))
}

/// The other end does not know the join secret. It hears so now or later, or not at all.
async fn refuse_stranger<T>(stream: &mut TcpStream, how: Treatment) -> Result<T, HandshakeError> {
    let why = Rejection::WrongSecret;
    match how {
        Treatment::Refuse => return refuse(stream, why).await,
        Treatment::RefuseAfter(delay) => {
            // Until then nothing is awaited from it but its end.
            if timeout(delay, stream.read_u8()).await.is_err() {
                return refuse(stream, why).await;
            }
        }
        Treatment::Close => {}
    }
    Err(HandshakeError::Rejected(why))
}

/// Ends a connection so that what was written last arrives: closing with unread bytes would take it back. Bounded by
/// the deadline of the handshake, and by what a stranger may make us read.
async fn part(stream: &mut TcpStream) {
    let _ = stream.shutdown().await;
    let mut forgotten = [0; 512];
    for _ in 0..MAX_HANDSHAKE_BYTES / forgotten.len() {
        if !matches!(stream.read(&mut forgotten).await, Ok(1..)) {
            return;
        }
    }
}
