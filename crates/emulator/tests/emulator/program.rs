//! ELF files.

use emulator::{Bus, Cpu, ElfError, Program, Ram, Trap};

const BASE: u32 = 0x4038_0000;
const HEADER_BYTES: usize = 52;
const SEGMENT_HEADER_BYTES: usize = 32;
const CODE_AT: usize = HEADER_BYTES + 2 * SEGMENT_HEADER_BYTES;
/// lui a1, 0x40381; lw a0, 0(a1); lw a2, 4(a1); ecall
const CODE: [u32; 4] = [0x4038_15b7, 0x0005_a503, 0x0045_a603, 0x0000_0073];
const DATA: u32 = 0x8877_6655;

/// Returns a program of two segments: code, and a word of data with a word of zeroes after it.
fn file() -> Vec<u8> {
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    // Executable, RISC-V, version, entry, program headers, no section headers, flags.
    for half in [2_u16, 243] {
        file.extend(half.to_le_bytes());
    }
    for word in [1, BASE, HEADER_BYTES as u32, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    for half in [HEADER_BYTES, SEGMENT_HEADER_BYTES, 2, 40, 0, 0] {
        file.extend((half as u16).to_le_bytes());
    }
    let data_at = CODE_AT + 4 * CODE.len();
    // Kind, offset, virtual and physical address, bytes in the file and in memory, flags, alignment.
    let segments = [
        [1, CODE_AT as u32, BASE, BASE, 16, 16, 5, 4],
        [1, data_at as u32, BASE + 0x1000, 0, 4, 8, 6, 4],
    ];
    for word in segments.as_flattened().iter().chain(&CODE).chain(&[DATA]) {
        file.extend(word.to_le_bytes());
    }
    file
}

/// Returns the file with the half word at `offset` replaced.
fn with_half(offset: usize, half: u16) -> Vec<u8> {
    let mut file = file();
    file[offset..offset + 2].copy_from_slice(&half.to_le_bytes());
    file
}

#[test]
fn program_is_loaded_and_runs() {
    let file = file();
    let program = Program::parse(&file).unwrap();
    let mut ram = Ram::new(BASE, 0x2000);
    // What the program wants to be zero is made so.
    ram.store32(BASE + 0x1004, u32::MAX).unwrap();
    program.load(&mut ram).unwrap();
    let mut cpu = Cpu::new(program.entry());
    assert_eq!(cpu.run(&mut ram, 10), Err(Trap::EnvironmentCall));
    assert_eq!(
        (cpu.register(10), cpu.register(12), cpu.retired()),
        (DATA, 0, 3)
    );
}

#[test]
fn program_must_fit_into_memory() {
    let file = file();
    let mut ram = Ram::new(BASE, 0x1006);
    let error = Program::parse(&file).unwrap().load(&mut ram).unwrap_err();
    let ElfError::NoMemory { address } = error else {
        panic!("{error}")
    };
    assert_eq!(address, BASE + 0x1006);
}

#[test]
fn other_files_are_refused() {
    assert!(matches!(
        Program::parse(b"#!/bin/sh"),
        Err(ElfError::Malformed(_))
    ));
    // 64 bits; big-endian; for x86; position-independent; with an interpreter.
    assert!(matches!(
        Program::parse(&with_half(4, 0x0102)),
        Err(ElfError::Malformed(_))
    ));
    for wrong in [with_half(4, 0x0201), with_half(18, 62)] {
        assert!(matches!(
            Program::parse(&wrong),
            Err(ElfError::WrongMachine)
        ));
    }
    for dynamic in [
        with_half(16, 3),
        with_half(HEADER_BYTES + SEGMENT_HEADER_BYTES, 3),
    ] {
        assert!(matches!(Program::parse(&dynamic), Err(ElfError::NotStatic)));
    }
}

#[test]
fn no_shortened_file_is_taken_for_a_program() {
    let file = file();
    for length in 0..file.len() {
        assert!(Program::parse(&file[..length]).is_err(), "{length} bytes");
    }
}
