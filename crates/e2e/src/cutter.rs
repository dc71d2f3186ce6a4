//! A connection that breaks where it is told.
//!
//! A [`Cutter`] listens in front of a meter and passes everything through, but closes each connection hard when as many
//! bytes of answers, or of requests, as it was told have gone by.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Never cut.
pub const NEVER: u64 = u64::MAX;

/// A listener in front of a meter.
#[derive(Clone, Debug)]
pub struct Cutter {
    /// Its own address.
    pub url: String,
    remaining: Arc<AtomicU64>,
    cuts: Arc<AtomicU64>,
    requests: Arc<Mutex<Requests>>,
}

/// What passes towards the meter.
#[derive(Debug, Default)]
struct Requests {
    /// Bytes that may pass before each cut to come.
    allowed: VecDeque<u64>,
    passed: u64,
}

impl Cutter {
    /// Listens in front of the meter at `address` (`127.0.0.1:PORT`).
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(address: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let cutter = Self {
            url: format!("http://{}", listener.local_addr()?),
            remaining: Arc::new(AtomicU64::new(NEVER)),
            cuts: Arc::default(),
            requests: Arc::default(),
        };
        let own = cutter.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if let Ok(far) = TcpStream::connect(&address).await {
                    // Pieces pass as they come, or each would wait for an acknowledgement.
                    if near.set_nodelay(true).and(far.set_nodelay(true)).is_err() {
                        continue;
                    }
                    tokio::spawn(own.clone().pass(near, far));
                }
            }
        });
        Ok(cutter)
    }

    /// Cuts the connection that carries the byte after the next `bytes` of answers; [`NEVER`] for none.
    pub fn cut_after(&self, bytes: u64) {
        self.remaining.store(bytes, Ordering::SeqCst);
    }

    /// Returns how many connections were cut.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::SeqCst)
    }

    /// Cuts the connection that carries the byte after so many of requests, and again after so many more, and so on.
    pub fn cut_requests_after(&self, bytes: impl IntoIterator<Item = u64>) {
        self.requests().allowed.extend(bytes);
    }

    /// Returns how many bytes of requests passed.
    #[must_use]
    pub fn requested(&self) -> u64 {
        self.requests().passed
    }

    fn requests(&self) -> std::sync::MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up to `count` bytes from what may pass towards the meter; counts a cut when it is less.
    fn take_request(&self, count: u64) -> u64 {
        let mut requests = self.requests();
        let allowed = requests.allowed.front().copied().unwrap_or(NEVER);
        let taken = allowed.min(count);
        requests.passed += taken;
        if taken < count {
            requests.allowed.pop_front();
            self.cuts.fetch_add(1, Ordering::SeqCst);
        } else if let Some(allowed) = requests.allowed.front_mut() {
            *allowed -= count;
        }
        taken
    }

    async fn pass(self, near: TcpStream, far: TcpStream) {
        let (mut near_read, mut near_write) = near.into_split();
        let (mut far_read, mut far_write) = far.into_split();
        let requests = async {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = near_read.read(&mut buffer).await {
                let allowed = self.take_request(count as u64) as usize;
                let written = far_write.write_all(&buffer[..allowed]).await;
                if written.is_err() || allowed < count {
                    return;
                }
            }
            // An answer may still come.
            pending::<()>().await;
        };
        let answers = async {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = far_read.read(&mut buffer).await {
                let allowed = self.take(count as u64) as usize;
                let written = near_write.write_all(&buffer[..allowed]).await;
                if written.is_err() || allowed < count {
                    return;
                }
            }
        };
        tokio::select! {
            () = requests => {}
            () = answers => {}
        }
    }

    /// Takes up to `count` bytes from what may still pass; counts a cut when it is less.
    fn take(&self, count: u64) -> u64 {
        let before = self
            .remaining
            .fetch_update(
                Ordering::SeqCst,
                Ordering::SeqCst,
                |remaining| match remaining {
                    NEVER => Some(NEVER),
                    // The cut is done: what comes after passes until the next one is ordered.
                    remaining if remaining < count => Some(NEVER),
                    remaining => Some(remaining - count),
                },
            )
            .unwrap_or(NEVER);
        if before < count {
            self.cuts.fetch_add(1, Ordering::SeqCst);
        }
        before.min(count)
    }
}
