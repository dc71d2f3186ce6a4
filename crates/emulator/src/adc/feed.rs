//! What the converter's inputs are connected to.

use metering::Pair;
use sim::signal::{FrontEnd, Generator, Source};

/// Largest code of the converter: 12 bits.
const CODE_MAX: u16 = 4095;
/// CPU cycles in a µs.
const CYCLES_A_US: i128 = 160;
/// Inputs of the first unit that a conversion can name.
const INPUTS: usize = 16;
/// Pairs made at once.
const BLOCK: usize = 256;

/// Something measured: what flows, and what lies between it and the converter.
#[derive(Clone, Debug)]
pub struct Load {
    /// What flows.
    pub source: Source,
    /// What lies between; its converter must have 12 bits, more are cut off at the largest code.
    pub front_end: FrontEnd,
    /// Of the noise.
    pub seed: u64,
}

/// A start of gapless conversions, from which the codes of a load follow pair by pair.
///
/// The codes are those of `Generator::new(source, front_end, rate_hz, seed).at(offset_us)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Virtual time of the first conversion, in CPU cycles since power-on.
    pub cycle: u64,
    /// Place in the load, in µs since its beginning.
    pub offset_us: u64,
    /// Pairs a second.
    pub rate_hz: u32,
}

/// Gives the code of each conversion.
///
/// A load begins with the first conversion of the first start: the k-th conversion of an input is then the k-th pair of
/// the load. After a pause of the conversions it goes on where the mains has got to meanwhile. A firmware that lets the
/// converter run to draw random numbers has begun with that; [`Self::begins`] tells.
#[derive(Clone, Debug)]
pub struct Feed {
    inputs: [Input; INPUTS],
    loads: Vec<Load>,
    /// Place in the load at cycle 0, in µs; none before the first start.
    origin_us: Option<i128>,
    begins: Vec<Begin>,
}

#[derive(Clone, Debug)]
enum Input {
    Constant(u16),
    Connected {
        load: usize,
        side: Side,
        stream: Option<Box<Stream>>,
    },
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Voltage,
    Current,
}

/// The codes of one side of the pairs, from one start on.
#[derive(Clone, Debug)]
struct Stream {
    generator: Generator,
    block: Vec<Pair>,
    at: usize,
}

impl Feed {
    /// Connects all inputs to a voltage of this code, 0 to 4095.
    #[must_use]
    pub fn constant(code: u16) -> Self {
        Self {
            inputs: std::array::from_fn(|_| Input::Constant(code.min(CODE_MAX))),
            loads: Vec::new(),
            origin_us: None,
            begins: Vec::new(),
        }
    }

    /// Connects two inputs to voltage and current of a load, and the others to ground.
    ///
    /// # Panics
    /// When an input is above 15.
    #[must_use]
    pub fn signal(voltage_input: u8, current_input: u8, load: Load) -> Self {
        let mut feed = Self::constant(0);
        feed.loads.push(load);
        feed.connect(voltage_input, 0, Side::Voltage);
        feed.connect(current_input, 0, Side::Current);
        feed
    }

    /// Connects one more input to the current of a load, whose voltage is measured nowhere.
    ///
    /// # Panics
    /// When the input is above 15.
    #[must_use]
    pub fn and_current(mut self, input: u8, load: Load) -> Self {
        self.loads.push(load);
        self.connect(input, self.loads.len() - 1, Side::Current);
        self
    }

    /// Returns every start of conversions so far.
    #[must_use]
    pub fn begins(&self) -> &[Begin] {
        &self.begins
    }

    /// Returns the place in the loads, in µs since their beginning: 0 before the first conversion.
    #[must_use]
    pub fn position_us(&self, now: u64) -> u64 {
        let since = |origin_us| origin_us + i128::from(now) / CYCLES_A_US;
        self.origin_us
            .map_or(0, |origin_us| since(origin_us).try_into().unwrap_or(0))
    }

    /// Begins virtual time anew at 0 with the loads at this place, as at a chip that is switched on again.
    pub fn power_on(&mut self, position_us: u64) {
        if self.origin_us.is_some() {
            self.origin_us = Some(position_us.into());
        }
        self.pause();
    }

    /// Says that gapless conversions begin now, with so many of each input a second.
    pub(super) fn begin(&mut self, now: u64, rate_hz: u32) {
        if self.origin_us.is_none() {
            self.origin_us = Some(-(i128::from(now) / CYCLES_A_US));
        }
        let begin = Begin {
            cycle: now,
            offset_us: self.position_us(now),
            rate_hz,
        };
        for input in &mut self.inputs {
            if let Input::Connected { load, stream, .. } = input {
                *stream = Some(Box::new(Stream::new(&self.loads[*load], begin)));
            }
        }
        self.begins.push(begin);
    }

    /// Says that the conversions have ended.
    pub(super) fn pause(&mut self) {
        for input in &mut self.inputs {
            if let Input::Connected { stream, .. } = input {
                *stream = None;
            }
        }
    }

    /// Returns the code of the next gapless conversion of an input.
    pub(super) fn next(&mut self, input: u8) -> u16 {
        match &mut self.inputs[usize::from(input) % INPUTS] {
            Input::Constant(code) => *code,
            Input::Connected {
                side,
                stream: Some(stream),
                ..
            } => stream.next(*side),
            Input::Connected { stream: None, .. } => 0,
        }
    }

    /// Returns the code of a single conversion, which takes nothing from the gapless ones.
    pub(super) fn single(&self, input: u8, now: u64) -> u16 {
        match &self.inputs[usize::from(input) % INPUTS] {
            Input::Constant(code) => *code,
            Input::Connected { load, side, .. } => {
                let load = &self.loads[*load];
                let begin = Begin {
                    cycle: now,
                    offset_us: self.position_us(now),
                    rate_hz: load.source.sample_rate_hz(),
                };
                Stream::new(load, begin).next(*side)
            }
        }
    }

    fn connect(&mut self, input: u8, load: usize, side: Side) {
        let stream = None;
        self.inputs[usize::from(input)] = Input::Connected { load, side, stream };
    }
}

impl Stream {
    fn new(load: &Load, begin: Begin) -> Self {
        let rate_hz = match &load.source {
            // Its samples are given as they are.
            Source::Recording(recording) => recording.sample_rate_hz(),
            Source::Profile(_) | Source::Recipe(_) => begin.rate_hz,
        };
        let generator = Generator::new(load.source.clone(), load.front_end, rate_hz, load.seed);
        Self {
            generator: generator.at(begin.offset_us),
            block: Vec::new(),
            at: 0,
        }
    }

    fn next(&mut self, side: Side) -> u16 {
        if self.at == self.block.len() {
            self.block.resize(BLOCK, Pair::default());
            self.generator.fill(&mut self.block);
            self.at = 0;
        }
        let pair = self.block[self.at];
        self.at += 1;
        match side {
            Side::Voltage => pair.voltage.min(CODE_MAX),
            Side::Current => pair.current.min(CODE_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use sim::signal::{Kind, Recipe};

    use super::*;

    fn load() -> Load {
        Load {
            source: Source::Recipe(Recipe::new(Kind::House, 7).beginning_at(19 * 3_600)),
            front_end: FrontEnd::esp32c3(60.0, 7),
            seed: 3,
        }
    }

    fn expected(offset_us: u64, rate_hz: u32, count: usize) -> Vec<Pair> {
        let load = load();
        let mut pairs = vec![Pair::default(); count];
        Generator::new(load.source, load.front_end, rate_hz, load.seed)
            .at(offset_us)
            .fill(&mut pairs);
        pairs
    }

    #[test]
    fn codes_are_those_of_the_generator_from_its_beginning() {
        let mut feed = Feed::signal(0, 1, load());
        feed.begin(123_456_789, 2_000);
        for (index, pair) in expected(0, 2_000, 5_000).into_iter().enumerate() {
            assert_eq!(
                (feed.next(0), feed.next(1)),
                (pair.voltage, pair.current),
                "{index}"
            );
        }
        assert_eq!(feed.next(2), 0);
    }

    #[test]
    fn mains_goes_on_while_nothing_is_converted() {
        let mut feed = Feed::signal(0, 1, load());
        feed.begin(160_000, 2_000);
        let _ = feed.next(0);
        feed.pause();
        feed.begin(160_000 + 160 * 3_500_000, 4_000);
        let begin = Begin {
            cycle: 160_000 + 160 * 3_500_000,
            offset_us: 3_500_000,
            rate_hz: 4_000,
        };
        assert_eq!(feed.begins()[1], begin);
        let pair = expected(3_500_000, 4_000, 1)[0];
        assert_eq!((feed.next(0), feed.next(1)), (pair.voltage, pair.current));

        feed.power_on(9_000_000);
        assert_eq!(feed.position_us(160), 9_000_001);
        feed.begin(160, 2_000);
        assert_eq!(feed.next(0), expected(9_000_001, 2_000, 1)[0].voltage);
    }

    #[test]
    fn single_conversion_takes_nothing_from_the_others() {
        let mut feed = Feed::signal(0, 1, load());
        let first = expected(0, 2_000, 2);
        assert_eq!(feed.single(0, 77), first[0].voltage);
        feed.begin(1_000, 2_000);
        assert_eq!(feed.next(1), first[0].current);
        let later = expected(250_000, 2_000, 1)[0];
        assert_eq!(feed.single(1, 1_000 + 160 * 250_000), later.current);
        assert_eq!(feed.next(1), first[1].current);
    }

    #[test]
    fn further_channel_has_its_own_current() {
        let mut feed = Feed::signal(0, 1, load()).and_current(3, Load { seed: 4, ..load() });
        feed.begin(0, 2_000);
        let own: Vec<_> = (0..100).map(|_| feed.next(3)).collect();
        let first: Vec<_> = (0..100).map(|_| feed.next(1)).collect();
        assert_ne!(own, first);
        let mut pairs = vec![Pair::default(); 100];
        let load = load();
        Generator::new(load.source, load.front_end, 2_000, 4).fill(&mut pairs);
        assert_eq!(own, pairs.iter().map(|p| p.current).collect::<Vec<_>>());
    }

    #[test]
    fn codes_never_exceed_twelve_bits() {
        let front_end = FrontEnd::reference();
        let mut feed = Feed::signal(
            0,
            1,
            Load {
                front_end,
                ..load()
            },
        );
        feed.begin(0, 2_000);
        assert!((0..500).any(|_| feed.next(0) == CODE_MAX));
        assert_eq!(Feed::constant(9_999).next(5), CODE_MAX);
    }
}
