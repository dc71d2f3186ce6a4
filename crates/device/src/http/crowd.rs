//! Who of all connections goes when there is no room left.
//!
//! A meter serves few connections side by side. When all places are taken, the connection that has waited longest goes: for
//! a request to begin or to end first, then for an answer to be read. Who was let in by a MAC stays until its answer is
//! sent. So strangers who connect and say nothing, or half of something, keep nobody out for longer than
//! [`WAIT_TICKS_MAX`].

use core::cell::Cell;

use super::CONNECTIONS;

/// Time between two looks at all connections in ms; all limits of time are multiples of it.
pub(super) const TICK_MS: u64 = 50;
/// Ticks that a connection may wait although others need its place.
const WAIT_TICKS_MAX: u32 = 500 / TICK_MS as u32;
/// Live streams side by side.
const LIVE_STREAMS_MAX: usize = 2;

/// What a place is taken for, with the ticks since then.
#[derive(Clone, Copy)]
enum Place {
    Free,
    /// A request is to begin, to end, or the other side to close.
    Waiting(u32),
    /// An answer goes to somebody who was not let in by a MAC.
    Answering(u32),
    /// A request that was let in by its MAC is answered.
    Admitted,
    /// Its connection was told to go.
    Leaving,
}

/// All connections of a meter.
pub struct Crowd {
    places: [Cell<Place>; CONNECTIONS],
    live_streams: Cell<usize>,
    ended: Cell<u32>,
}

impl Crowd {
    /// Makes a crowd of nobody.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            places: [const { Cell::new(Place::Free) }; CONNECTIONS],
            live_streams: Cell::new(0),
            ended: Cell::new(0),
        }
    }

    /// Takes a place; `None` where all are taken.
    pub(super) fn enter(&self) -> Option<Seat<'_>> {
        let is_free = |place: &Cell<Place>| matches!(place.get(), Place::Free);
        let place = self.places.iter().find(|place| is_free(place))?;
        place.set(Place::Waiting(0));
        Some(Seat { crowd: self, place })
    }

    /// Tells whether all places are taken.
    pub(super) fn is_full(&self) -> bool {
        let is_taken = |place: &Cell<Place>| !matches!(place.get(), Place::Free);
        self.places.iter().all(is_taken)
    }

    /// Counts a connection that a limit ended.
    pub(super) fn count_ended(&self) {
        self.ended.set(self.ended.get().saturating_add(1));
    }

    /// Returns how many connections were ended to make room or because of a limit.
    pub(super) fn ended(&self) -> u32 {
        self.ended.get()
    }

    /// Begins a live stream; `None` where there are enough.
    pub(super) fn begin_live_stream(&self) -> Option<LiveSeat<'_>> {
        let streams = self.live_streams.get();
        (streams < LIVE_STREAMS_MAX).then(|| {
            self.live_streams.set(streams + 1);
            LiveSeat(self)
        })
    }

    /// Returns the place whose connection is to make room, if any must.
    fn next_to_go(&self) -> Option<&Cell<Place>> {
        let is_room = |place: &Cell<Place>| matches!(place.get(), Place::Free | Place::Leaving);
        if self.places.iter().any(is_room) {
            return None;
        }
        let rank = |place: &Cell<Place>| match place.get() {
            Place::Waiting(ticks) if ticks > WAIT_TICKS_MAX => (2, ticks),
            Place::Answering(ticks) if ticks > WAIT_TICKS_MAX => (1, ticks),
            _ => (0, 0),
        };
        let longest = self.places.iter().max_by_key(|place| rank(place))?;
        (rank(longest).0 > 0).then_some(longest)
    }
}

impl Default for Crowd {
    fn default() -> Self {
        Self::new()
    }
}

/// The place of one connection; free again when this is dropped.
pub(super) struct Seat<'a> {
    crowd: &'a Crowd,
    place: &'a Cell<Place>,
}

impl<'a> Seat<'a> {
    pub(super) fn crowd(&self) -> &'a Crowd {
        self.crowd
    }

    /// The wait for a request, or for the other side to close, begins.
    pub(super) fn wait(&self) {
        self.place.set(Place::Waiting(0));
    }

    /// An answer begins, to somebody who may be anybody.
    pub(super) fn answer(&self) {
        if !matches!(self.place.get(), Place::Admitted) {
            self.place.set(Place::Answering(0));
        }
    }

    /// The request was let in by its MAC.
    pub(super) fn admit(&self) {
        self.place.set(Place::Admitted);
    }

    /// The answer will go on for long and be nobody's loss: the place is kept as long as nobody needs it.
    pub(super) fn stream(&self) {
        self.place.set(Place::Answering(0));
    }

    /// Lets a tick pass; tells whether the connection is to make room.
    pub(super) fn tick(&self) -> bool {
        let next = match self.place.get() {
            Place::Waiting(ticks) => Place::Waiting(ticks.saturating_add(1)),
            Place::Answering(ticks) => Place::Answering(ticks.saturating_add(1)),
            other => other,
        };
        self.place.set(next);
        let is_next = |next: &Cell<Place>| core::ptr::eq(next, self.place);
        let must_go = self.crowd.next_to_go().is_some_and(is_next);
        if must_go {
            self.place.set(Place::Leaving);
        }
        must_go
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.place.set(Place::Free);
    }
}

/// The right to a live stream, given back when this is dropped.
pub(super) struct LiveSeat<'a>(&'a Crowd);

impl Drop for LiveSeat<'_> {
    fn drop(&mut self) {
        let streams = &self.0.live_streams;
        streams.set(streams.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn full(crowd: &Crowd) -> Vec<Seat<'_>> {
        let seats: Vec<_> = (0..CONNECTIONS).map_while(|_| crowd.enter()).collect();
        assert_eq!(seats.len(), CONNECTIONS);
        assert!(crowd.enter().is_none());
        seats
    }

    /// Lets ticks pass; returns who had to go, each with its tick.
    fn passed(seats: &[Seat<'_>], ticks: u32) -> Vec<(u32, usize)> {
        let mut gone = Vec::new();
        for tick in 1..=ticks {
            let goes = |(at, seat): (usize, &Seat<'_>)| seat.tick().then_some((tick, at));
            gone.extend(seats.iter().enumerate().filter_map(goes));
        }
        gone
    }

    #[test]
    fn nobody_goes_while_there_is_room() {
        let crowd = Crowd::new();
        let mut seats = full(&crowd);
        seats.pop();
        assert_eq!(passed(&seats, 1_000), []);
    }

    #[test]
    fn who_waits_longest_goes_alone() {
        let crowd = Crowd::new();
        let seats = full(&crowd);
        passed(&seats[2..3], 2);
        let gone = passed(&seats, 50);
        assert_eq!(gone, [(WAIT_TICKS_MAX - 1, 2)]);
    }

    #[test]
    fn who_was_let_in_by_a_mac_stays() {
        let crowd = Crowd::new();
        let seats = full(&crowd);
        for seat in &seats {
            seat.admit();
            seat.answer();
        }
        assert_eq!(passed(&seats, 1_000), []);
        seats[1].wait();
        assert_eq!(passed(&seats, 1_000), [(WAIT_TICKS_MAX + 1, 1)]);
    }

    #[test]
    fn who_reads_slowly_goes_behind_those_who_wait() {
        let crowd = Crowd::new();
        let seats = full(&crowd);
        for seat in &seats {
            seat.admit();
        }
        seats[0].stream();
        assert_eq!(passed(&seats, WAIT_TICKS_MAX), []);
        // Alone it goes for the others' sake; where one waits as long for a request, that one goes.
        assert_eq!(passed(&seats, 1), [(1, 0)]);
        drop(seats);
        let seats = full(&crowd);
        seats[3].stream();
        let gone = passed(&seats, WAIT_TICKS_MAX + 1);
        assert_eq!(gone, [(WAIT_TICKS_MAX + 1, 0)]);
    }

    #[test]
    fn live_streams_are_few_and_come_again() {
        let crowd = Crowd::new();
        let first = crowd.begin_live_stream();
        let second = crowd.begin_live_stream();
        assert!(first.is_some() && second.is_some() && crowd.begin_live_stream().is_none());
        drop(first);
        assert!(crowd.begin_live_stream().is_some());
    }
}
