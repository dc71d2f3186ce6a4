//! The device API over picoserve, the same on a chip and on a PC.
//!
//! A request goes through four steps: `Head::read` takes what is needed out of line and headers, the [gate](crate::access)
//! checks its MAC, the body is read and checked against its hash, and `routes` gives the answer. Every answer carries
//! a nonce for the next request; answers to authenticated requests carry a MAC. JSON is rendered whole before it is sent,
//! so its MAC can stand in an ordinary header. The body of an update is the one that is not read whole: it goes into its
//! slot as it comes, and the bootloader is told of it only when its hash is right.
//!
//! Before all that stands the `edge` of each connection, which holds every request to the limits of size and time; the
//! [`Crowd`] of all connections says who goes when there is no room left.

mod answer;
mod blocks;
mod crowd;
mod day;
mod edge;
mod firmware;
mod guard;
mod head;
mod health;
mod live;
mod page;
mod portal;
mod reply;
mod routes;
mod save;
mod scan;
mod session;
mod stream;

use core::{cell::RefCell, future::poll_fn, pin::pin};

use picoserve::{
    ResponseSent, Router, Server, Timeouts,
    io::{Read, Socket},
    request::{Path, Request},
    response::ResponseWriter,
    routing::PathRouterService,
    time::{Duration, Timer},
};
use protocol::{
    Seq,
    authentication::{BodyHash, Key, Mac, Nonce},
    limits::JSON_BYTES_MAX,
};

use crate::{
    access::{Claim, Refusal},
    board::Board,
    meter::Meter,
    slots::Slots,
};
use answer::{Answer, Failure};
pub use crowd::Crowd;
use edge::Edge;
use guard::Guarded;
use head::Head;

pub use routes::{Access, ROUTES};

/// Longest request line in bytes.
pub const LINE_BYTES_MAX: usize = 512;
/// Longest headers in bytes.
pub const HEADER_BYTES_MAX: usize = 2 * 1024;
/// Bytes that are taken at once, before it is known to which request they belong.
const STASH_BYTES: usize = 128;
/// Size of the buffer that each connection needs: request line, headers and a JSON body.
pub const HTTP_BUFFER_BYTES: usize =
    STASH_BYTES + LINE_BYTES_MAX + 2 + HEADER_BYTES_MAX + JSON_BYTES_MAX;
/// Connections that a meter serves side by side.
pub const CONNECTIONS: usize = 4;
/// Wait before a refusal for a wrong MAC.
const REFUSAL_DELAY_MS: u64 = 100;

/// Longest wait for one part of an answer to be taken.
const WRITE_S: u64 = 10;
/// Never: the edge of a connection keeps the limits of reading.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// How picoserve is to treat connections.
const CONFIG: picoserve::Config = picoserve::Config::new(Timeouts {
    start_read_request: NEVER,
    persistent_start_read_request: NEVER,
    read_request: NEVER,
    write: Duration::from_secs(WRITE_S),
})
.keep_connection_alive();

/// The device API of one meter, for all its connections.
pub struct Api<'a, B: Board> {
    /// The meter; borrowed between two awaits only.
    pub meter: &'a RefCell<Meter<B::Flash>>,
    /// The firmware slots; borrowed between two awaits only.
    pub slots: &'a RefCell<Slots<B::Slots>>,
    /// The board it runs on.
    pub board: &'a B,
    /// All its connections.
    pub crowd: &'a Crowd,
}

impl<B: Board> Api<'_, B> {
    /// Serves one connection until it ends; at once where [`CONNECTIONS`] are being served.
    ///
    /// # Panics
    /// When `buffer` is shorter than [`HTTP_BUFFER_BYTES`].
    pub async fn serve<Runtime, S: Socket<Runtime>>(&self, socket: S, buffer: &mut [u8]) {
        let Some(seat) = self.crowd.enter() else {
            return;
        };
        assert!(buffer.len() >= HTTP_BUFFER_BYTES, "the buffer is too short");
        let (stash, buffer) = buffer.split_at_mut(STASH_BYTES);
        let edge = Edge::new(seat);
        let service = Service {
            meter: self.meter,
            slots: self.slots,
            board: self.board,
            crowd: self.crowd,
            edge: &edge,
        };
        let socket = Guarded {
            socket,
            service: &service,
            stash,
        };
        let router = Router::from_service(&service);
        let server = Server::custom(&router, BoardTimer(self.board), &CONFIG, buffer);
        let mut watch = pin!(edge.watch(self.board));
        let mut served = pin!(server.serve(socket));
        poll_fn(|context| {
            // The watch comes first: what it ends notices that at once. It never ends itself.
            let _ = watch.as_mut().poll(context);
            // How a connection ended is nobody's concern but its client's.
            served.as_mut().poll(context).map(drop)
        })
        .await;
    }
}

/// Time for picoserve.
struct BoardTimer<'a, B>(&'a B);

impl<Runtime, B: Board> Timer<Runtime> for BoardTimer<'_, B> {
    async fn delay(&self, duration: Duration) {
        self.0.delay(duration.as_millis()).await;
    }
}

/// Serves one connection.
struct Service<'a, B: Board> {
    meter: &'a RefCell<Meter<B::Flash>>,
    slots: &'a RefCell<Slots<B::Slots>>,
    board: &'a B,
    crowd: &'a Crowd,
    edge: &'a Edge<'a>,
}

/// The answer to nearly everything before set-up.
const NOT_SET_UP: Failure = Failure::new(
    403,
    "not_set_up",
    "this meter has no access token yet: set it up first",
);

/// What a request may do, found before its body is read.
struct Admitted {
    key: Key,
    request: Mac,
}

/// What a request comes to.
enum Outcome {
    /// The phone is to be brought to the page.
    Redirect,
    Page,
    Json(Answer),
    /// An update was taken: the board is to restart when that is answered.
    Updated(Answer),
    Blocks {
        from: u64,
        bytes_max: usize,
    },
    Live,
    Save {
        from: Seq,
    },
}

impl<'a, B: Board> Service<'a, B> {
    fn now_ms(&self) -> u64 {
        self.board.uptime_us() / 1000
    }

    /// Checks the MAC of a request for anything but `info` and `setup`.
    fn admit(&self, head: &Head) -> Result<Admitted, Failure> {
        let now_ms = self.now_ms();
        let mut meter = self.meter.borrow_mut();
        let key = meter.key().cloned().ok_or(NOT_SET_UP)?;
        let admitted = match (head.authorization, head.body_hash) {
            (Some(authorization), Some(body)) => {
                let claim = Claim {
                    method: head.method.as_str(),
                    path_and_query: &head.path_and_query,
                    body,
                    authorization,
                };
                meter.gate.admit(&key, &claim, now_ms)
            }
            _ => Err(Refusal::WrongMac),
        };
        match admitted {
            Ok(request) => {
                self.edge.seat().admit();
                Ok(Admitted { key, request })
            }
            Err(refusal) => {
                meter.requests_refused = meter.requests_refused.saturating_add(1);
                Err(match refusal {
                    Refusal::StaleNonce => {
                        Failure::new(401, "stale_nonce", "use the nonce of this answer")
                    }
                    Refusal::WrongMac => {
                        Failure::new(401, "not_authentic", "the access token is not this meter's")
                    }
                })
            }
        }
    }

    /// Finds out what a request comes to, and who sent it.
    async fn outcome<R: Read>(
        &self,
        request: &mut Request<'_, R>,
        admitted: &mut Option<Admitted>,
    ) -> Result<Outcome, Failure> {
        let head = Head::read(&request.parts, self.board.address())?;
        if portal::is_for_another(&head) {
            return Ok(Outcome::Redirect);
        }
        routes::check(&head)?;
        if routes::is_page(&head) {
            return Ok(Outcome::Page);
        }
        match self.let_in(&head) {
            Ok(granted) => *admitted = granted,
            Err(failure) => {
                self.board.delay(REFUSAL_DELAY_MS).await;
                return Err(failure);
            }
        }
        if let (true, Some(hash)) = (routes::is_update(&head), head.body_hash) {
            let from = head.query_number("from")?.unwrap_or(0);
            self.edge.lift_total();
            return self.update(hash, from, request).await;
        }
        self.answer(&head, admitted.is_some(), request).await
    }

    /// Lets a request in as its route asks for; returns what a MAC says.
    fn let_in(&self, head: &Head) -> Result<Option<Admitted>, Failure> {
        match routes::access(head) {
            Access::Open => Ok(None),
            Access::Viewer if head.authorization.is_none() && head.session.is_some() => {
                self.admit_viewer(head).map(|()| None)
            }
            _ => self.admit(head).map(Some),
        }
    }

    /// Reads the body and finds the answer.
    async fn answer<R: Read>(
        &self,
        head: &Head,
        is_admitted: bool,
        request: &mut Request<'_, R>,
    ) -> Result<Outcome, Failure> {
        let body = request.body_connection.body();
        if body.content_length() > JSON_BYTES_MAX {
            return Err(Failure::new(
                413,
                "too_large",
                "the body is over 4096 bytes",
            ));
        }
        let body = match body.read_all().await {
            Ok(body) => &*body,
            Err(_) => {
                return Err(Failure::new(
                    400,
                    "cut_short",
                    "the body ended before its stated length",
                ));
            }
        };
        if is_admitted && head.body_hash != Some(BodyHash::of(body)) {
            return Err(Failure::new(
                400,
                "wrong_hash",
                "the body is not the one that was authenticated",
            ));
        }
        if routes::is_session(head) {
            return self.open_session(head, body).await;
        }
        if routes::is_day(head) {
            return self.day(head).await;
        }
        if routes::is_health(head) {
            return Ok(Answer::ok(&self.health()));
        }
        if routes::is_firmware(head) {
            return Ok(Answer::ok(&self.firmware()));
        }
        let now_ms = self.now_ms();
        routes::answer(&mut self.meter.borrow_mut(), head, body, now_ms)
    }

    fn next_nonce(&self) -> Nonce {
        let now_ms = self.now_ms();
        self.meter.borrow_mut().gate.nonce(now_ms)
    }
}

impl<B: Board> PathRouterService for &Service<'_, B> {
    async fn call_path_router_service<R: Read, W: ResponseWriter<Error = R::Error>>(
        &self,
        (): &(),
        (): (),
        _path: Path<'_>,
        mut request: Request<'_, R>,
        writer: W,
    ) -> Result<ResponseSent, W::Error> {
        let mut admitted = None;
        let outcome = self.outcome(&mut request, &mut admitted).await;
        let is_too_much = self.edge.body_left() > JSON_BYTES_MAX;
        let keeps_others_out = admitted.is_none() && self.crowd.is_full();
        if is_too_much || keeps_others_out {
            // Nothing is read for nothing, and whoever asks without a pause has no place for good.
            self.edge.stop_reading();
        }
        let mut reply = match outcome {
            Ok(outcome) => self.reply(outcome, admitted),
            Err(failure) => self.json(failure.into(), admitted.as_ref()),
        };
        if self.edge.is_last() {
            reply = reply.with("Connection", "close");
        }
        let restarts = reply.restarts;
        let sent = async {
            let connection = request.body_connection.finalize().await?;
            reply.send(connection, writer).await
        }
        .await;
        if restarts {
            // Also where the answer did not get through: the bootloader is told already.
            self.board.restart();
        }
        sent
    }
}
