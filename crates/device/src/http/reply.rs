//! What is sent back, whatever it is.
//!
//! All answers end in the same two forms, one of a known length and one in chunks: what sends them is in an image twice
//! and not once for each kind of answer.

use alloc::{
    borrow::Cow,
    string::{String, ToString as _},
    vec::Vec,
};

use picoserve::{
    ResponseSent,
    io::{Read, Write},
    response::{
        Connection, Content, IntoResponse as _, Response, ResponseWriter, StatusCode,
        chunked::{ChunkWriter, ChunkedResponse, Chunks, ChunksWritten},
    },
};
use protocol::{
    Seq,
    authentication::{ANSWER_MAC_HEADER, NONCE_HEADER},
};

use super::{
    Admitted, Outcome, Service,
    answer::{Answer, Failure},
    blocks::Blocks,
    live::LiveStream,
    page, portal, save,
    session::SetCookie,
    stream::{self, FrameStream},
};
use crate::board::Board;

/// An answer that is ready to be sent.
pub(super) struct Reply<'a, B: Board> {
    pub(super) status: u16,
    /// Without type and length of the body.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body<'a, B>,
    /// The board is to restart when this is answered.
    pub(super) restarts: bool,
}

/// What an answer carries.
pub(super) enum Body<'a, B: Board> {
    Whole(Whole),
    /// As long as it takes.
    Stream(Stream<'a, B>),
}

/// A body of a known length.
pub(super) struct Whole {
    pub(super) content_type: &'static str,
    pub(super) bytes: Cow<'static, [u8]>,
}

/// A body that is made while it is sent.
pub(super) enum Stream<'a, B: Board> {
    Frames(FrameStream<'a, B::Flash>),
    Live(LiveStream<'a, B>),
}

impl<'a, B: Board> Reply<'a, B> {
    pub(super) fn new(status: u16, body: Body<'a, B>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
            restarts: false,
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl core::fmt::Display) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(super) async fn send<R: Read, W: ResponseWriter<Error = R::Error>>(
        self,
        connection: Connection<'_, R>,
        writer: W,
    ) -> Result<ResponseSent, W::Error> {
        match self.body {
            Body::Whole(whole) => {
                let response = Response::new(StatusCode::new(self.status), whole)
                    .with_headers(&self.headers[..]);
                response.write_to(connection, writer).await
            }
            Body::Stream(stream) => {
                let response = ChunkedResponse::new(stream)
                    .into_response()
                    .with_headers(&self.headers[..]);
                response.write_to(connection, writer).await
            }
        }
    }
}

impl<'a, B: Board> Service<'a, B> {
    /// Makes the reply to what a request came to.
    pub(super) fn reply(&self, outcome: Outcome, admitted: Option<Admitted>) -> Reply<'a, B> {
        let stream = match outcome {
            Outcome::Redirect => return portal::redirect(self.board.address()),
            Outcome::Page => return page::reply(),
            Outcome::Json(answer) => return self.json(answer, admitted.as_ref()),
            Outcome::Updated(answer) => {
                return Reply {
                    restarts: true,
                    ..self.json(answer, admitted.as_ref())
                };
            }
            Outcome::Blocks { from, bytes_max } => {
                self.blocks(Seq(from), bytes_max, admitted.as_ref())
            }
            Outcome::Save { from } => save::save(self.meter, from, self.now_ms()),
            Outcome::Live => return self.live(admitted),
        };
        match stream {
            Ok((stream, name)) => {
                self.edge.lift_total();
                let reply = self.stream(Stream::Frames(stream));
                match name {
                    Some(name) => reply.with("Content-Disposition", name),
                    None => reply,
                }
            }
            Err(failure) => self.json(failure.into(), admitted.as_ref()),
        }
    }

    fn blocks(
        &self,
        from: Seq,
        bytes_max: usize,
        admitted: Option<&Admitted>,
    ) -> Result<stream::Begun<'a, B>, Failure> {
        let Some(Admitted { key, request }) = admitted else {
            unreachable!("blocks are not an open route");
        };
        let content = stream::Content::Blocks(Blocks {
            from,
            until: self.meter.borrow().next(),
            bytes_left: bytes_max,
        });
        let stream = FrameStream::new(self.meter, key.clone(), *request, content, &[])?;
        Ok((stream, None))
    }

    fn live(&self, admitted: Option<Admitted>) -> Reply<'a, B> {
        let Some(seat) = self.crowd.begin_live_stream() else {
            let busy = Failure::new(503, "busy", "two others look already: try again later");
            return self.json(busy.into(), admitted.as_ref());
        };
        self.edge.lift_total();
        self.edge.seat().stream();
        let stream = LiveStream::new(self, admitted, seat);
        self.stream(Stream::Live(stream))
            .with("Cache-Control", "no-store")
    }

    fn stream(&self, stream: Stream<'a, B>) -> Reply<'a, B> {
        Reply::new(200, Body::Stream(stream)).with(NONCE_HEADER, self.next_nonce())
    }

    pub(super) fn json(&self, answer: Answer, admitted: Option<&Admitted>) -> Reply<'a, B> {
        let Answer {
            status,
            body,
            cookie,
        } = answer;
        let next = self.next_nonce();
        let mac = admitted.map(|admitted| {
            let Admitted { key, request } = admitted;
            key.answer_mac(request, status, &body, &next)
        });
        let body = Whole {
            content_type: "application/json",
            bytes: body.into(),
        };
        let mut reply = Reply::new(status, Body::Whole(body)).with(NONCE_HEADER, next);
        if let Some(mac) = mac {
            reply = reply.with(ANSWER_MAC_HEADER, mac);
        }
        if let Some(cookie) = cookie {
            reply = reply.with("Set-Cookie", SetCookie(cookie));
        }
        reply
    }
}

impl Content for Whole {
    fn content_type(&self) -> &'static str {
        self.content_type
    }

    fn content_length(&self) -> usize {
        self.bytes.len()
    }

    async fn write_content<W: Write>(self, mut writer: W) -> Result<(), W::Error> {
        writer.write_all(&self.bytes).await
    }
}

impl<B: Board> Chunks for Stream<'_, B> {
    fn content_type(&self) -> &'static str {
        match self {
            Self::Frames(_) => "application/octet-stream",
            Self::Live(_) => "text/event-stream",
        }
    }

    async fn write_chunks<W: Write>(
        mut self,
        mut writer: ChunkWriter<W>,
    ) -> Result<ChunksWritten, W::Error> {
        loop {
            let chunk = match &mut self {
                Self::Frames(frames) => frames.next(),
                Self::Live(live) => live.next().await,
            };
            let Some(chunk) = chunk else {
                break;
            };
            writer.write_chunk(chunk).await?;
            if matches!(self, Self::Live(_)) {
                writer.flush().await?;
            }
        }
        writer.finalize().await
    }
}
