use metering::Pair;
use sim::signal::{FrontEnd, Generator, Kind, Recipe, Source};

use super::*;
use crate::{adc::Load, memory::Ram};

const BASE: u32 = 0x3fc8_0000;
const OWNED: u32 = 1 << 31;
const CHANNEL_0: u32 = 0x70;
/// Voltage at input 0, current at input 1, attenuation 3.
const PATTERN: u32 = 0b00_0011 << 18 | 0b00_0111 << 12;

fn load() -> Load {
    Load {
        source: Source::Recipe(Recipe::new(Kind::House, 5).beginning_at(18 * 3_600)),
        front_end: FrontEnd {
            skew_us: 250.0,
            ..FrontEnd::esp32c3(60.0, 5)
        },
        seed: 9,
    }
}

/// A circle of two descriptors of `bytes` each, given back as soon as they are full.
struct Chip {
    saradc: Saradc,
    dma: Gdma,
    memory: Ram,
    bytes: u32,
    taken: Vec<u32>,
    at: u32,
}

impl Chip {
    fn new(bytes: u32) -> Self {
        let mut memory = Ram::new(BASE, 0x2100);
        for index in 0..2 {
            let at = BASE + 16 * index;
            memory.store32(at, OWNED | bytes).unwrap();
            memory
                .store32(at + 4, BASE + 0x100 + bytes * index)
                .unwrap();
            memory.store32(at + 8, BASE + 16 * (1 - index)).unwrap();
        }
        let mut dma = Gdma::new();
        dma.write(CHANNEL_0 + 0x30, 8, &mut memory);
        dma.write(CHANNEL_0 + 0x04, 1 << 12, &mut memory);
        dma.write(CHANNEL_0 + 0x10, BASE & 0xf_ffff | 1 << 22, &mut memory);
        let saradc = Saradc::new(Feed::signal(0, 1, load()));
        Self {
            saradc,
            dma,
            memory,
            bytes,
            taken: Vec::new(),
            at: 0,
        }
    }

    fn write(&mut self, offset: u32, value: u32, now: u64) {
        self.saradc.advance(now, &mut self.dma, &mut self.memory);
        self.saradc.write(offset, value, now);
    }

    /// Two items, 5 MHz, a conversion every 250 µs.
    fn start(&mut self, now: u64) {
        self.write(CTRL, 1 << 15 | CTRL_CLOCK_GATE_OPEN, now);
        self.write(SAR_PATT_TAB1, PATTERN, now);
        self.write(CLKM_CONF, CLOCK_APB << 21 | 1 << 8 | 15, now);
        self.write(DMA_CONF, DMA_ENABLED | (self.bytes / 4), now);
        self.write(CTRL2, 625 << 12 | CTRL2_TIMER_ENABLED, now);
    }

    fn run_until(&mut self, now: u64) {
        while let Some(at) = self.saradc.next_event().filter(|at| *at <= now) {
            self.saradc.advance(at, &mut self.dma, &mut self.memory);
            let descriptor = BASE + 16 * self.at;
            let flags = self.memory.load32(descriptor).unwrap();
            if flags & OWNED == 0 {
                assert_eq!(flags, 1 << 30 | self.bytes << 12 | self.bytes);
                let buffer = BASE + 0x100 + self.bytes * self.at;
                for offset in (0..self.bytes).step_by(4) {
                    self.taken
                        .push(self.memory.load32(buffer + offset).unwrap());
                }
                self.memory.store32(descriptor, OWNED | self.bytes).unwrap();
                self.at = 1 - self.at;
            }
        }
    }
}

fn expected(offset_us: u64, count: usize) -> Vec<Pair> {
    let load = load();
    let mut pairs = vec![Pair::default(); count];
    Generator::new(load.source, load.front_end, 2_000, load.seed)
        .at(offset_us)
        .fill(&mut pairs);
    pairs
}

fn pairs(words: &[u32]) -> Vec<Pair> {
    words
        .chunks_exact(2)
        .map(|pair| {
            assert_eq!((pair[0] >> 12, pair[1] >> 12), (0, 2), "channels 0 and 1");
            Pair {
                voltage: (pair[0] & 0xfff) as u16,
                current: (pair[1] & 0xfff) as u16,
            }
        })
        .collect()
}

#[test]
fn pairs_in_memory_are_those_of_the_generator_bit_for_bit() {
    let mut chip = Chip::new(800);
    let begin = 12_345;
    chip.start(begin);
    // Ten seconds and the last conversion of them.
    chip.run_until(begin + 10 * 160_000_000);
    assert_eq!(chip.taken.len(), 40_000);
    assert_eq!(pairs(&chip.taken), expected(0, 20_000));
    assert_eq!(chip.dma.lost(), 0);
    assert_eq!(
        chip.saradc.feed().begins(),
        [crate::adc::Begin {
            cycle: begin + 40_000,
            offset_us: 0,
            rate_hz: 2_000
        }]
    );
}

#[test]
fn conversions_come_at_their_exact_times() {
    let mut chip = Chip::new(400);
    chip.start(1_000);
    assert_eq!(chip.saradc.next_event(), Some(41_000));
    chip.run_until(40_999);
    assert_eq!(chip.saradc.read(INT_RAW), 0);
    chip.run_until(41_000);
    assert_eq!(chip.saradc.read(INT_RAW), INT_FIRST_DONE);
    assert_eq!(chip.saradc.next_event(), Some(81_000));
    // 80 MHz / (6 + 2 / 7) / 2 / 333: three intervals are 25,114.28… periods of the APB clock.
    chip.write(CLKM_CONF, CLOCK_APB << 21 | 2 << 14 | 7 << 8 | 5, 41_000);
    chip.write(CTRL2, 333 << 12 | CTRL2_TIMER_ENABLED, 41_000);
    let mut times = Vec::new();
    for _ in 0..7 {
        let at = chip.saradc.next_event().unwrap();
        times.push(at - 41_000);
        chip.run_until(at);
    }
    let exact = |count: u64| count * 2 * 2 * 333 * 44 / 7;
    assert_eq!(times, (1..=7).map(exact).collect::<Vec<_>>());
    assert_eq!(exact(7), 58_608);
}

#[test]
fn conversions_done_at_once_are_the_same() {
    let (mut one_by_one, mut at_once) = (Chip::new(4_000), Chip::new(4_000));
    for chip in [&mut one_by_one, &mut at_once] {
        chip.start(0);
    }
    let later = 900 * 40_000 + 7;
    one_by_one.run_until(later);
    let Chip {
        saradc,
        dma,
        memory,
        ..
    } = &mut at_once;
    assert_eq!(saradc.next_interrupt(dma), None);
    saradc.advance(later, dma, memory);
    assert_eq!(memory.bytes(), one_by_one.memory.bytes());
    assert_eq!(saradc.next_event(), one_by_one.saradc.next_event());
    dma.write(0x8, 2, memory);
    assert_eq!(saradc.next_interrupt(dma), saradc.next_event());
    dma.write(0x8, 0, memory);
    saradc.write(INT_ENA, INT_FIRST_DONE, later);
    assert_eq!(saradc.next_interrupt(dma), saradc.next_event());
}

#[test]
fn signal_goes_on_over_a_pause() {
    let mut chip = Chip::new(400);
    chip.start(0);
    chip.run_until(160_000_000);
    assert_eq!(chip.taken.len(), 4_000);
    chip.write(CTRL2, 625 << 12, 160_000_000);
    assert_eq!(chip.saradc.next_event(), None);
    let again = 3 * 160_000_000;
    chip.write(CTRL2, 625 << 12 | CTRL2_TIMER_ENABLED, again);
    chip.run_until(again + 160_000_000);
    assert_eq!(pairs(&chip.taken[..4_000]), expected(0, 2_000));
    // Both begin with the first conversion, 250 µs after the start.
    assert_eq!(pairs(&chip.taken[4_000..]), expected(3_000_000, 2_000));
}

#[test]
fn pattern_is_followed_through_both_tables() {
    let mut chip = Chip::new(400);
    chip.start(0);
    let items: [u32; 7] = [0, 1, 3, 4, 0, 0, 2];
    let (mut first, mut second) = (0, 0);
    for (index, channel) in items.iter().enumerate() {
        // The item before the last is of the second unit, channel 0.
        let item = if index == 5 { 0x20 } else { channel << 2 } | 3;
        let table = if index < 4 { &mut first } else { &mut second };
        *table |= item << (18 - 6 * (index % 4));
    }
    chip.write(SAR_PATT_TAB1, first, 0);
    chip.write(SAR_PATT_TAB2, second, 0);
    chip.write(CTRL, 6 << 15 | CTRL_CLOCK_GATE_OPEN | CTRL_PATTERN_CLEAR, 0);
    chip.run_until(100 * 40_000);
    let channels: Vec<_> = chip.taken.iter().map(|word| word >> 13).collect();
    let cycle = [0, 1, 3, 4, 0, 8, 2];
    assert!(channels.len() >= 100);
    for (index, channel) in channels.iter().enumerate() {
        assert_eq!(*channel, cycle[index % 7], "{index}");
    }
    assert_eq!(chip.saradc.feed().begins()[0].rate_hz, 571);
}

#[test]
fn nothing_runs_with_a_wrong_setup() {
    for (offset, value) in [
        (CTRL, 1 << 15),
        (CTRL, 1 << 15 | CTRL_CLOCK_GATE_OPEN | CTRL_START_FORCE),
        (CLKM_CONF, 1 << 21 | 15),
        (CTRL2, 29 << 12 | CTRL2_TIMER_ENABLED),
        (CTRL2, 625 << 12),
    ] {
        let mut chip = Chip::new(400);
        chip.start(0);
        chip.write(offset, value, 10);
        assert_eq!(chip.saradc.next_event(), None, "{offset:#x} {value:#x}");
    }
    let mut chip = Chip::new(400);
    chip.start(0);
    chip.write(DMA_CONF, 100, 10);
    chip.run_until(160_000_000);
    assert_eq!((chip.taken.len(), chip.dma.read(0)), (0, 0));
    assert_eq!(chip.saradc.read(INT_RAW), INT_FIRST_DONE);
}

#[test]
fn conversions_end_at_their_limit() {
    let mut chip = Chip::new(400);
    chip.start(0);
    chip.write(
        CTRL2,
        625 << 12 | CTRL2_TIMER_ENABLED | 100 << 1 | CTRL2_LIMIT,
        0,
    );
    chip.run_until(160_000_000);
    assert_eq!(chip.taken.len(), 100);
    assert_eq!(chip.saradc.read(CTRL2) & CTRL2_TIMER_ENABLED, 0);
}

#[test]
fn inverted_codes_are_inverted() {
    let mut chip = Chip::new(400);
    *chip.saradc.feed_mut() = Feed::constant(1_000);
    chip.start(0);
    chip.write(CTRL2, 625 << 12 | CTRL2_TIMER_ENABLED | 1 << 9, 0);
    chip.run_until(100 * 40_000);
    assert_eq!(pairs(&chip.taken)[0].voltage, 4_095 - 1_000);
}

#[test]
fn single_conversion_takes_its_time() {
    let mut saradc = Saradc::new(Feed::constant(1_234));
    let (mut dma, mut memory) = (Gdma::new(), Ram::new(BASE, 16));
    saradc.write(INT_ENA, u32::MAX, 0);
    let sample = ONETIME_FIRST | 4 << 25 | 3 << 23;
    saradc.write(ONETIME_SAMPLE, sample, 500);
    assert_eq!(saradc.next_event(), None);
    saradc.write(ONETIME_SAMPLE, sample | ONETIME_START, 1_000);
    saradc.advance(1_479, &mut dma, &mut memory);
    assert!(!saradc.interrupt());
    assert_eq!(saradc.next_event(), Some(1_480));
    saradc.advance(1_480, &mut dma, &mut memory);
    assert!(saradc.interrupt());
    assert_eq!(saradc.read(INT_RAW), INT_FIRST_DONE);
    assert_eq!(saradc.read(SAR1_DATA), 4 << 13 | 1_234);
    saradc.write(INT_CLR, INT_FIRST_DONE, 1_500);
    assert!(!saradc.interrupt());
    // A start bit that stays set starts nothing.
    saradc.write(ONETIME_SAMPLE, sample | ONETIME_START, 1_500);
    assert_eq!(saradc.next_event(), None);
    saradc.write(ONETIME_SAMPLE, ONETIME_SECOND, 1_600);
    saradc.write(ONETIME_SAMPLE, ONETIME_SECOND | ONETIME_START, 1_700);
    saradc.advance(3_000, &mut dma, &mut memory);
    assert_eq!(saradc.read(INT_RAW), INT_SECOND_DONE);
    assert_eq!(saradc.read(SAR2_DATA), 1 << 16);
}

#[test]
fn reset_puts_registers_back_and_keeps_the_load() {
    let mut chip = Chip::new(400);
    chip.start(0);
    chip.run_until(80_000_000);
    chip.saradc.reset();
    assert_eq!(chip.saradc.next_event(), None);
    assert_eq!(
        (chip.saradc.read(CTRL), chip.saradc.read(CLKM_CONF)),
        (0x4003_8240, 0x04)
    );
    assert_eq!(chip.saradc.feed().begins().len(), 1);
    // The offset counts from the first conversion, at 250 µs.
    assert_eq!(chip.saradc.feed().position_us(160_000_000), 999_750);
}
