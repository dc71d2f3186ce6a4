//! Request line and headers, judged byte for byte while they come.
//!
//! What passes here is short, well formed and says how long its body is: picoserve, which comes behind, sees no other
//! heads, and no byte of a head that is refused is kept.

use heapless::Vec;

use super::{HEADER_BYTES_MAX, LINE_BYTES_MAX, answer::Failure};

/// What is kept of a line to judge it by: headers that matter are shorter.
const KEPT_BYTES: usize = 48;
/// Digits of a length: more than any body that a meter takes has.
const LENGTH_DIGITS_MAX: usize = 9;

/// Where in a head the next byte belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Method,
    Path,
    Protocol,
    Header,
}

/// A head as far as it came.
pub(super) struct HeadScan {
    part: Part,
    line_bytes: usize,
    header_bytes: usize,
    /// The byte before was a carriage return: a line feed is due.
    is_line_ending: bool,
    /// The beginning of the line, or of the last word of the request line.
    kept: Vec<u8, KEPT_BYTES>,
    body_bytes: Option<usize>,
}

impl HeadScan {
    pub(super) const fn new() -> Self {
        Self {
            part: Part::Method,
            line_bytes: 0,
            header_bytes: 0,
            is_line_ending: false,
            kept: Vec::new(),
            body_bytes: None,
        }
    }

    /// Takes a byte; returns the length of the body behind the last byte of the head.
    ///
    /// # Errors
    /// 400 for what is no HTTP, 414 and 431 for what is too long, 411 and 413 for a body of no stated or an absurd length.
    pub(super) fn take(&mut self, byte: u8) -> Result<Option<usize>, Failure> {
        if self.part == Part::Header {
            self.header_bytes += 1;
            if self.header_bytes > HEADER_BYTES_MAX {
                return Err(Failure::new(
                    431,
                    "headers_too_large",
                    "the headers are over 2048 bytes",
                ));
            }
        }
        match (self.is_line_ending, byte) {
            (true, b'\n') => self.end_line(),
            (true, _) | (false, b'\n') => Err(MALFORMED),
            (false, b'\r') => {
                self.is_line_ending = true;
                Ok(None)
            }
            (false, byte) => self.within_line(byte).map(|()| None),
        }
    }

    fn within_line(&mut self, byte: u8) -> Result<(), Failure> {
        self.line_bytes += 1;
        if self.part == Part::Header {
            let is_folded = self.line_bytes == 1 && matches!(byte, b' ' | b'\t');
            if is_folded || (byte < b' ' && byte != b'\t') || byte == 0x7f {
                return Err(MALFORMED);
            }
        } else {
            if self.line_bytes > LINE_BYTES_MAX {
                return Err(Failure::new(
                    414,
                    "path_too_long",
                    "the request line is over 512 bytes",
                ));
            }
            if byte == b' ' {
                return self.end_word();
            }
            if !byte.is_ascii_graphic() {
                return Err(MALFORMED);
            }
        }
        // What does not fit is no word or header that matters, and its length shows that it does not.
        let _ = self.kept.push(byte);
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), Failure> {
        self.part = match self.part {
            Part::Method if !self.kept.is_empty() => Part::Path,
            Part::Path if self.kept.starts_with(b"/") => Part::Protocol,
            _ => return Err(MALFORMED),
        };
        self.kept.clear();
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<usize>, Failure> {
        if self.part == Part::Protocol {
            if !matches!(&self.kept[..], b"HTTP/1.1" | b"HTTP/1.0") {
                return Err(MALFORMED);
            }
            self.part = Part::Header;
        } else if self.part != Part::Header {
            return Err(MALFORMED);
        } else if self.line_bytes == 0 {
            return Ok(Some(self.body_bytes.unwrap_or(0)));
        } else {
            self.judge_header()?;
        }
        self.is_line_ending = false;
        self.line_bytes = 0;
        self.kept.clear();
        Ok(None)
    }

    fn judge_header(&mut self) -> Result<(), Failure> {
        let is_whole = self.line_bytes <= self.kept.len();
        let Some(colon) = self.kept.iter().position(|byte| *byte == b':') else {
            return Err(MALFORMED);
        };
        let (name, value) = (&self.kept[..colon], &self.kept[colon + 1..]);
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return Err(MALFORMED);
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(Failure::new(
                411,
                "length_required",
                "a body comes whole and with a Content-Length",
            ));
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits = value.trim_ascii();
            let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            // Two lengths, also equal ones, are one too many.
            if !is_number || !is_whole || self.body_bytes.is_some() {
                return Err(MALFORMED);
            }
            if digits.len() > LENGTH_DIGITS_MAX {
                return Err(Failure::new(
                    413,
                    "too_large",
                    "the body is longer than any that this meter takes",
                ));
            }
            let add = |sum, digit: &u8| sum * 10 + usize::from(digit - b'0');
            self.body_bytes = Some(digits.iter().fold(0, add));
        }
        Ok(())
    }
}

const MALFORMED: Failure = Failure::new(
    400,
    "bad_request",
    "the request is no HTTP that a meter understands",
);

#[cfg(test)]
mod tests {
    use alloc::{format, string::String};

    use super::*;

    /// Returns the length of the body, or the status of the refusal; `None` where the head has no end.
    fn judged(head: &str) -> Option<Result<usize, u16>> {
        let mut scan = HeadScan::new();
        let mut found = None;
        for (at, byte) in head.bytes().enumerate() {
            match scan.take(byte) {
                Ok(None) => {}
                Ok(Some(bytes)) => {
                    assert_eq!(at + 1, head.len(), "the head ends early");
                    found = Some(Ok(bytes));
                }
                Err(failure) => return Some(Err(failure.status())),
            }
        }
        found
    }

    fn with(headers: &str) -> Option<Result<usize, u16>> {
        judged(&format!("GET / HTTP/1.1\r\n{headers}\r\n"))
    }

    #[test]
    fn a_head_tells_how_long_its_body_is() {
        assert_eq!(with(""), Some(Ok(0)));
        assert_eq!(with("Host: a:80\r\nX: \u{e4}\t;\r\n"), Some(Ok(0)));
        assert_eq!(with("content-LENGTH:   0042  \r\nA:b\r\n"), Some(Ok(42)));
        assert_eq!(judged("GET / HTTP/1.1\r\nHost: a\r\n"), None);
    }

    #[test]
    fn what_is_no_http_is_refused() {
        for head in [
            "\r\n",
            "\0\0\0\r\n\r\n",
            "GET\r\n\r\n",
            "GET /\r\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            " GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1 \r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET / HTTP/1.11\r\n\r\n",
            "GET / HTTP/1.1\n\n",
            "GET / HTTP/1.1\rX\n\r\n",
            "GET nothing HTTP/1.1\r\n\r\n",
            "GET /\u{e4} HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(judged(head), Some(Err(400)), "{head:?}");
        }
        for header in [
            "no colon\r\n",
            ": nothing\r\n",
            "two words: 1\r\n",
            "Host : a\r\n",
            " folded: 1\r\n",
            "A: \0\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 1 2\r\n",
            "Content-Length:\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1,1\r\n",
            "Content-Length:                                         7\r\n",
        ] {
            assert_eq!(with(header), Some(Err(400)), "{header:?}");
        }
    }

    #[test]
    fn bodies_without_an_end_are_refused() {
        assert_eq!(with("Transfer-Encoding: chunked\r\n"), Some(Err(411)));
        let absurd = with("Content-Length: 18446744073709551615\r\n");
        assert_eq!(absurd, Some(Err(413)));
    }

    #[test]
    fn lines_and_headers_are_as_long_as_they_may_be_and_no_longer() {
        let line = |bytes: usize| {
            let path: String = "x".repeat(bytes - "GET / HTTP/1.1".len());
            judged(&format!("GET /{path} HTTP/1.1\r\n\r\n"))
        };
        assert_eq!(line(LINE_BYTES_MAX), Some(Ok(0)));
        assert_eq!(line(LINE_BYTES_MAX + 1), Some(Err(414)));
        let headers = |bytes: usize| {
            let value = "x".repeat(bytes - "A:\r\n\r\n".len());
            with(&format!("A:{value}\r\n"))
        };
        assert_eq!(headers(HEADER_BYTES_MAX), Some(Ok(0)));
        assert_eq!(headers(HEADER_BYTES_MAX + 1), Some(Err(431)));
    }
}
