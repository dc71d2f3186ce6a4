use super::*;
use crate::memory::Ram;

const BASE: u32 = 0x3fc8_0000;
const CH1: u32 = CHANNELS_FROM + CHANNEL_BYTES;
const RAW: u32 = INTERRUPT_BYTES;
const OWNED: u32 = 1 << 31;

/// Descriptors of 8 bytes each from the base on, 16 bytes apart; buffers from 0x100 on.
fn listed(count: u32, circular: bool) -> Ram {
    let mut memory = Ram::new(BASE, 0x400);
    for index in 0..count {
        let at = BASE + 16 * index;
        let last = index + 1 == count;
        memory.store32(at, OWNED | 8).unwrap();
        memory.store32(at + 4, BASE + 0x100 + 8 * index).unwrap();
        let next = match (last, circular) {
            (false, _) => at + 16,
            (true, true) => BASE,
            (true, false) => 0,
        };
        memory.store32(at + 8, next).unwrap();
    }
    memory
}

fn started(memory: &mut Ram) -> Gdma {
    let mut dma = Gdma::new();
    dma.write(CH1 + 0x30, PERIPHERAL_ADC, memory);
    dma.write(CH1 + 0x04, CONF1_CHECK_OWNER, memory);
    dma.write(CH1 + 0x10, BASE & LINK_ADDRESS | LINK_START, memory);
    dma
}

fn word(memory: &mut Ram, offset: u32) -> u32 {
    memory.load32(BASE + offset).unwrap()
}

#[test]
fn words_fill_descriptor_after_descriptor() {
    let mut memory = listed(3, true);
    let mut dma = started(&mut memory);
    assert_eq!(dma.read(CH1 + 0x10), BASE & LINK_ADDRESS);
    for value in 1..=3 {
        dma.receive(PERIPHERAL_ADC, value, false, &mut memory);
    }
    assert_eq!(word(&mut memory, 0), 8 | 8 << 12);
    assert_eq!(word(&mut memory, 16), OWNED | 8);
    let values: Vec<_> = (0..4)
        .map(|index| word(&mut memory, 0x100 + 4 * index))
        .collect();
    assert_eq!(values, [1, 2, 3, 0]);
    assert_eq!(dma.read(RAW), DONE);
    assert_eq!(
        (dma.read(CH1 + 0x20), dma.read(CH1 + 0x24)),
        (BASE + 16, BASE)
    );
}

#[test]
fn end_of_frame_closes_a_descriptor_early() {
    let mut memory = listed(2, true);
    let mut dma = started(&mut memory);
    dma.receive(PERIPHERAL_ADC, 7, true, &mut memory);
    assert_eq!(word(&mut memory, 0), 8 | 4 << 12 | 1 << 30);
    assert_eq!(dma.read(RAW), DONE | SUC_EOF);
    assert_eq!(dma.read(CH1 + 0x18), BASE);
    dma.receive(PERIPHERAL_ADC, 8, false, &mut memory);
    dma.receive(PERIPHERAL_ADC, 9, true, &mut memory);
    assert_eq!(word(&mut memory, 16), 8 | 8 << 12 | 1 << 30);
    assert_eq!(dma.read(CH1 + 0x18), BASE + 16);
    // Around the circle; the first was not given back to the DMA.
    assert_eq!(dma.read(RAW), DONE | SUC_EOF | DSCR_ERR);
}

#[test]
fn descriptor_of_the_firmware_stops_the_channel_until_it_is_started_anew() {
    let mut memory = listed(2, true);
    let mut dma = started(&mut memory);
    for value in 0..4 {
        dma.receive(PERIPHERAL_ADC, value, false, &mut memory);
    }
    assert_eq!(dma.read(RAW), DONE | DSCR_ERR);
    dma.receive(PERIPHERAL_ADC, 99, false, &mut memory);
    assert_eq!(
        (dma.read(RAW), dma.lost()),
        (DONE | DSCR_ERR | FIFO_OVERFLOW, 1)
    );
    // Owner bits alone and a restart do not help.
    for offset in [0, 16] {
        memory.store32(BASE + offset, OWNED | 8).unwrap();
    }
    dma.write(CH1 + 0x10, BASE & LINK_ADDRESS | LINK_RESTART, &mut memory);
    dma.receive(PERIPHERAL_ADC, 98, false, &mut memory);
    assert_eq!(dma.lost(), 2);
    assert_eq!(word(&mut memory, 0x100), 0);
    dma.write(CH1, CONF0_RESET, &mut memory);
    dma.write(CH1, 0, &mut memory);
    dma.write(RAW + 0xc, INTERRUPTS, &mut memory);
    dma.write(CH1 + 0x10, BASE & LINK_ADDRESS | LINK_START, &mut memory);
    dma.receive(PERIPHERAL_ADC, 97, false, &mut memory);
    assert_eq!((word(&mut memory, 0x100), dma.read(RAW)), (97, 0));
}

#[test]
fn without_the_check_descriptors_are_used_again() {
    let mut memory = listed(2, true);
    let mut dma = started(&mut memory);
    dma.write(CH1 + 0x04, 0, &mut memory);
    for value in 1..=6 {
        dma.receive(PERIPHERAL_ADC, value, false, &mut memory);
    }
    let values: Vec<_> = (0..4)
        .map(|index| word(&mut memory, 0x100 + 4 * index))
        .collect();
    assert_eq!(values, [5, 6, 3, 4]);
    assert_eq!((dma.read(RAW), dma.lost()), (DONE, 0));
}

#[test]
fn list_that_ends_says_so_with_the_next_word_and_goes_on_after_a_restart() {
    let mut memory = listed(1, false);
    let mut dma = started(&mut memory);
    dma.receive(PERIPHERAL_ADC, 1, false, &mut memory);
    dma.receive(PERIPHERAL_ADC, 2, false, &mut memory);
    assert_eq!(dma.read(RAW), DONE);
    assert_eq!(dma.read(CH1 + 0x10) & LINK_PARK, LINK_PARK);
    dma.receive(PERIPHERAL_ADC, 3, false, &mut memory);
    assert_eq!(
        (dma.read(RAW), dma.lost()),
        (DONE | DSCR_EMPTY | FIFO_OVERFLOW, 1)
    );
    // A second descriptor behind the first.
    memory.store32(BASE + 0x40, OWNED | 8).unwrap();
    memory.store32(BASE + 0x44, BASE + 0x200).unwrap();
    memory.store32(BASE + 8, BASE + 0x40).unwrap();
    dma.write(CH1 + 0x10, BASE & LINK_ADDRESS | LINK_RESTART, &mut memory);
    dma.receive(PERIPHERAL_ADC, 4, false, &mut memory);
    assert_eq!(word(&mut memory, 0x200), 4);
    // And one behind it, while it is being filled.
    memory.store32(BASE + 0x60, OWNED | 4).unwrap();
    memory.store32(BASE + 0x64, BASE + 0x300).unwrap();
    memory.store32(BASE + 0x48, BASE + 0x60).unwrap();
    dma.write(CH1 + 0x10, BASE & LINK_ADDRESS | LINK_RESTART, &mut memory);
    dma.receive(PERIPHERAL_ADC, 5, false, &mut memory);
    dma.receive(PERIPHERAL_ADC, 6, false, &mut memory);
    assert_eq!((word(&mut memory, 0x300), dma.lost()), (6, 1));
}

#[test]
fn descriptors_that_cannot_be_used_are_errors() {
    // Outside memory, not aligned, without a buffer, without a size, of the firmware.
    let broken: [&dyn Fn(&mut Ram) -> u32; 5] = [
        &|_| BASE + 0x400,
        &|_| BASE + 2,
        &|memory| memory.store32(BASE + 4, 0).map(|()| BASE).unwrap(),
        &|memory| memory.store32(BASE, OWNED).map(|()| BASE).unwrap(),
        &|memory| memory.store32(BASE, 8).map(|()| BASE).unwrap(),
    ];
    for (index, breaks) in broken.into_iter().enumerate() {
        let mut memory = listed(1, true);
        let mut dma = started(&mut memory);
        assert_eq!(dma.read(RAW), 0);
        let address = breaks(&mut memory);
        dma.write(CH1 + 0x10, address & LINK_ADDRESS | LINK_START, &mut memory);
        assert_eq!(dma.read(RAW), DSCR_ERR, "{index}");
    }
    // A buffer outside memory shows with the first byte.
    let mut memory = listed(1, true);
    memory.store32(BASE + 4, 0x10).unwrap();
    let mut dma = started(&mut memory);
    dma.receive(PERIPHERAL_ADC, 1, false, &mut memory);
    assert_eq!((dma.read(RAW), dma.lost()), (DSCR_ERR, 1));
}

#[test]
fn only_enabled_interrupts_of_connected_channels_show() {
    let mut memory = listed(2, true);
    let mut dma = started(&mut memory);
    dma.receive(0, 5, true, &mut memory);
    assert_eq!(dma.read(RAW), 0);
    dma.receive(PERIPHERAL_ADC, 5, true, &mut memory);
    assert_eq!(dma.interrupts(), [false; 3]);
    dma.write(RAW + 0x8, SUC_EOF, &mut memory);
    assert_eq!(dma.interrupts(), [false, true, false]);
    assert_eq!(dma.read(RAW + 0x4), SUC_EOF);
    dma.write(RAW + 0xc, SUC_EOF, &mut memory);
    assert_eq!(dma.interrupts(), [false; 3]);
    assert_eq!(dma.read(RAW), DONE);
}

#[test]
fn stopped_channel_wants_nothing() {
    let mut memory = listed(2, true);
    let mut dma = started(&mut memory);
    dma.write(CH1 + 0x10, BASE & LINK_ADDRESS | LINK_STOP, &mut memory);
    dma.receive(PERIPHERAL_ADC, 5, false, &mut memory);
    assert_eq!(
        (dma.read(RAW), dma.lost(), word(&mut memory, 0x100)),
        (0, 0, 0)
    );
}

#[test]
fn other_registers_keep_what_is_written() {
    let mut memory = listed(1, true);
    let mut dma = Gdma::new();
    assert_eq!(
        (dma.read(0x70 + 0x10), dma.read(0x70 + 0x30)),
        (0x0110_0000, 0x3f)
    );
    assert_eq!(
        (dma.read(0x70 + 0x70), dma.read(0x70 + 0x90)),
        (0x0080_0000, 0x3f)
    );
    dma.write(0x44, 8, &mut memory);
    dma.write(0x70 + 0x90, 6, &mut memory);
    assert_eq!((dma.read(0x44), dma.read(0x70 + 0x90)), (8, 6));
    assert_eq!((dma.read(0x70 + 0xa0), dma.read(0x300)), (0, 0));
}
