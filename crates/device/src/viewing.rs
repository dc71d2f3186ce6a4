//! Sessions of the meter's own page.
//!
//! The page runs on plain HTTP, where browsers give no cryptography to scripts: it sends the viewing code once and gets a
//! cookie, which reads and changes nothing. The meter remembers a few sessions, and one more ends the one that was used
//! least recently; to open one takes the code, so strangers cannot end any. None outlives a restart or a change of the settings.
//!
//! Codes are short, so they are tried slowly: one a second for all together, and after some wrong ones in a row none for a
//! minute.

use core::fmt::Write as _;

use heapless::{String, Vec};
use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How long a session is valid without a request, in s.
pub const IDLE_MAX_S: u32 = 15 * 60;
/// How long a session is valid at the most, in s.
pub const SESSION_MAX_S: u32 = 12 * 60 * 60;
/// Name of the cookie.
pub const COOKIE_NAME: &str = "ofmon";

const SESSIONS_MAX: usize = 4;
const TRY_EVERY_MS: u64 = 1_000;
/// Wrong codes in a row after which none is looked at for a while.
const WRONG_MAX: u8 = 10;
const LOCKED_MS: u64 = 60_000;
const COOKIE_BYTES: usize = 16;

/// What proves a session: 32 hex digits.
pub(crate) type Cookie = String<{ 2 * COOKIE_BYTES }>;

/// Opens sessions, and knows which are open.
#[derive(Debug)]
pub(crate) struct Viewing {
    secret: [u8; 32],
    /// Sessions opened in this boot.
    opened: u64,
    sessions: Vec<Session, SESSIONS_MAX>,
    /// Uptime in ms from which on the next code is looked at.
    next_try_ms: u64,
    /// Wrong codes since the last right one or the last lock.
    wrong: u8,
}

#[derive(Debug)]
struct Session {
    cookie: Cookie,
    epoch: u32,
    opened_ms: u64,
    used_ms: u64,
}

impl Viewing {
    /// Begins a boot with its random bytes.
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self {
            secret,
            opened: 0,
            sessions: Vec::new(),
            next_try_ms: 0,
            wrong: 0,
        }
    }

    /// Tells whether a code may be looked at now; if so, the next one has to wait.
    pub(crate) fn may_try(&mut self, now_ms: u64) -> bool {
        let may_try = now_ms >= self.next_try_ms;
        if may_try {
            self.next_try_ms = now_ms + TRY_EVERY_MS;
        }
        may_try
    }

    /// Takes note of a wrong code.
    pub(crate) fn note_wrong(&mut self, now_ms: u64) {
        self.wrong += 1;
        if self.wrong >= WRONG_MAX {
            self.wrong = 0;
            self.next_try_ms = now_ms + LOCKED_MS;
        }
    }

    /// Opens a session after a right code.
    pub(crate) fn open(&mut self, epoch: u32, now_ms: u64) -> Cookie {
        self.wrong = 0;
        if self.sessions.is_full() {
            let least = (0..self.sessions.len()).min_by_key(|&at| self.sessions[at].used_ms);
            self.sessions.swap_remove(least.expect("the list is full"));
        }
        let cookie = self.next_cookie();
        let session = Session {
            cookie: cookie.clone(),
            epoch,
            opened_ms: now_ms,
            used_ms: now_ms,
        };
        self.sessions.push(session).expect("room was made");
        cookie
    }

    /// Tells whether a cookie is that of an open session, which then is used.
    pub(crate) fn admits(&mut self, cookie: &str, epoch: u32, now_ms: u64) -> bool {
        self.sessions.retain(|session| {
            session.epoch == epoch
                && now_ms.saturating_sub(session.used_ms) <= u64::from(IDLE_MAX_S) * 1000
                && now_ms.saturating_sub(session.opened_ms) <= u64::from(SESSION_MAX_S) * 1000
        });
        let mut is_open = false;
        for session in &mut self.sessions {
            if session.cookie.as_bytes().ct_eq(cookie.as_bytes()).into() {
                session.used_ms = now_ms;
                is_open = true;
            }
        }
        is_open
    }

    fn next_cookie(&mut self) -> Cookie {
        let mut seal = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes any key");
        seal.update(b"ofmon-session-1");
        seal.update(&self.opened.to_le_bytes());
        self.opened += 1;
        let mut cookie = Cookie::new();
        for byte in &seal.finalize().into_bytes()[..COOKIE_BYTES] {
            write!(cookie, "{byte:02x}").expect("two digits a byte");
        }
        cookie
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    const IDLE_MS: u64 = IDLE_MAX_S as u64 * 1000;

    #[test]
    fn a_session_lasts_while_it_is_used_and_never_over_its_length() {
        let mut viewing = Viewing::new([3; 32]);
        let cookie = viewing.open(1, 0);
        let mut now_ms = 0;
        while now_ms + IDLE_MS <= u64::from(SESSION_MAX_S) * 1000 {
            now_ms += IDLE_MS;
            assert!(viewing.admits(&cookie, 1, now_ms), "{now_ms}");
        }
        assert!(!viewing.admits(&cookie, 1, now_ms + 1));
        let idle = viewing.open(1, now_ms);
        assert!(!viewing.admits(&idle, 1, now_ms + IDLE_MS + 1));
        assert!(!viewing.admits(&idle, 1, now_ms), "it ended for good");
    }

    #[test]
    fn changed_settings_end_all_sessions() {
        let mut viewing = Viewing::new([3; 32]);
        let cookie = viewing.open(1, 0);
        assert!(!viewing.admits(&cookie, 2, 1));
        assert!(!viewing.admits(&cookie, 1, 2), "it ended for good");
    }

    #[test]
    fn cookies_differ_and_one_too_many_ends_the_one_least_recently_used() {
        let mut viewing = Viewing::new([3; 32]);
        let cookies: std::vec::Vec<Cookie> = (0..4).map(|at| viewing.open(1, at)).collect();
        assert!(viewing.admits(&cookies[0], 1, 10));
        let fifth = viewing.open(1, 11);
        let open: std::vec::Vec<bool> = cookies
            .iter()
            .chain([&fifth])
            .map(|cookie| viewing.admits(cookie, 1, 12))
            .collect();
        assert_eq!(open, [true, false, true, true, true]);
        let other_boot = Viewing::new([4; 32]).open(1, 0);
        assert!(!viewing.admits(&other_boot, 1, 13));
        assert!(!viewing.admits("", 1, 13));
    }

    #[test]
    fn codes_are_tried_once_a_second_and_not_at_all_after_ten_wrong_ones() {
        let mut viewing = Viewing::new([3; 32]);
        for second in 0..10 {
            assert!(viewing.may_try(second * 1000));
            assert!(!viewing.may_try(second * 1000 + 999));
            viewing.note_wrong(second * 1000);
        }
        assert!(!viewing.may_try(9_000 + LOCKED_MS - 1));
        assert!(viewing.may_try(9_000 + LOCKED_MS));
    }
}
