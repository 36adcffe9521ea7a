use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, SpawnHandle, StreamHandler};
use bobchat_proto::codec::{Format, decode_client_frame};
use bobchat_proto::error::{CloseCode, ErrorCode};
use bobchat_proto::ids::RoomId;
use bobchat_proto::limits::{AUTH_DEADLINE, REQUEST_ID_MAX};
use bobchat_proto::wire::{self, client_frame::Request, ok, server_frame::Body};
use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::pages::{LOW_WATER, Pages};
use super::reads::{Readable, Reads};
use super::{Incoming, Inlet, auth, catch_up, frame};
use crate::bucket::{Bucket, Verdict};
use crate::hub::{Outlet, Wire};
use crate::metrics::Asked;
use crate::operations::{self, Acting};
use crate::ports::Identity;
use crate::room::Detach;
use crate::traces;
use crate::turns::{Line, Turns};
use crate::user::Disconnect;
use crate::worker::Worker;

/// The actor of one live connection, on the thread that accepted it.
///
/// It reads, and answers; events reach the client through the thread's hub, past it. Requests are started
/// in the order in which they come and answered as they are done; those for pages wait for the client to take the pages
/// before.
pub struct Session {
    worker: Rc<Worker>,
    outlet: Rc<Outlet>,
    inlet: Rc<RefCell<dyn Inlet>>,
    /// Who is signed in.
    acting: Option<Acting>,
    /// The rooms that it receives, or is about to.
    rooms: Vec<Receiving>,
    frames: Bucket,
    bytes: Bucket,
    in_flight: u16,
    pages: Pages,
    /// Whose turn it is to wait until more of what was missed may be read: with a thousand rooms behind, the others sleep.
    reading: Rc<Mutex<()>>,
    /// Set while a token is judged: what was read waits.
    authenticating: bool,
}

/// A room that a session receives, or is about to.
struct Receiving {
    room: RoomId,
    /// What brings it there.
    task: SpawnHandle,
    /// A room on another thread may still be about to let the session in: without this it does not.
    _wanted: Arc<()>,
}

impl Session {
    /// Starts a session over a connection whose WebSocket handshake is done. `identity` is whose token came
    /// with the handshake; without one the first frame has to be `auth`.
    pub fn start(
        worker: Rc<Worker>,
        format: Format,
        wire: impl Wire + 'static,
        inlet: impl Inlet + 'static,
        identity: Option<Identity>,
    ) {
        let core = &worker.core;
        let second = worker.hub.second();
        let outlet = Outlet::over(wire, core.new_session(), format, core.budget.clone(), second);
        outlet.set_deadline(second.saturating_add(seconds(AUTH_DEADLINE)), CloseCode::TokenEnded);
        worker.hub.admit(outlet.clone());
        let inlet: Rc<RefCell<dyn Inlet>> = Rc::new(RefCell::new(inlet));
        let now = Instant::now();
        let line = Line::new(worker.strangers.clone());
        let session = Self {
            frames: Bucket::full(core.options.frame_rate(), now),
            bytes: Bucket::full(core.options.frame_byte_rate(), now),
            worker,
            outlet: outlet.clone(),
            inlet: inlet.clone(),
            acting: None,
            rooms: Vec::new(),
            in_flight: 0,
            pages: Pages::default(),
            reading: Rc::default(),
            authenticating: false,
        };
        Self::create(move |context| {
            context.add_stream(Reads { inlet, outlet, unseen: true, line });
            let mut session = session;
            if let Some(identity) = identity {
                session.sign_in(None, std::future::ready(Ok(identity)), Vec::new(), context);
            }
            session
        });
    }

    /// Looks at what was read, message by message, until something has to be waited for.
    fn look(&mut self, context: &mut Context<Self>) {
        while !self.authenticating && self.outlet.is_open() {
            let next = self.inlet.borrow_mut().next();
            match next {
                Ok(Some(incoming)) => self.take(incoming, context),
                Ok(None) => return,
                Err(code) => self.end(code),
            }
        }
    }

    fn take(&mut self, incoming: Incoming, context: &mut Context<Self>) {
        self.worker.core.metrics.frames_received.inc();
        let limited = match self.charge(&incoming) {
            Verdict::Allowed => None,
            Verdict::Limited { retry_after } => Some(retry_after),
            Verdict::Flooded => return self.end_flooded(),
        };
        match incoming {
            Incoming::Ping(payload) => self.outlet.push_soon(frame::pong(&payload)),
            Incoming::Pong => {}
            Incoming::Close(_) => self.end(CloseCode::Normal),
            Incoming::Text(bytes) if self.outlet.format == Format::Json => self.take_frame(&bytes, limited, context),
            Incoming::Binary(bytes) if self.outlet.format == Format::Protobuf => {
                self.take_frame(&bytes, limited, context)
            }
            Incoming::Text(_) | Incoming::Binary(_) => self.end(CloseCode::UnsupportedData),
        }
    }

    fn charge(&mut self, incoming: &Incoming) -> Verdict {
        let options = &self.worker.core.options;
        let now = Instant::now();
        let size = match incoming {
            Incoming::Text(bytes) | Incoming::Binary(bytes) | Incoming::Ping(bytes) => bytes.len(),
            Incoming::Pong | Incoming::Close(_) => 0,
        };
        let by_bytes = self.bytes.take(options.frame_byte_rate(), size as f32, now);
        let by_frames = self.frames.take(options.frame_rate(), 1.0, now);
        if by_bytes == Verdict::Flooded || by_frames == Verdict::Allowed { by_bytes } else { by_frames }
    }

    fn end_flooded(&mut self) {
        self.worker.core.metrics.frames_limited.inc();
        let error = ErrorCode::RateLimited.error("too many frames").with_retry_after(FLOOD_WAIT);
        self.reply(None, Err(error));
        self.end(CloseCode::TooManyFrames);
    }

    fn take_frame(&mut self, bytes: &[u8], limited: Option<std::time::Duration>, context: &mut Context<Self>) {
        let decoded = match decode_client_frame(bytes, self.outlet.format) {
            Ok(decoded) => decoded,
            Err(error) => {
                let mut wire_error = ErrorCode::InvalidRequest.error(error.message);
                wire_error.field = error.field;
                return self.reply(error.id, Err(wire_error));
            }
        };
        let id = Some(decoded.id).filter(|id| (1..REQUEST_ID_MAX).contains(id));
        if let Some(wait) = limited {
            self.worker.core.metrics.frames_limited.inc();
            let error = ErrorCode::RateLimited.error("too many frames on this connection").with_retry_after(wait);
            return self.reply(id, Err(error));
        }
        match (id, decoded.request) {
            (None, _) => self.reply(None, Err(invalid("id", "the id of a request is from 1 to 2^53 - 1"))),
            (Some(id), None) => self.reply(Some(id), Err(invalid("request", "the frame holds no request"))),
            (Some(id), Some(request)) => self.take_request(id, request, context),
        }
    }

    fn take_request(&mut self, id: u64, request: Request, context: &mut Context<Self>) {
        let Some(acting) = self.acting else { return self.take_first(id, request, context) };
        if self.in_flight >= self.worker.core.options.requests_in_flight() {
            self.worker.core.metrics.requests_crowded.inc();
            let error = ErrorCode::Busy.error("too many requests of this connection are not answered yet");
            return self.reply(Some(id), Err(error.with_retry_after(BUSY_WAIT)));
        }
        match request {
            Request::Auth(_) => {
                self.reply(Some(id), Err(invalid("auth", "the connection is signed in; use auth_renew")))
            }
            Request::AuthRenew(renew) => self.renew(id, acting, renew, context),
            Request::Ping(_) => {
                let at = self.worker.core.clock.now_micros();
                self.reply(Some(id), Ok(ok::Result::Ping(wire::PingOk { at })));
            }
            Request::Subscribe(subscribe) => self.subscribe(id, acting, subscribe, context),
            Request::Unsubscribe(unsubscribe) => self.unsubscribe(id, &unsubscribe, context),
            page if operations::asks_for_a_page(&page) => {
                self.in_flight = self.in_flight.saturating_add(1);
                self.pages.ask(id, page);
                self.begin_pages(context);
            }
            other => {
                self.in_flight = self.in_flight.saturating_add(1);
                let performed = self.perform(acting, other);
                context.spawn(wrap_future::<_, Self>(performed).map(move |answer, session, _| {
                    session.answer(id, answer);
                }));
            }
        }
    }

    /// The first request has to sign the connection in.
    fn take_first(&mut self, id: u64, request: Request, context: &mut Context<Self>) {
        let Request::Auth(wire::Auth { token, cursors }) = request else {
            let error = ErrorCode::Unauthenticated.error("the first frame has to be `auth`");
            self.reply(Some(id), Err(error));
            return self.end(CloseCode::BadProtocol);
        };
        let judging = judge(self.worker.strangers.clone(), self.worker.clone(), token);
        self.sign_in(Some(id), judging, cursors, context);
    }

    fn sign_in(
        &mut self,
        id: Option<u64>,
        judging: impl Future<Output = Result<Identity, wire::Error>> + 'static,
        cursors: Vec<wire::Cursor>,
        context: &mut Context<Self>,
    ) {
        self.authenticating = true;
        let begun_at = Instant::now();
        let signing_in = auth::sign_in(self.worker.clone(), self.outlet.session, judging, cursors);
        context.spawn(wrap_future::<_, Self>(signing_in).map(move |outcome, session, context| {
            session.authenticating = false;
            match outcome {
                Ok(signed_in) => {
                    session.worker.core.metrics.stages.sign_in.observe(begun_at.elapsed().as_secs_f64());
                    session.signed_in(id, signed_in, context);
                }
                Err(error) => session.not_signed_in(id, error),
            }
            session.look(context);
        }));
    }

    fn signed_in(&mut self, id: Option<u64>, signed_in: auth::SignedIn, context: &mut Context<Self>) {
        let auth::SignedIn { identity, answer, resumed } = signed_in;
        self.acting = Some(identity.acting);
        self.outlet.sign_in(identity.acting.user);
        self.outlet.set_deadline(self.deadline_of(identity.expires_at), CloseCode::TokenEnded);
        self.inlet.borrow_mut().admit();
        self.reply(id, Ok(ok::Result::Auth(answer)));
        for (room, after) in resumed {
            self.receive(room, after, identity.acting, context);
        }
    }

    fn not_signed_in(&mut self, id: Option<u64>, error: wire::Error) {
        let code = match ErrorCode::parse(&error.code) {
            Some(ErrorCode::TooManyConnections) => Some(CloseCode::TooManyConnections),
            _ if error.temporary => None,
            _ => Some(CloseCode::TokenEnded),
        };
        self.reply(id, Err(error));
        if let Some(code) = code {
            self.end(code);
        }
    }

    fn renew(&mut self, id: u64, acting: Acting, renew: wire::AuthRenew, context: &mut Context<Self>) {
        let judging = judge(self.worker.pages.clone(), self.worker.clone(), renew.token);
        self.in_flight = self.in_flight.saturating_add(1);
        context.spawn(wrap_future::<_, Self>(judging).map(move |judged, session, _| {
            let answer = judged.and_then(|identity| session.renewed(acting, &identity));
            session.answer(id, answer.map(ok::Result::AuthRenew));
        }));
    }

    fn renewed(&mut self, acting: Acting, identity: &Identity) -> Result<wire::AuthRenewOk, wire::Error> {
        if identity.acting.user != acting.user {
            return Err(invalid("token", "the token is of another user"));
        }
        self.acting = Some(Acting { admin: identity.acting.admin, ..acting });
        self.outlet.set_deadline(self.deadline_of(identity.expires_at), CloseCode::TokenEnded);
        Ok(wire::AuthRenewOk { expires_at: identity.expires_at })
    }

    /// The second of the hub's clock at which a connection with a token that ends at `expires_at` ends.
    fn deadline_of(&self, expires_at: i64) -> u32 {
        let left = expires_at.saturating_sub(self.worker.core.clock.now_micros()) / 1_000_000;
        let grace = i64::from(seconds(bobchat_proto::limits::RENEW_GRACE));
        let left = u32::try_from(left.saturating_add(grace).max(0)).unwrap_or(u32::MAX);
        self.worker.hub.second().saturating_add(left)
    }

    fn subscribe(&mut self, id: u64, acting: Acting, subscribe: wire::Subscribe, context: &mut Context<Self>) {
        if let Ok(room) = RoomId::new(subscribe.room) {
            // Again, from another cursor: nothing of the old subscription comes between.
            self.stop_receiving(room, context);
        }
        let inquiring = catch_up::inquire(self.worker.clone(), acting, subscribe);
        self.in_flight = self.in_flight.saturating_add(1);
        context.spawn(wrap_future::<_, Self>(inquiring).map(move |inquired, session, context| {
            session.in_flight = session.in_flight.saturating_sub(1);
            match inquired {
                Ok((room, inquired)) => {
                    session.reply(Some(id), Ok(ok::Result::Subscribe(inquired.answer)));
                    session.receive(room, inquired.after, acting, context);
                }
                Err(error) => session.reply(Some(id), Err(error)),
            }
        }));
    }

    /// Lets the connection receive a room's events after `after`.
    fn receive(
        &mut self,
        room: RoomId,
        after: bobchat_proto::ids::Position,
        acting: Acting,
        context: &mut Context<Self>,
    ) {
        let wanted = Arc::new(());
        let still = Arc::downgrade(&wanted);
        let (worker, outlet, turn) = (self.worker.clone(), self.outlet.clone(), self.reading.clone());
        let receiving = catch_up::receive(worker, outlet, acting, room, after, still, turn);
        let task = context.spawn(wrap_future::<_, Self>(receiving));
        self.rooms.push(Receiving { room, task, _wanted: wanted });
    }

    fn unsubscribe(&mut self, id: u64, unsubscribe: &wire::Unsubscribe, context: &mut Context<Self>) {
        let answer = operations::parse::room(unsubscribe.room).map(|room| {
            self.stop_receiving(room, context);
            ok::Result::Unsubscribe(wire::UnsubscribeOk {})
        });
        self.reply(Some(id), answer);
    }

    fn stop_receiving(&mut self, room: RoomId, context: &mut Context<Self>) {
        if let Some(index) = self.rooms.iter().position(|receiving| receiving.room == room) {
            let receiving = self.rooms.swap_remove(index);
            context.cancel_future(receiving.task);
            self.detach(room);
        }
    }

    fn detach(&self, room: RoomId) {
        let session = self.outlet.session;
        // Here at once, so that nothing more is written; and from the room's count, which must not be lost, and there is
        // one a subscription.
        self.worker.hub.detach(room, session, self.outlet.format);
        if let Some(address) = self.worker.core.rooms.find(room) {
            address.do_send(Detach { session });
        }
    }

    fn perform(
        &self,
        acting: Acting,
        request: Request,
    ) -> impl Future<Output = Result<ok::Result, wire::Error>> + use<> {
        let span = traces::begin(|| {
            tracing::debug_span!(
                target: traces::TRACE, parent: None, "session.frame",
                request = request.name(), session.id = self.outlet.session.0, user.id = %acting.user
            )
        });
        let (worker, asked, begun_at) = (self.worker.clone(), asked(&request), Instant::now());
        let performed = span.in_scope(|| operations::perform(&worker, acting, request));
        async move {
            let answer = tracing::Instrument::instrument(performed, span.clone()).await;
            worker.core.metrics.stages.answered(asked, begun_at, &span);
            answer
        }
    }

    fn begin_pages(&mut self, context: &mut Context<Self>) {
        let Some(acting) = self.acting else { return };
        while let Some((id, request)) = self.pages.begin() {
            let outlet = self.outlet.clone();
            let taken = poll_fn(move |context| outlet.poll_below(LOW_WATER, context));
            let answered = wrap_future::<_, Self>(taken)
                .then(move |(), session, _| {
                    let (worker, format) = (session.worker.clone(), session.outlet.format);
                    let performed = session.perform(acting, request);
                    wrap_future(async move {
                        let answer = performed.await;
                        let is_page = answer.is_ok();
                        let encoding = async { encode(&worker, Some(id), answer, format) };
                        // A refusal is short.
                        if is_page { worker.pages.take(encoding).await } else { encoding.await }
                    })
                })
                .map(|frame, session: &mut Self, context: &mut Context<Self>| {
                    session.in_flight = session.in_flight.saturating_sub(1);
                    session.outlet.push_soon(frame);
                    session.pages.done();
                    session.begin_pages(context);
                });
            context.spawn(answered);
        }
    }

    fn answer(&mut self, id: u64, answer: Result<ok::Result, wire::Error>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.reply(Some(id), answer);
    }

    /// Answers a request, together with what else waits when the session's task runs next.
    fn reply(&self, id: Option<u64>, answer: Result<ok::Result, wire::Error>) {
        self.outlet.push_soon(encode(&self.worker, id, answer, self.outlet.format));
    }

    fn end(&self, code: CloseCode) {
        self.inlet.borrow_mut().discard();
        self.outlet.close(code);
    }
}

/// The wait that is advised to a client that was closed for flooding.
const FLOOD_WAIT: std::time::Duration = std::time::Duration::from_secs(10);

/// The wait that is advised to a client with too many unanswered requests.
const BUSY_WAIT: std::time::Duration = std::time::Duration::from_millis(100);

fn asked(request: &Request) -> Asked {
    match request {
        Request::MessageSend(_) => Asked::Send,
        page if operations::asks_for_a_page(page) => Asked::Page,
        _ => Asked::Other,
    }
}

async fn judge(turns: Turns, worker: Rc<Worker>, token: String) -> Result<Identity, wire::Error> {
    turns.take(worker.core.authenticator.authenticate(&token)).await
}

fn encode(worker: &Worker, id: Option<u64>, answer: Result<ok::Result, wire::Error>, format: Format) -> Bytes {
    let body = match answer {
        Ok(result) => Body::Ok(wire::Ok { result: Some(result) }),
        Err(error) => {
            worker.core.metrics.failed(&error.code);
            Body::Error(error)
        }
    };
    frame::single(id, body, format)
}

fn seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn invalid(field: &str, message: &str) -> wire::Error {
    ErrorCode::InvalidRequest.error(message).with_field(field)
}

impl Actor for Session {
    type Context = Context<Self>;
}

impl Drop for Session {
    /// Runs also when a handler panicked: the connection is gone either way.
    fn drop(&mut self) {
        self.outlet.die();
        for Receiving { room, .. } in std::mem::take(&mut self.rooms) {
            self.detach(room);
        }
        self.worker.hub.release(self.outlet.session);
        self.worker.core.session_ended();
        if let Some(acting) = self.acting
            && let Some(user) = self.worker.core.users.find(acting.user)
        {
            // Must not be lost, and there is one a connection.
            user.do_send(Disconnect { session: self.outlet.session });
        }
    }
}

impl StreamHandler<Readable> for Session {
    fn handle(&mut self, _: Readable, context: &mut Context<Self>) {
        let begun_at = Instant::now();
        self.outlet.hear(self.worker.hub.second());
        self.look(context);
        self.worker.core.metrics.stages.decode.observe(begun_at.elapsed().as_secs_f64());
    }

    fn finished(&mut self, context: &mut Context<Self>) {
        context.stop();
    }
}
