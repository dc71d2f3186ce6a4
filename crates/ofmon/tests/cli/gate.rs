//! A way to a meter that breaks where it is told.
//!
//! A [`Gate`] listens in front of a meter, counts requests, and does something to one of them; all others pass.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

/// Where the way breaks at a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before the meter gets the request.
    Before,
    /// After the meter answered, before anything of the answer comes through.
    After,
    /// In the middle of the answer.
    Within,
}

/// What is done to which request.
#[derive(Clone, Copy, Debug)]
struct Plan {
    index: usize,
    cut: Cut,
    /// Leaves the connection open and says nothing more, so that the test can end one of the two sides.
    hold: bool,
}

struct State {
    requests: usize,
    plan: Option<Plan>,
}

/// A listener in front of a meter.
pub(crate) struct Gate {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    reached: Receiver<()>,
}

impl Gate {
    /// Listens in front of the meter at `http://ADDRESS`.
    pub(crate) fn new(meter: &str) -> Self {
        let address = meter.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            requests: 0,
            plan: None,
        }));
        let (reach, reached) = channel();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let far = TcpStream::connect(&address);
                let (state, reach) = (Arc::clone(&shared), reach.clone());
                thread::spawn(move || far.ok().and_then(|far| pass(near, far, &state, &reach)));
            }
        });
        Self {
            url,
            state,
            reached,
        }
    }

    /// Cuts the connection at the request with this number, counted from 0 since the gate was made.
    pub(crate) fn cut(&self, index: usize, cut: Cut) {
        let hold = false;
        self.state.lock().unwrap().plan = Some(Plan { index, cut, hold });
    }

    /// Keeps the request with this number waiting for ever, before or after the meter got it.
    pub(crate) fn hold(&self, index: usize, cut: Cut) {
        let hold = true;
        self.state.lock().unwrap().plan = Some(Plan { index, cut, hold });
    }

    /// Waits until the request that is to be kept waiting has come.
    pub(crate) fn wait(&self) {
        self.reached.recv_timeout(Duration::from_secs(60)).unwrap();
    }

    /// Lets everything pass from here on.
    pub(crate) fn open(&self) {
        self.state.lock().unwrap().plan = None;
    }

    pub(crate) fn requests(&self) -> usize {
        self.state.lock().unwrap().requests
    }
}

/// Passes requests and answers until either side ends; `None` where it does.
fn pass(
    mut near: TcpStream,
    mut far: TcpStream,
    state: &Mutex<State>,
    reach: &Sender<()>,
) -> Option<()> {
    near.set_nodelay(true).ok()?;
    loop {
        let request = message(&mut near)?;
        let plan = {
            let mut state = state.lock().unwrap();
            let index = state.requests;
            state.requests += 1;
            state.plan.filter(|plan| plan.index == index)
        };
        let cut = plan.map(|plan| plan.cut);
        let answer = match cut {
            Some(Cut::Before) => Vec::new(),
            _ => {
                far.write_all(&request).ok()?;
                message(&mut far)?
            }
        };
        if let Some(plan) = plan {
            if plan.cut == Cut::Within {
                near.write_all(&answer[..answer.len() / 2]).ok()?;
            }
            let _ = reach.send(());
            if plan.hold {
                // It may wake up for no reason.
                loop {
                    thread::park();
                }
            }
            let _ = near.shutdown(Shutdown::Both);
            return None;
        }
        near.write_all(&answer).ok()?;
    }
}

/// Reads one request or answer as a whole.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length: Option<usize> = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let is_whole = match length {
                Some(length) => bytes.len() >= end + 4 + length,
                None if head.contains("chunked") => bytes.ends_with(b"0\r\n\r\n"),
                None => true,
            };
            if is_whole {
                return Some(bytes);
            }
        }
        match stream.read(&mut buffer).ok()? {
            0 => return None,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
