//! Clients that mean harm, each in its own way. They come back as often as they are thrown out.

use std::time::Duration;

use bobchat_proto::codec::{Format, encode_client_frame};
use bobchat_proto::wire::{Auth, ClientFrame, MessageHistory, RoomJoin, client_frame::Request};
use bytes::BytesMut;
use futures_util::FutureExt as _;
use futures_util::future::{join_all, select};
use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::ws::{self, Masker, Opcode};

/// How long one attempt goes on before the next begins.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Between two attempts, and between two pieces of one: a machine that does nothing but attack would measure itself.
const PAUSE: Duration = Duration::from_millis(50);

/// What is sent at a time of what never ends.
const PIECE_BYTES: usize = 16 * 1024;

/// Pages that are asked for at once by who reads none.
const PAGES: u64 = 32;

/// A way to mean harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attack {
    /// The head of the handshake comes byte by byte.
    SlowHead,
    /// A connection that says nothing.
    Silence,
    /// A frame of which one byte comes.
    OneByte,
    /// A frame that declares 1 TiB, and bytes of it.
    HugeFrame,
    /// Fragments without an end.
    Fragments,
    /// Pings without a pause.
    Pings,
    /// Frames without masks.
    Unmasked,
    /// Asks for pages of history and reads none.
    ReadsNothing,
}

impl Attack {
    pub(super) const ALL: [Self; 8] = [
        Self::SlowHead,
        Self::Silence,
        Self::OneByte,
        Self::HugeFrame,
        Self::Fragments,
        Self::Pings,
        Self::Unmasked,
        Self::ReadsNothing,
    ];

    /// What it is, for people.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::SlowHead => "slow head",
            Self::Silence => "silence",
            Self::OneByte => "one byte",
            Self::HugeFrame => "1 TiB declared",
            Self::Fragments => "endless fragments",
            Self::Pings => "pings",
            Self::Unmasked => "unmasked",
            Self::ReadsNothing => "reads nothing",
        }
    }

    /// One attempt; ends when the server throws it out.
    async fn attempt(self, victim: &Victim) -> anyhow::Result<()> {
        if self == Self::SlowHead {
            let mut stream = TcpStream::connect(&victim.authority).await?;
            stream.write_all(b"GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nX-Slow: ").await?;
            return repeat(&mut stream, b"x").await;
        }
        let request = ws::Request {
            authority: victim.authority.clone(),
            path: "/api/v1/ws".to_owned(),
            subprotocol: Some(Format::Json.subprotocol()),
            trust: None,
        };
        let (mut stream, _) = ws::open(&request, ws::Way::default()).await?;
        match self {
            Self::SlowHead | Self::Silence => {}
            Self::OneByte => stream.write_all(&[0x81]).await?,
            Self::HugeFrame => {
                stream.write_all(&[0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4]).await?;
                repeat(&mut stream, &[0x55; PIECE_BYTES]).await?;
            }
            Self::Fragments => {
                stream.write_all(&[0x01, 0x80, 0, 0, 0, 0]).await?;
                repeat(&mut stream, &[0x00, 0x80, 0, 0, 0, 0].repeat(100)).await?;
            }
            Self::Pings => repeat(&mut stream, &[0x89, 0x80, 0, 0, 0, 0].repeat(100)).await?,
            Self::Unmasked => repeat(&mut stream, &[0x81, 0x02, b'{', b'}']).await?,
            Self::ReadsNothing => {
                stream.write_all(&victim.questions()).await?;
                repeat(&mut stream, &[]).await?;
            }
        }
        std::future::pending().await
    }
}

async fn repeat(stream: &mut (impl AsyncWrite + Unpin), piece: &[u8]) -> anyhow::Result<()> {
    loop {
        stream.write_all(piece).await?;
        sleep(PAUSE).await;
    }
}

/// Who is attacked, and with whose token where one is needed.
#[derive(Debug, Clone)]
pub(super) struct Victim {
    pub(super) authority: String,
    pub(super) token: String,
    /// A room with long pages that everybody may join.
    pub(super) room: u64,
}

impl Victim {
    /// Signs in, joins, and asks for more than anybody would wait for.
    fn questions(&self) -> BytesMut {
        let room = self.room;
        let auth = Request::Auth(Auth { token: self.token.clone(), cursors: Vec::new() });
        let page = MessageHistory { room, limit: Some(200), ..MessageHistory::default() };
        let pages = (0..PAGES).map(|_| Request::MessageHistory(page));
        let requests = [auth, Request::RoomJoin(RoomJoin { room })].into_iter().chain(pages);
        let (mut out, mut masker) = (BytesMut::new(), Masker::new(1));
        for (id, request) in (1..).zip(requests) {
            let mut payload = BytesMut::new();
            encode_client_frame(&ClientFrame { id, request: Some(request) }, Format::Json, &mut payload);
            ws::write_masked(&mut out, Opcode::Text, masker.next(), &payload);
        }
        out
    }
}

/// Attackers that go on until they are stopped.
///
/// They have a thread of their own, which yields to every other: on the core of the harness they would else delay those
/// whose latency is measured, which is no doing of the server.
pub(super) struct Attackers {
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<anyhow::Result<()>>,
}

/// The lowest priority there is (setpriority(2)).
const YIELDING: i32 = 19;

impl Attackers {
    /// As many of each kind as come out of `count`.
    pub(super) fn start(kinds: &[Attack], count: usize, victim: &Victim) -> anyhow::Result<Self> {
        let kinds: Vec<Attack> = kinds.iter().copied().cycle().take(count).collect();
        let victim = victim.clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("attackers".to_owned()).spawn(move || {
            setpriority_process(Some(gettid()), YIELDING)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let attackers = kinds.into_iter().map(|kind| go_on(kind, &victim));
                let _ = select(join_all(attackers).boxed_local(), stopped).await;
            });
            Ok(())
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends them.
    ///
    /// # Errors
    /// When they had ended by themselves.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        drop(self.stop);
        self.thread.join().map_err(|_| anyhow::anyhow!("the attackers' thread panicked"))?
    }
}

async fn go_on(kind: Attack, victim: &Victim) {
    loop {
        // Thrown out, refused, or simply over: the next one comes.
        let _ = timeout(ATTEMPT, kind.attempt(victim)).await;
        sleep(PAUSE).await;
    }
}
