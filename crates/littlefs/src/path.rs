//! Paths as the engine takes them: ended by a NUL byte.

use crate::Error;

/// Bytes of a path at the most.
pub const PATH_BYTES_MAX: usize = 127;

/// A path, its names separated by slashes.
#[derive(Clone, Copy)]
pub(crate) struct Path {
    bytes: [u8; PATH_BYTES_MAX + 1],
    length: usize,
}

impl Path {
    pub(crate) fn new(path: &str) -> Result<Self, Error> {
        let path = path.as_bytes();
        if path.contains(&0) {
            return Err(Error::BadPath);
        }
        if path.len() > PATH_BYTES_MAX {
            return Err(Error::TooLong);
        }
        let mut bytes = [0; PATH_BYTES_MAX + 1];
        bytes[..path.len()].copy_from_slice(path);
        let length = path.len();
        Ok(Self { bytes, length })
    }

    /// Returns the path with the NUL byte that ends it.
    pub(crate) fn terminated(&self) -> &[u8] {
        &self.bytes[..=self.length]
    }

    /// Splits the last name off; what is before it is the root where nothing else is.
    ///
    /// # Errors
    /// [`Error::BadPath`] where there is no name.
    pub(crate) fn split(&self) -> Result<(Self, &[u8]), Error> {
        let path = &self.bytes[..self.length];
        let at = path.iter().rposition(|&byte| byte == b'/');
        let name = &path[at.map_or(0, |at| at + 1)..];
        if matches!(name, b"" | b"." | b"..") {
            return Err(Error::BadPath);
        }
        let mut parent = *self;
        let length = at.unwrap_or(0).max(1);
        parent.bytes[length..].fill(0);
        parent.bytes[0] = if at.unwrap_or(0) == 0 {
            b'/'
        } else {
            parent.bytes[0]
        };
        parent.length = length;
        Ok((parent, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_splits_into_parent_and_name() {
        for (path, parent, name) in [
            ("/segments/0123", &b"/segments\0"[..], &b"0123"[..]),
            ("segments/0123", b"segments\0", b"0123"),
            ("/settings", b"/\0", b"settings"),
            ("settings", b"/\0", b"settings"),
        ] {
            let path = Path::new(path).unwrap();
            let (before, last) = path.split().unwrap();
            assert_eq!((before.terminated(), last), (parent, name));
        }
        for path in ["", "/", "/a/", "/a/..", "."] {
            assert_eq!(Path::new(path).unwrap().split().err(), Some(Error::BadPath));
        }
    }

    #[test]
    fn long_path_and_nul_are_refused() {
        let long = [b'a'; PATH_BYTES_MAX + 1];
        let long = core::str::from_utf8(&long).unwrap();
        assert_eq!(Path::new(long).err(), Some(Error::TooLong));
        assert!(Path::new(&long[1..]).is_ok());
        assert_eq!(Path::new("a\0b").err(), Some(Error::BadPath));
    }
}
