//! Ingest over HTTP, on loopback, with kept connections. The load generator runs in the same process and is counted.

use crate::fixture::{self, Shape};
use crate::setting::{Failure, Setting};
use casebook_server::Options;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Bodies made ahead of time, outside of what is measured: eight for each client, so that they rarely wait for each other.
const SLICE: usize = 64;

/// The server of a setting, in the background.
pub(crate) struct Serving {
    runtime: tokio::runtime::Runtime,
    pub(crate) address: SocketAddr,
}

impl Serving {
    pub(crate) fn start(setting: &Setting) -> Result<Self, Failure> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(64).build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))?;
        let address = listener.local_addr()?;
        let app = Arc::clone(&setting.app);
        runtime.spawn(casebook_server::serve(
            app,
            listener,
            None,
            Options::default(),
            std::future::pending(),
        ));
        Ok(Self { runtime, address })
    }
}

impl Serving {
    /// Waits for something that the application does.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

/// A kept connection.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    token: String,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr, token: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), token: token.to_owned() })
    }

    /// Sends an upload.
    pub(crate) fn post(&mut self, body: &[u8]) -> Result<(), Failure> {
        self.post_to("/v1/uploads", body, " 202 ")
    }

    /// Sends a body to `path`, which must be answered with `expected`.
    pub(crate) fn post_to(&mut self, path: &str, body: &[u8], expected: &str) -> Result<(), Failure> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Token token=\"{}\"\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        self.exchange(head, body, expected).map(|_| ())
    }

    /// Sends JSON to `path`.
    pub(crate) fn post_json(&mut self, path: &str, body: &[u8], expected: &str) -> Result<(), Failure> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        self.exchange(head, body, expected).map(|_| ())
    }

    /// Asks for what is at `path`, and returns the length of the answer.
    pub(crate) fn get(&mut self, path: &str) -> Result<usize, Failure> {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\nBuildkite-Version: 2026-08-01\r\n\r\n",
            self.token
        );
        self.exchange(head, &[], " 200 ")
    }

    fn exchange(&mut self, head: String, body: &[u8], expected: &str) -> Result<usize, Failure> {
        let mut request = head.into_bytes();
        if body.len() < 16 * 1024 {
            request.extend_from_slice(body);
            self.stream.get_mut().write_all(&request)?;
        } else {
            self.stream.get_mut().write_all(&request)?;
            self.stream.get_mut().write_all(body)?;
        }
        let mut status = String::new();
        self.stream.read_line(&mut status)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        if status.contains(expected) {
            Ok(length)
        } else {
            Err(format!("{} {}", status.trim(), String::from_utf8_lossy(&answer)).into())
        }
    }
}

/// 8 clients with uploads of 5,000 results, in results per second.
pub(crate) fn uploads(setting: &Setting, shape: Shape) -> Result<f64, Failure> {
    let count = shape.uploads;
    let serving = Serving::start(setting)?;
    let now = setting.app.now();
    let mut seconds = 0.0;
    let mut done = 0;
    while done < count {
        let slice = SLICE.min(count - done);
        let bodies: Vec<Vec<u8>> = (0..slice).map(|index| fixture::body(done + index, shape, now)).collect();
        let started = Instant::now();
        in_parallel(
            8,
            slice,
            |_, index, connection| connection.post(&bodies[index]),
            serving.address,
            &setting.token,
        )?;
        seconds += started.elapsed().as_secs_f64();
        done += slice;
    }
    serving.runtime.shutdown_background();
    Ok((count * fixture::TESTS) as f64 / seconds)
}

/// 64 kept connections that send one result at a time, in requests per second.
pub(crate) fn singles(setting: &Setting, count: usize) -> Result<f64, Failure> {
    let serving = Serving::start(setting)?;
    let send = |client: usize, index: usize, connection: &mut Connection| {
        connection.post(&fixture::single(client, index))
    };
    // A first round makes the tests and runs, as a server in use has them.
    in_parallel(64, (count / 4).max(fixture::TESTS), send, serving.address, &setting.token)?;
    let started = Instant::now();
    in_parallel(
        64,
        count,
        |client, index, c| send(client, 1_000_000 + index, c),
        serving.address,
        &setting.token,
    )?;
    let seconds = started.elapsed().as_secs_f64();
    serving.runtime.shutdown_background();
    Ok(count as f64 / seconds)
}

/// Runs `work` for each number below `count` on `clients` threads with a connection each.
pub(crate) fn in_parallel(
    clients: usize,
    count: usize,
    work: impl Fn(usize, usize, &mut Connection) -> Result<(), Failure> + Sync,
    address: SocketAddr,
    token: &str,
) -> Result<(), Failure> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|client| {
                let (work, next) = (&work, &next);
                scope.spawn(move || -> Result<(), Failure> {
                    let mut connection = Connection::open(address, token)?;
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= count {
                            return Ok(());
                        }
                        work(client, index, &mut connection)?;
                    }
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a client panicked")?)
    })
}
