//! What the button of a meter asks for: held and let go.
//!
//! Nothing happens before it is let go, so whoever sees the light change has the choice. A button that was down since the
//! start, or stays down for longer than a person would hold it, is taken for a broken one and asks for nothing.

/// Time in ms after which a change of the contact counts.
const SETTLED_MS: u64 = 30;
/// Held for so long it forgets the settings, in ms.
pub const FORGET_MS: u64 = 10_000;
/// Held for so long it erases everything, in ms.
pub const ERASE_MS: u64 = 20_000;
/// Held for longer it is broken, in ms.
pub const BROKEN_MS: u64 = 60_000;

/// How long the button has been held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Not at all.
    No,
    /// For less than 10 s.
    Briefly,
    /// For 10 s: let go now it forgets token, name and interval.
    Forget,
    /// For 20 s: let go now it erases everything.
    Erase,
}

/// What the button asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Forget token, name and interval; keep the readings.
    Forget,
    /// Erase everything; keep device and access-point password.
    Erase,
}

/// Follows the button.
#[derive(Clone, Copy, Debug, Default)]
pub struct Button {
    /// It was seen up, so it works.
    was_up: bool,
    /// State of the contact, settled, and since when it was another one.
    is_down: bool,
    changed_ms: Option<u64>,
    /// Uptime at which it went down.
    down_ms: u64,
}

impl Button {
    /// Begins with a start.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the state of the contact; returns a request when the button was let go. To be called each 10 to 50 ms.
    pub fn step(&mut self, is_down: bool, now_ms: u64) -> Option<Request> {
        if is_down == self.is_down {
            self.changed_ms = None;
            self.was_up |= !is_down;
            return None;
        }
        let since_ms = *self.changed_ms.get_or_insert(now_ms);
        if now_ms.saturating_sub(since_ms) < SETTLED_MS {
            return None;
        }
        let held = self.held(since_ms);
        self.changed_ms = None;
        self.is_down = is_down;
        if is_down {
            self.down_ms = since_ms;
            return None;
        }
        self.was_up = true;
        match held {
            Held::Forget => Some(Request::Forget),
            Held::Erase => Some(Request::Erase),
            Held::No | Held::Briefly => None,
        }
    }

    /// Returns how long the button has been held.
    #[must_use]
    pub fn held(&self, now_ms: u64) -> Held {
        let held_ms = now_ms.saturating_sub(self.down_ms);
        match held_ms {
            _ if !self.is_down => Held::No,
            _ if !self.was_up || held_ms >= BROKEN_MS => Held::Briefly,
            ERASE_MS.. => Held::Erase,
            FORGET_MS.. => Held::Forget,
            _ => Held::Briefly,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    /// Steps a button each 10 ms through (down, length in ms) and returns what it asked for.
    fn requests(contact: &[(bool, u64)]) -> Vec<Request> {
        let (mut button, mut now_ms, mut requests) = (Button::new(), 0, Vec::new());
        for &(is_down, length_ms) in contact {
            for _ in 0..length_ms / 10 {
                requests.extend(button.step(is_down, now_ms));
                now_ms += 10;
            }
        }
        requests
    }

    #[test]
    fn the_time_held_decides() {
        let held = |ms| requests(&[(false, 100), (true, ms), (false, 100)]);
        assert_eq!(held(9_990), []);
        assert_eq!(held(10_000), [Request::Forget]);
        assert_eq!(held(19_990), [Request::Forget]);
        assert_eq!(held(20_000), [Request::Erase]);
        assert_eq!(held(59_990), [Request::Erase]);
        assert_eq!(held(60_000), []);
    }

    #[test]
    fn bounces_are_no_release() {
        let bouncing = [
            (false, 50),
            (true, 6_000),
            (false, 20),
            (true, 4_000),
            (false, 100),
        ];
        assert_eq!(requests(&bouncing), [Request::Forget]);
        let let_go = [
            (false, 50),
            (true, 6_000),
            (false, 50),
            (true, 6_000),
            (false, 100),
        ];
        assert_eq!(requests(&let_go), []);
    }

    #[test]
    fn a_button_that_was_down_at_the_start_asks_for_nothing() {
        assert_eq!(requests(&[(true, 15_000), (false, 100)]), []);
        let later = [(true, 15_000), (false, 100), (true, 12_000), (false, 100)];
        assert_eq!(requests(&later), [Request::Forget]);
    }

    #[test]
    fn the_light_can_follow_the_button() {
        let mut button = Button::new();
        assert_eq!(button.step(false, 0), None);
        for now_ms in (10..25_000).step_by(10) {
            button.step(true, now_ms);
            let expected = match now_ms {
                0..40 => Held::No,
                40..10_010 => Held::Briefly,
                10_010..20_010 => Held::Forget,
                _ => Held::Erase,
            };
            assert_eq!(button.held(now_ms), expected, "{now_ms}");
        }
    }
}
