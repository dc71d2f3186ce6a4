//! Stores to watched memory.

use super::*;

const TSELECT: u32 = 0x7a0;
const TDATA1: u32 = 0x7a1;
const TDATA2: u32 = 0x7a2;
const TCONTROL: u32 = 0x7a5;
/// Stores in machine mode, to a range.
const STORES: u32 = 1 << 7 | 1 << 6 | 1 << 1;
const ENABLED: u32 = 1 << 3;
const ENABLED_BEFORE: u32 = 1 << 7;
const GUARD: u32 = COUNTER + 0x40;
const CAUSE: u32 = COUNTER + 0x100;
const VALUE: u32 = COUNTER + 0x104;
const AT: u32 = COUNTER + 0x108;
const CONTROL: u32 = COUNTER + 0x10c;
const TRIGGER: u32 = COUNTER + 0x110;

fn csr(program: Program, number: u32, value: u32) -> Program {
    program.set(T2, value).then(&[csrw(number, T2)])
}

/// Keeps a control and status register in memory.
fn keep(program: Program, number: u32, address: u32) -> Program {
    let program = program.then(&[i(opcode::SYSTEM, 2, T2, 0, number)]);
    program.set(T0, address).then(&[s(2, T0, T2, 0)])
}

/// Watches the four bytes at [`GUARD`] with trigger 1, then does something, then sleeps. The handler keeps what it is told,
/// writes to the guard itself and sleeps too.
fn guarded(work: impl FnOnce(Program) -> Program) -> Machine {
    let program = Program::new().poke(GUARD, 7);
    let program = csr(program, 0x305, 0x4000_0400);
    let program = csr(program, TSELECT, 1);
    let program = csr(program, TCONTROL, ENABLED);
    let program = csr(program, TDATA1, STORES);
    let program = csr(program, TDATA2, GUARD | 1);
    let handler = sleep(work(program)).at(0x400);
    let handler = keep(handler, 0x342, CAUSE);
    let handler = keep(handler, 0x343, VALUE);
    let handler = keep(handler, 0x341, AT);
    let handler = keep(handler, TCONTROL, CONTROL);
    let handler = keep(handler, TDATA1, TRIGGER);
    let mut machine = sleep(handler.count(GUARD)).machine();
    assert_eq!(machine.run_until(CLOCK_HZ), Stop::Idle);
    machine
}

#[test]
fn store_to_a_watched_word_is_a_breakpoint_and_does_not_happen() {
    // A word, a half and a byte of it; a word that reaches into it.
    for (width, offset) in [(2, 0), (1, 2), (0, 3), (2, 0xffd)] {
        let mut store_at = 0;
        let mut machine = guarded(|program| {
            let program = program.set(T0, GUARD).set(T1, 0x0909_0909);
            store_at = 0x4000_0000 + 4 * program.words.len() as u32;
            program.then(&[s(width, T0, T1, offset)])
        });
        let address = GUARD.wrapping_add((offset << 20).cast_signed().wrapping_shr(20) as u32);
        assert_eq!(machine.load32(CAUSE), Some(3));
        assert_eq!(machine.load32(VALUE), Some(address));
        assert_eq!(machine.load32(AT), Some(store_at));
        // The handler is not watched: it added 1 to what the program had left.
        assert_eq!(machine.load32(GUARD), Some(8));
        assert_eq!(machine.load32(CONTROL), Some(ENABLED_BEFORE));
        assert_eq!(machine.load32(TRIGGER), Some(2 << 28 | 1 << 20 | STORES));
        assert_eq!(machine.last_trap(), Some((store_at, Trap::Breakpoint)));
    }
}

#[test]
fn stores_beside_a_watched_word_happen() {
    let mut machine = guarded(|program| {
        let program = program.set(T0, GUARD).set(T1, 0x0909_0909);
        program.then(&[
            s(2, T0, T1, 0xffc),
            s(0, T0, T1, 0xfff),
            s(1, T0, T1, 4),
            s(0, T0, T1, 6),
        ])
    });
    assert_eq!(machine.load32(GUARD - 4), Some(0x0909_0909));
    assert_eq!(machine.load32(GUARD), Some(7));
    assert_eq!(machine.load32(GUARD + 4), Some(0x0009_0909));
    assert_eq!(machine.last_trap(), None);
}

#[test]
fn triggers_act_only_where_they_are_enabled() {
    for (number, value) in [
        (TCONTROL, 0),
        (TCONTROL, ENABLED_BEFORE),
        (TDATA1, STORES & !(1 << 6)),
        (TDATA1, STORES & !(1 << 1)),
        (TDATA2, COUNTER | 1),
    ] {
        let mut machine = guarded(|program| csr(program, number, value).poke(GUARD, 9));
        assert_eq!(machine.load32(GUARD), Some(9), "{number:#x} {value:#x}");
        assert_eq!(machine.last_trap(), None);
    }
}

/// Who enables triggers within a trap finds them disabled after it, unless it says that they were enabled before.
#[test]
fn return_from_a_trap_takes_the_enable_of_before() {
    for (written, is_watched) in [
        (None, true),
        (Some(ENABLED), false),
        (Some(ENABLED | ENABLED_BEFORE), true),
    ] {
        let program = csr(Program::new(), 0x305, 0x4000_0400);
        let program = csr(program, TCONTROL, ENABLED);
        let program = csr(program, TDATA1, STORES);
        let program = csr(program, TDATA2, GUARD | 1);
        const ECALL: u32 = 0x0000_0073;
        let program = sleep(program.then(&[ECALL]).poke(GUARD, 9)).at(0x400);
        // The first trap is the call, the second one the breakpoint.
        let handler =
            program
                .count(COUNTER)
                .then(&[i(opcode::OP_IMM, 0, T0, 0, 2), b(1, T0, T1, 8), WFI]);
        let handler = match written {
            Some(value) => csr(handler, TCONTROL, value),
            None => handler,
        };
        let handler = handler.then(&[
            i(opcode::SYSTEM, 2, T2, 0, 0x341),
            i(opcode::OP_IMM, 0, T2, T2, 4),
            csrw(0x341, T2),
            MRET,
        ]);
        let mut machine = handler.machine();
        assert_eq!(machine.run_until(CLOCK_HZ), Stop::Idle);
        let traps = if is_watched { 2 } else { 1 };
        assert_eq!(machine.load32(COUNTER), Some(traps), "{written:?}");
        assert_eq!(machine.load32(GUARD), Some(if is_watched { 0 } else { 9 }));
    }
}
