//! The device API over picoserve, the same on a chip and on a PC.
//!
//! A request goes through four steps: `Head::read` takes what is needed out of line and headers, the [gate](crate::access)
//! checks its MAC, the body is read and checked against its hash, and `routes` gives the answer. Every answer carries
//! a nonce for the next request; answers to authenticated requests carry a MAC. JSON is rendered whole before it is sent,
//! so its MAC can stand in an ordinary header. The body of an update is the one that is not read whole: it goes into its
//! slot as it comes, and the bootloader is told of it only when its hash is right.

mod answer;
mod blocks;
mod firmware;
mod head;
mod routes;

use core::cell::RefCell;

use picoserve::{
    ResponseSent, Router, Timeouts,
    io::Read,
    request::{Path, Request},
    response::{IntoResponse, Response, ResponseWriter, StatusCode},
    routing::{PathRouterService, ServicePathRouter},
    time::Duration,
};
use protocol::{
    authentication::{ANSWER_MAC_HEADER, BodyHash, Key, Mac, NONCE_HEADER, Nonce},
    limits::JSON_BYTES_MAX,
    messages::Health,
};

use crate::{
    access::{Claim, Refusal},
    board::{Board, Marks},
    meter::Meter,
    slots::Slots,
};
use answer::{Answer, Failure};
use blocks::BlockStream;
use head::Head;

/// Longest path with query in bytes.
pub const PATH_BYTES_MAX: usize = 512;
/// Longest headers in bytes.
pub const HEADER_BYTES_MAX: usize = 2 * 1024;
/// Size of the buffer that each connection needs: request line, headers and a JSON body.
pub const HTTP_BUFFER_BYTES: usize = PATH_BYTES_MAX + 64 + HEADER_BYTES_MAX + JSON_BYTES_MAX;
/// Connections that a meter serves side by side.
pub const CONNECTIONS: usize = 4;
/// Wait before a refusal for a wrong MAC.
const REFUSAL_DELAY_MS: u64 = 100;

/// How picoserve is to treat connections.
pub const CONFIG: picoserve::Config = picoserve::Config::new(Timeouts {
    start_read_request: Duration::from_secs(10),
    persistent_start_read_request: Duration::from_secs(10),
    read_request: Duration::from_secs(10),
    write: Duration::from_secs(10),
})
.keep_connection_alive();

/// Serves the device API of one meter.
pub struct Service<'a, B: Board> {
    /// The meter; borrowed between two awaits only.
    pub meter: &'a RefCell<Meter<B::Flash>>,
    /// The firmware slots; borrowed between two awaits only.
    pub slots: &'a RefCell<Slots<B::Slots>>,
    /// The board it runs on.
    pub board: &'a B,
}

/// The router that picoserve's server takes.
pub type DeviceRouter<'a, B> = Router<ServicePathRouter<Service<'a, B>>>;

/// Returns the device API as a router.
pub fn router<'a, B: Board>(
    meter: &'a RefCell<Meter<B::Flash>>,
    slots: &'a RefCell<Slots<B::Slots>>,
    board: &'a B,
) -> DeviceRouter<'a, B> {
    Router::from_service(Service {
        meter,
        slots,
        board,
    })
}

/// What a request may do, found before its body is read.
struct Admitted {
    key: Key,
    request: Mac,
}

/// What is sent back.
enum Outcome {
    Json(Answer),
    /// An update was taken: the board is to restart when that is answered.
    Updated(Answer),
    Blocks {
        from: u64,
        bytes_max: usize,
    },
}

impl<B: Board> Service<'_, B> {
    fn now_ms(&self) -> u64 {
        self.board.uptime_us() / 1000
    }

    /// Checks the MAC of a request for anything but `info` and `setup`.
    fn admit(&self, head: &Head) -> Result<Admitted, Failure> {
        let now_ms = self.now_ms();
        let mut meter = self.meter.borrow_mut();
        let Some(key) = meter.key().cloned() else {
            return Err(Failure::new(
                403,
                "not_set_up",
                "this meter has no access token yet: set it up first",
            ));
        };
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
            Ok(request) => Ok(Admitted { key, request }),
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

    /// Reads the body and finds the answer.
    async fn outcome<R: Read>(
        &self,
        head: &Head,
        admitted: Option<&Admitted>,
        request: &mut Request<'_, R>,
    ) -> Result<Outcome, Failure> {
        if let (true, Some(hash)) = (routes::is_update(head), head.body_hash) {
            return self.update(hash, request).await;
        }
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
        if admitted.is_some() && head.body_hash != Some(BodyHash::of(body)) {
            return Err(Failure::new(
                400,
                "wrong_hash",
                "the body is not the one that was authenticated",
            ));
        }
        if routes::is_health(head) {
            return Ok(Answer::ok(&self.health()));
        }
        let now_ms = self.now_ms();
        routes::answer(&mut self.meter.borrow_mut(), head, body, now_ms)
    }

    /// Answers `health`, with what board and slots know.
    fn health(&self) -> Health {
        let Marks {
            samples_lost,
            flash_stop_us,
            stack_free_bytes,
            heap_free_bytes,
        } = self.board.marks();
        let slots = self.slots.borrow();
        Health {
            starts: slots.starts(),
            firmware_confirmed: slots.is_confirmed(),
            samples_lost,
            flash_stop_us,
            stack_free_bytes,
            heap_free_bytes,
            ..self.meter.borrow().health()
        }
    }

    async fn send_json<R: Read, W: ResponseWriter<Error = R::Error>>(
        &self,
        answer: Answer,
        admitted: Option<Admitted>,
        request: Request<'_, R>,
        writer: W,
    ) -> Result<ResponseSent, W::Error> {
        let next = self.next_nonce();
        let connection = request.body_connection.finalize().await?;
        let response = Response::new(StatusCode::new(answer.status), answer.body.as_slice())
            .with_content_type("application/json")
            .with_header(NONCE_HEADER, next);
        match admitted {
            None => response.write_to(connection, writer).await,
            Some(Admitted { key, request }) => {
                let mac = key.answer_mac(&request, answer.status, &answer.body, &next);
                let response = response.with_header(ANSWER_MAC_HEADER, mac);
                response.write_to(connection, writer).await
            }
        }
    }

    fn next_nonce(&self) -> Nonce {
        let now_ms = self.now_ms();
        self.meter.borrow_mut().gate.nonce(now_ms)
    }
}

impl<B: Board> PathRouterService for Service<'_, B> {
    async fn call_path_router_service<R: Read, W: ResponseWriter<Error = R::Error>>(
        &self,
        (): &(),
        (): (),
        _path: Path<'_>,
        mut request: Request<'_, R>,
        writer: W,
    ) -> Result<ResponseSent, W::Error> {
        let head = match Head::read(&request.parts) {
            Ok(head) => head,
            Err(failure) => return self.send_json(failure.into(), None, request, writer).await,
        };
        let mut admitted = None;
        if let Err(failure) = routes::check(&head) {
            return self.send_json(failure.into(), None, request, writer).await;
        }
        if !routes::is_open(&head) {
            match self.admit(&head) {
                Ok(granted) => admitted = Some(granted),
                Err(failure) => {
                    self.board.delay(REFUSAL_DELAY_MS).await;
                    return self.send_json(failure.into(), None, request, writer).await;
                }
            }
        }
        match self.outcome(&head, admitted.as_ref(), &mut request).await {
            Ok(Outcome::Blocks { from, bytes_max }) => {
                let Some(Admitted { key, request: mac }) = admitted else {
                    unreachable!("blocks are not an open route");
                };
                let stream = BlockStream::new(self.meter, key, mac, from, bytes_max);
                let next = self.next_nonce();
                let connection = request.body_connection.finalize().await?;
                stream
                    .into_response(next)
                    .write_to(connection, writer)
                    .await
            }
            Ok(Outcome::Json(answer)) => self.send_json(answer, admitted, request, writer).await,
            Ok(Outcome::Updated(answer)) => {
                let sent = self.send_json(answer, admitted, request, writer).await;
                // Also where the answer did not get through: the bootloader is told already.
                self.board.restart();
                sent
            }
            Err(failure) => {
                self.send_json(failure.into(), admitted, request, writer)
                    .await
            }
        }
    }
}
