//! Nonces, replay protection, checking of requests.
//!
//! A nonce is 8 bytes of uptime in ms, 4 of a counter and 8 of an HMAC over both with a secret of this boot, so the meter
//! need not remember what it gave out. It remembers only the counters of requests that it accepted: strangers cannot
//! exhaust anything. When that list is full, its lowest counter goes and all nonces up to it are void; who held one gets
//! a new one with the refusal.

use hmac::{Hmac, KeyInit, Mac as _};
use protocol::{
    authentication::{Authorization, BodyHash, Key, Mac, Nonce},
    limits::NONCE_VALID_MS,
};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Accepted requests that are remembered.
const ACCEPTED_MAX: usize = 64;

/// Gives nonces and lets each in once.
#[derive(Debug)]
pub struct Gate {
    secret: [u8; 32],
    next: u32,
    /// Counters up to here (exclusive) are void.
    floor: u32,
    accepted: heapless::Vec<u32, ACCEPTED_MAX>,
}

/// The parts of a request that its MAC covers, as they came.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Method in capitals.
    pub method: &'a str,
    /// Path with query exactly as sent.
    pub path_and_query: &'a str,
    /// What the header says the body hashes to.
    pub body: BodyHash,
    /// The `Authorization` header.
    pub authorization: Authorization,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The nonce is not of this boot, too old, or was used.
    StaleNonce,
    /// The MAC does not match.
    WrongMac,
}

impl Gate {
    /// Begins a boot with fresh random bytes.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            secret,
            next: 0,
            floor: 0,
            accepted: heapless::Vec::new(),
        }
    }

    /// Makes a nonce that is valid from `now_ms` of uptime on for [`NONCE_VALID_MS`].
    pub fn nonce(&mut self, now_ms: u64) -> Nonce {
        let counter = self.next;
        // After 2³² nonces, decades at one a second, no request is let in until a restart: safe, if not pretty.
        self.next = self.next.saturating_add(1);
        self.sealed(now_ms, counter)
    }

    fn sealed(&self, issued_ms: u64, counter: u32) -> Nonce {
        let mut nonce = [0; 20];
        nonce[..8].copy_from_slice(&issued_ms.to_le_bytes());
        nonce[8..12].copy_from_slice(&counter.to_le_bytes());
        let mut seal = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes any key");
        seal.update(&nonce[..12]);
        nonce[12..].copy_from_slice(&seal.finalize().into_bytes()[..8]);
        Nonce(nonce)
    }

    /// Lets a request in, once, and returns its MAC, which the answer is bound to.
    ///
    /// # Errors
    /// [`Refusal`]; nothing changes then.
    pub fn admit(&mut self, key: &Key, claim: &Claim<'_>, now_ms: u64) -> Result<Mac, Refusal> {
        let Nonce(nonce) = claim.authorization.nonce;
        let issued_ms = u64::from_le_bytes(nonce[..8].try_into().expect("eight bytes"));
        let counter = u32::from_le_bytes(nonce[8..12].try_into().expect("four bytes"));
        let genuine: bool = self.sealed(issued_ms, counter).0.ct_eq(&nonce).into();
        let fresh = issued_ms <= now_ms && now_ms - issued_ms <= NONCE_VALID_MS;
        if !genuine || !fresh || counter < self.floor || self.accepted.contains(&counter) {
            return Err(Refusal::StaleNonce);
        }
        let mac = key.request_mac(
            claim.method,
            claim.path_and_query,
            &claim.body,
            &claim.authorization.nonce,
        );
        if !mac.matches(claim.authorization.mac.bytes()) {
            return Err(Refusal::WrongMac);
        }
        self.remember(counter);
        Ok(mac)
    }

    fn remember(&mut self, counter: u32) {
        if self.accepted.is_full() {
            let lowest = (0..self.accepted.len())
                .min_by_key(|&index| self.accepted[index])
                .expect("the list is full");
            self.floor = self.floor.max(self.accepted.swap_remove(lowest) + 1);
        }
        if counter >= self.floor {
            self.accepted.push(counter).expect("room was made");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::DeviceId;

    fn claim<'a>(key: &Key, nonce: Nonce, path_and_query: &'a str) -> Claim<'a> {
        let body = BodyHash::of(b"");
        let mac = key.request_mac("GET", path_and_query, &body, &nonce);
        Claim {
            method: "GET",
            path_and_query,
            body,
            authorization: Authorization { nonce, mac },
        }
    }

    fn key(token: &str) -> Key {
        Key::derive(token, DeviceId([1; 6]))
    }

    #[test]
    fn a_nonce_lets_one_request_in() {
        let (mut gate, key) = (Gate::new([3; 32]), key("token"));
        let nonce = gate.nonce(1000);
        assert!(gate.admit(&key, &claim(&key, nonce, "/a"), 2000).is_ok());
        let again = gate.admit(&key, &claim(&key, nonce, "/a"), 2000);
        assert_eq!(again.unwrap_err(), Refusal::StaleNonce);
    }

    #[test]
    fn old_foreign_and_future_nonces_are_stale() {
        let (mut gate, key) = (Gate::new([3; 32]), key("token"));
        let nonce = gate.nonce(1000);
        let mut stale = |nonce, now_ms| {
            gate.admit(&key, &claim(&key, nonce, "/a"), now_ms)
                .unwrap_err()
        };
        assert_eq!(stale(nonce, 1001 + NONCE_VALID_MS), Refusal::StaleNonce);
        assert_eq!(stale(nonce, 999), Refusal::StaleNonce);
        assert_eq!(
            stale(Gate::new([4; 32]).nonce(1000), 1000),
            Refusal::StaleNonce
        );
    }

    #[test]
    fn a_wrong_mac_is_refused_and_does_not_use_the_nonce_up() {
        let (mut gate, right) = (Gate::new([3; 32]), key("token"));
        let nonce = gate.nonce(1000);
        let wrong = claim(&key("other"), nonce, "/a");
        assert_eq!(
            gate.admit(&right, &wrong, 1000).unwrap_err(),
            Refusal::WrongMac
        );
        assert!(
            gate.admit(&right, &claim(&right, nonce, "/a"), 1000)
                .is_ok()
        );
    }

    #[test]
    fn more_requests_than_are_remembered_still_cannot_be_replayed() {
        let (mut gate, key) = (Gate::new([3; 32]), key("token"));
        let nonces: heapless::Vec<Nonce, 200> = (0..200).map(|_| gate.nonce(1000)).collect();
        for &nonce in &nonces {
            assert!(gate.admit(&key, &claim(&key, nonce, "/a"), 1000).is_ok());
        }
        for &nonce in &nonces {
            let again = gate.admit(&key, &claim(&key, nonce, "/a"), 1000);
            assert_eq!(again.unwrap_err(), Refusal::StaleNonce);
        }
    }
}
