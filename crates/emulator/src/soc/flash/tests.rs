use nor_model::Torn;

use super::*;

const WREN: u32 = 1 << 30;
const RDSR: u32 = 1 << 27;
const PP: u32 = 1 << 25;
const SE: u32 = 1 << 24;

fn flash() -> Flash {
    Flash::new(Nor::new(0x40_0000), Latency::default())
}

fn status(flash: &mut Flash, now: u64) -> u32 {
    flash.write(COMMAND, RDSR, now);
    flash.read(STATUS, now)
}

fn program(flash: &mut Flash, place: u32, word: u32, now: u64) {
    flash.write(COMMAND, WREN, now);
    flash.write(ADDRESS, 4 << 24 | place, now);
    flash.write(DATA, word, now);
    flash.write(COMMAND, PP, now);
}

#[test]
fn chip_tells_its_size() {
    let mut flash = flash();
    flash.write(COMMAND, 1 << 28, 0);
    assert_eq!(flash.read(DATA, 0), 0x0016_40ef);
}

#[test]
fn programs_clear_bits_and_keep_the_chip_busy() {
    let mut flash = flash();
    program(&mut flash, 0x1000, 0x1234_ffff, 0);
    assert_eq!(flash.bytes()[0x1000..0x1004], [0xff, 0xff, 0x34, 0x12]);
    assert_eq!(status(&mut flash, 10), 1);
    // 30 and 3 times 2.5 us.
    let end = 160 * 75 / 2;
    assert_eq!(flash.next_event(10), Some(end));
    // A busy chip takes no command.
    program(&mut flash, 0x1000, 0, end - 1);
    assert_eq!(flash.bytes()[0x1003], 0x12);
    program(&mut flash, 0x1000, 0x0f0f_00ff, end);
    assert_eq!(flash.bytes()[0x1000..0x1004], [0xff, 0x00, 0x04, 0x02]);
    assert_eq!(flash.nor().counters().programs, 2);
}

#[test]
fn erase_needs_permission_each_time() {
    let mut flash = flash();
    program(&mut flash, 0x2000, 0, 0);
    let now = 1_000_000_000;
    flash.write(ADDRESS, 0x2abc, now);
    assert_eq!(flash.write(COMMAND, SE, now), None);
    flash.write(COMMAND, WREN, now);
    assert_eq!(status(&mut flash, now), 2);
    assert_eq!(flash.write(COMMAND, SE, now), Some(0x2000..0x3000));
    assert_eq!(status(&mut flash, now), 1);
    assert_eq!(flash.next_event(now), Some(now + 7_200_000));
    assert_eq!(flash.bytes()[0x2000], 0xff);
}

#[test]
fn cut_takes_the_power_until_it_is_switched_on() {
    let mut flash = flash();
    flash.nor_mut().cut_at(1, Torn::Complete, 0);
    program(&mut flash, 0, 1, 0);
    program(&mut flash, 4, 2, 1_000_000);
    assert!(!flash.is_powered());
    flash.power_on();
    assert_eq!(flash.bytes()[..8], [1, 0, 0, 0, 2, 0, 0, 0]);
}

#[test]
fn page_wraps_within_itself() {
    let mut flash = flash();
    flash.write(COMMAND, WREN, 0);
    flash.write(ADDRESS, 8 << 24 | 0x1fc, 0);
    flash.write(DATA, 0x0101_0101, 0);
    flash.write(DATA + 4, 0x0202_0202, 0);
    flash.write(COMMAND, PP, 0);
    assert_eq!((flash.bytes()[0x1fc], flash.bytes()[0x100]), (1, 2));
    assert_eq!(flash.bytes()[0x200], 0xff);
}

#[test]
fn user_command_reads_what_lies_there() {
    let mut flash = flash();
    program(&mut flash, 0x10, 0xdead_beef, 0);
    let now = 1_000_000;
    flash.write(USER, 1 << 31 | 1 << 30 | 1 << 28, now);
    flash.write(USER_1, 23 << 26, now);
    flash.write(USER_2, 7 << 28 | 0x03, now);
    flash.write(IN_BITS, 31, now);
    flash.write(ADDRESS, 0x10, now);
    flash.write(COMMAND, 1 << 18, now);
    assert_ne!(flash.read(COMMAND, now), 0);
    assert_eq!(flash.read(COMMAND, now + 2 * 64), 0);
    assert_eq!(flash.read(DATA, now + 128), 0xdead_beef);
}
