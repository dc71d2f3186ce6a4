//! What the light of a meter says.
//!
//! | light | meaning |
//! |---|---|
//! | on | starting |
//! | one short flash every 5 s | measuring |
//! | two flashes every 2 s | not set up |
//! | three flashes every 2 s | no voltage |
//! | blinks 5 times a second | the store failed |
//! | blinks 2 times a second | the button has been held for 10 s |
//! | blinks 10 times a second | the button has been held for 20 s |

use crate::button::Held;

/// Length of a flash, and of the pause behind it, in ms.
const FLASH_MS: u64 = 100;
const PAUSE_MS: u64 = 200;

/// What the light tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All is well.
    Measuring,
    /// No window was measured yet.
    Starting,
    /// A channel sees no mains voltage.
    NoVoltage,
    /// There is no access token yet.
    NotSetUp,
    /// Readings or events could not be written, or the store cannot be mounted.
    StorageFault,
}

/// Tells whether the light is on, by what the meter and the button say and by the uptime in ms.
#[must_use]
pub fn is_lit(condition: Condition, held: Held, uptime_ms: u64) -> bool {
    match (held, condition) {
        (Held::Erase, _) => blinks(uptime_ms, 10),
        (Held::Forget, _) => blinks(uptime_ms, 2),
        (_, Condition::StorageFault) => blinks(uptime_ms, 5),
        (_, Condition::NotSetUp) => flashes(uptime_ms, 2, 2_000),
        (_, Condition::NoVoltage) => flashes(uptime_ms, 3, 2_000),
        (_, Condition::Starting) => true,
        (_, Condition::Measuring) => flashes(uptime_ms, 1, 5_000),
    }
}

/// On for one half, off for the other, so many times a second.
fn blinks(uptime_ms: u64, times_a_second: u64) -> bool {
    uptime_ms % 1_000 * times_a_second % 1_000 < 500
}

/// So many flashes at the beginning of each period.
fn flashes(uptime_ms: u64, count: u64, period_ms: u64) -> bool {
    let at_ms = uptime_ms % period_ms;
    at_ms / (FLASH_MS + PAUSE_MS) < count && at_ms % (FLASH_MS + PAUSE_MS) < FLASH_MS
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    /// Uptimes at which the light turns on, up to 10 s, and for how long it then is on.
    fn pattern(condition: Condition, held: Held) -> Vec<(u64, u64)> {
        let mut flashes: Vec<(u64, u64)> = Vec::new();
        let mut was_lit = false;
        for at_ms in 0..10_000 {
            let lit = is_lit(condition, held, at_ms);
            match flashes.last_mut() {
                Some((_, length)) if lit && was_lit => *length += 1,
                _ if lit => flashes.push((at_ms, 1)),
                _ => {}
            }
            was_lit = lit;
        }
        flashes
    }

    #[test]
    fn each_condition_has_its_pattern() {
        use Condition::*;
        let evenly = |times: u64| -> Vec<(u64, u64)> {
            let period = 1_000 / times;
            (0..10 * times)
                .map(|turn| (turn * period, period / 2))
                .collect()
        };
        let groups = |count: u64, period: u64| -> Vec<(u64, u64)> {
            let group = |begin| (0..count).map(move |flash| (begin + flash * 300, 100));
            (0..10_000 / period)
                .flat_map(|turn| group(turn * period))
                .collect()
        };
        assert_eq!(pattern(Starting, Held::No), [(0, 10_000)]);
        assert_eq!(pattern(Measuring, Held::No), groups(1, 5_000));
        assert_eq!(pattern(NotSetUp, Held::No), groups(2, 2_000));
        assert_eq!(pattern(NoVoltage, Held::Briefly), groups(3, 2_000));
        assert_eq!(pattern(StorageFault, Held::No), evenly(5));
        for condition in [Starting, Measuring, StorageFault] {
            assert_eq!(pattern(condition, Held::Forget), evenly(2));
            assert_eq!(pattern(condition, Held::Erase), evenly(10));
        }
    }
}
