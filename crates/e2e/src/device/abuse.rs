//! What is done to a meter.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::Duration,
};

use anyhow::Result;
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{Outcome, visitor::Visitor};

/// One kind of abuse; it returns the connections that stay open while a good request is sent.
pub(super) struct Abuse {
    pub(super) name: &'static str,
    pub(super) begin: fn(&Visitor<'_>, &mut Outcome) -> Result<Vec<TcpStream>>,
}

const FIFTY: usize = 50;
/// Time between two bytes of a slow client.
const SLOW: Duration = Duration::from_millis(100);
/// Time in which a meter has taken what was sent.
const TAKEN: Duration = Duration::from_millis(100);

const SILENT: &[u8] = b"";
const HALF_HEAD: &[u8] = b"GET /api/v1/info HTTP/1.1\r\nHost: met";
const HALF_BODY: &[u8] = b"POST /api/v1/setup HTTP/1.1\r\nContent-Length: 200\r\n\r\n{\"token\"";
const HALF_UPDATE: &[u8] = b"POST /api/v1/firmware HTTP/1.1\r\nContent-Length: 900000\r\n\r\nOFMF";
const IDLE: &[u8] = b"GET /api/v1/info HTTP/1.1\r\nHost: meter\r\n\r\n";

pub(super) const ABUSES: &[Abuse] = &[
    Abuse {
        name: "silent connections at all places",
        begin: |visitor, outcome| occupy(visitor, outcome, SILENT),
    },
    Abuse {
        name: "half heads at all places",
        begin: |visitor, outcome| occupy(visitor, outcome, HALF_HEAD),
    },
    Abuse {
        name: "half bodies at all places",
        begin: |visitor, outcome| occupy(visitor, outcome, HALF_BODY),
    },
    Abuse {
        name: "half updates at all places",
        begin: |visitor, outcome| occupy(visitor, outcome, HALF_UPDATE),
    },
    Abuse {
        name: "idle connections at all places",
        begin: |visitor, outcome| occupy(visitor, outcome, IDLE),
    },
    Abuse {
        name: "answers that nobody reads",
        begin: |visitor, outcome| occupy(visitor, outcome, &IDLE.repeat(400)),
    },
    Abuse {
        name: "bytes that come slowly",
        begin: slow,
    },
    Abuse {
        name: "half requests, each cut elsewhere",
        begin: cut,
    },
    Abuse {
        name: "requests that are too long or malformed",
        begin: malformed,
    },
    Abuse {
        name: "requests without the token",
        begin: unauthentic,
    },
    Abuse {
        name: "random bytes",
        begin: random,
    },
    Abuse {
        name: "fifty connections that leave at once",
        begin: leaving,
    },
    Abuse {
        name: "fifty requests at once",
        begin: fifty,
    },
];

/// Takes all places; each connection says `word` and stays.
fn occupy(visitor: &Visitor<'_>, outcome: &mut Outcome, word: &[u8]) -> Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    for _ in 0..device::http::CONNECTIONS {
        let mut stream = visitor.connect()?;
        // What the meter does not take stays here: nobody waits for it.
        stream.set_write_timeout(Some(TAKEN))?;
        let _ = stream.write_all(word);
        outcome.bad_requests += 1;
        streams.push(stream);
    }
    thread::sleep(TAKEN);
    Ok(streams)
}

fn slow(visitor: &Visitor<'_>, outcome: &mut Outcome) -> Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    for _ in 0..device::http::CONNECTIONS {
        streams.push(visitor.connect()?);
        outcome.bad_requests += 1;
    }
    let writing = streams
        .iter()
        .map(TcpStream::try_clone)
        .collect::<Result<Vec<_>, _>>()?;
    // They go on while the good request is sent, and end when the meter ends them.
    thread::spawn(move || {
        for byte in IDLE {
            for mut stream in &writing {
                let _ = stream.write_all(&[*byte]);
            }
            thread::sleep(SLOW);
        }
    });
    thread::sleep(5 * SLOW);
    Ok(streams)
}

fn cut(visitor: &Visitor<'_>, outcome: &mut Outcome) -> Result<Vec<TcpStream>> {
    for whole in [IDLE, HALF_BODY, HALF_UPDATE] {
        for cut in (1..whole.len() - 4).step_by(3) {
            // One after the other: here it is about what comes, not how much at once.
            let _ = said(visitor, &whole[..cut])?;
            outcome.bad_requests += 1;
        }
    }
    Ok(Vec::new())
}

/// Sends bytes, says that no more come, and reads the answer; what is refused may be reset.
fn said(visitor: &Visitor<'_>, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = visitor.connect()?;
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Ok(answer)
}

fn malformed(visitor: &Visitor<'_>, outcome: &mut Outcome) -> Result<Vec<TcpStream>> {
    let post = "POST /api/v1/setup HTTP/1.1\r\n";
    let long = |bytes| "x".repeat(bytes);
    for (sent, status) in [
        (format!("GET /{} HTTP/1.1\r\n\r\n", long(600)), 414),
        (format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", long(2_100)), 431),
        (
            format!("{post}Content-Length: 4097\r\n\r\n{}", long(4_097)),
            413,
        ),
        (format!("{post}Content-Length: 99999999999\r\n\r\n"), 413),
        (
            format!("{post}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            411,
        ),
        (format!("{post}Content-Length: 9\r\n\r\n{{}}"), 400),
        (format!("{post}Content-Length: nine\r\n\r\n"), 400),
        (format!("{post}no colon\r\n\r\n"), 400),
        ("GET\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\0\0".to_owned(), 400),
        (format!("{post}Content-Length: 3\r\n\r\n{{}}}}"), 400),
    ] {
        let answer = said(visitor, sent.as_bytes())?;
        let expected = format!("HTTP/1.1 {status} ");
        if !answer.starts_with(expected.as_bytes()) {
            let answer = String::from_utf8_lossy(&answer[..answer.len().min(40)]).into_owned();
            let sent = &sent[..sent.len().min(40)];
            (outcome.wrong_answers).push(format!("{sent:?}: {answer:?}, not {status}"));
        }
        outcome.bad_requests += 1;
    }
    Ok(Vec::new())
}

fn unauthentic(visitor: &Visitor<'_>, outcome: &mut Outcome) -> Result<Vec<TcpStream>> {
    let path = "/api/v1/clock";
    let body = br#"{"utc_ms":1900000000000,"uncertainty_ms":40}"#;
    let mut expect = |what: &str, headers: &[(String, String)], body: &[u8], status| {
        let answer = visitor.ask("POST", path, headers, body)?;
        if answer.status != status {
            (outcome.wrong_answers).push(format!("{what}: {}, not {status}", answer.status));
        }
        outcome.bad_requests += 1;
        anyhow::Ok(())
    };
    for _ in 0..5 {
        expect("no MAC", &[], body, 401)?;
        let (headers, _) = visitor.sealed(visitor.nonce()?, "POST", "/api/v1/ack", body);
        expect("another path", &headers, body, 401)?;
        let (headers, _) = visitor.sealed(visitor.nonce()?, "POST", path, body);
        expect("another body", &headers, b"{}", 400)?;
        expect("a replay", &headers, body, 401)?;
    }
    Ok(Vec::new())
}

fn random(visitor: &Visitor<'_>, outcome: &mut Outcome) -> Result<Vec<TcpStream>> {
    let mut random = StdRng::seed_from_u64(6);
    for round in 0..FIFTY {
        let mut bytes = vec![0; random.random_range(1..2_000)];
        random.fill_bytes(&mut bytes);
        if round % 2 == 0 {
            bytes.splice(
                0..0,
                HALF_BODY[..random.random_range(1..50)].iter().copied(),
            );
        }
        let _ = said(visitor, &bytes)?;
        outcome.bad_requests += 1;
    }
    Ok(Vec::new())
}

fn leaving(visitor: &Visitor<'_>, outcome: &mut Outcome) -> Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    for index in 0..FIFTY {
        // A chip refuses what it has no place for.
        if let Ok(mut stream) = visitor.connect() {
            let _ = stream.write_all(&HALF_HEAD[..index % HALF_HEAD.len()]);
            streams.push(stream);
        }
        outcome.bad_requests += 1;
    }
    drop(streams);
    Ok(Vec::new())
}

fn fifty(visitor: &Visitor<'_>, outcome: &mut Outcome) -> Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    for _ in 0..FIFTY {
        if let Ok(mut stream) = visitor.connect() {
            let asked = stream
                .write_all(b"GET /api/v1/info HTTP/1.1\r\nConnection: close\r\n\r\n")
                .is_ok();
            streams.extend(asked.then_some(stream));
        }
    }
    for mut stream in streams {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        outcome.fifty_answered += usize::from(answer.starts_with(b"HTTP/1.1 200"));
    }
    Ok(Vec::new())
}
