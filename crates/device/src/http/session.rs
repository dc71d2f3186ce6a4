//! `POST /api/v1/session`, and what its cookie opens.

use core::fmt;

use protocol::messages::{OpenSession, SessionOpened};

use super::{
    NOT_SET_UP, Outcome, Service,
    answer::{Answer, Failure},
    head::Head,
    routes,
};
use crate::{
    board::Board,
    viewing::{COOKIE_NAME, Cookie, IDLE_MAX_S, SESSION_MAX_S},
};

/// Wait before the answer to a wrong code.
const WRONG_CODE_DELAY_MS: u64 = 1_000;

impl<B: Board> Service<'_, B> {
    /// Opens a session for who knows the viewing code.
    ///
    /// # Errors
    /// 403 from another page's script, before set-up, or where there is no code; 429 for too many tries; 401 for a wrong
    /// code.
    pub(super) async fn open_session(&self, head: &Head, body: &[u8]) -> Result<Outcome, Failure> {
        let refused = match self.try_code(head, body) {
            Ok(Some(cookie)) => {
                let opened = SessionOpened {
                    seconds: IDLE_MAX_S,
                };
                return Ok(Answer::session(&opened, cookie));
            }
            Ok(None) => Failure::new(401, "wrong_code", "that is not the viewing code"),
            Err(failure) => return Err(failure),
        };
        self.board.delay(WRONG_CODE_DELAY_MS).await;
        Err(refused)
    }

    /// Returns the cookie of a new session, `None` where the code is wrong.
    fn try_code(&self, head: &Head, body: &[u8]) -> Result<Option<Cookie>, Failure> {
        check_origin(head)?;
        let now_ms = self.now_ms();
        let mut meter = self.meter.borrow_mut();
        if meter.key().is_none() {
            return Err(NOT_SET_UP);
        }
        if !meter.is_viewable() {
            return Err(Failure::new(
                403,
                "not_viewable",
                "this meter has no viewing code: its owner can give it one",
            ));
        }
        let OpenSession { code } = routes::parsed(body)?;
        if !meter.viewing.may_try(now_ms) {
            return Err(Failure::new(
                429,
                "too_many",
                "too many tries: wait a minute, then try again",
            ));
        }
        if !meter.code_matches(&code) {
            meter.viewing.note_wrong(now_ms);
            return Ok(None);
        }
        let epoch = meter.sessions_epoch();
        Ok(Some(meter.viewing.open(epoch, now_ms)))
    }

    /// Checks the cookie of a request for what viewers may see.
    pub(super) fn admit_viewer(&self, head: &Head) -> Result<(), Failure> {
        check_origin(head)?;
        let now_ms = self.now_ms();
        let mut meter = self.meter.borrow_mut();
        if meter.key().is_none() {
            return Err(NOT_SET_UP);
        }
        let epoch = meter.sessions_epoch();
        let cookie = head.session.as_deref().unwrap_or("");
        if !meter.viewing.admits(cookie, epoch, now_ms) {
            return Err(Failure::new(
                401,
                "session_over",
                "the session is over: enter the viewing code again",
            ));
        }
        Ok(())
    }
}

fn check_origin(head: &Head) -> Result<(), Failure> {
    if head.is_cross_site {
        return Err(Failure::new(
            403,
            "foreign_origin",
            "another page's scripts may not use a session of this one",
        ));
    }
    Ok(())
}

/// The header that hands a session to the browser.
pub(super) struct SetCookie(pub(super) Cookie);

impl fmt::Display for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{COOKIE_NAME}={}; HttpOnly; SameSite=Strict; Path=/; Max-Age={SESSION_MAX_S}",
            self.0
        )
    }
}
