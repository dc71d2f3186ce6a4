//! LEB128 variable-length integers, and zigzag for signed ones.

/// Appends `value` at `*at`; `None` where the buffer ends.
pub fn write(buffer: &mut [u8], at: &mut usize, mut value: u64) -> Option<()> {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        *buffer.get_mut(*at)? = if value == 0 { low } else { low | 0x80 };
        *at += 1;
        if value == 0 {
            return Some(());
        }
    }
}

/// Appends a signed `value` at `*at`, small magnitudes short.
pub fn write_signed(buffer: &mut [u8], at: &mut usize, value: i64) -> Option<()> {
    write(buffer, at, ((value << 1) ^ (value >> 63)) as u64)
}

/// Reads the value at `*at`; `None` where the bytes end, overflow 64 bits, or are longer than they need be.
pub fn read(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        let low = u64::from(byte & 0x7f);
        if shift == 63 && low > 1 {
            return None;
        }
        value |= low << shift;
        if byte & 0x80 == 0 {
            // One value has one encoding, so that equal readings have equal bytes.
            return (shift == 0 || low != 0).then_some(value);
        }
    }
    None
}

/// Reads a signed value at `*at`.
pub fn read_signed(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let raw = read(bytes, at)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_value_comes_back(value: i64) {
            let mut buffer = [0; 10];
            let mut end = 0;
            write_signed(&mut buffer, &mut end, value).unwrap();
            let mut at = 0;
            prop_assert_eq!(read_signed(&buffer[..end], &mut at), Some(value));
            prop_assert_eq!(at, end);
        }
    }

    #[test]
    fn overlong_overflowing_and_cut_values_are_refused() {
        for bytes in [&[0x80, 0x00][..], &[0xff; 10], &[0x80], &[]] {
            assert_eq!(read(bytes, &mut 0), None, "{bytes:?}");
        }
    }
}
