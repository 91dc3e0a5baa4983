//! A receiver of webhooks on a free port, which answers as the test says.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What does not arrive in this time never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// With a status.
    Status(u16),
    /// With a redirection to an address.
    Redirect(String),
    /// Not at all, until the client gives up.
    Never,
    /// With 200 after [`WebhookReceiver::release`].
    Held,
    /// By closing the connection.
    Close,
}

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Method.
    pub method: String,
    /// Path.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Received {
    /// The value of a header.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no header {name}: {self:?}"))
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body in JSON")
    }
}

#[derive(Default)]
struct State {
    next: VecDeque<Answer>,
    received: Vec<Received>,
    released: bool,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A receiver of webhooks; it answers 200 unless told otherwise.
pub struct WebhookReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl WebhookReceiver {
    /// Starts to listen.
    ///
    /// # Panics
    /// There is no free port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.state.lock().unwrap().closed {
                    return;
                }
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Self { address, shared }
    }

    /// The address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers the next requests so.
    ///
    /// # Panics
    /// Never.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.state.lock().unwrap().next.extend(answers);
    }

    /// Answers what is held.
    ///
    /// # Panics
    /// Never.
    pub fn release(&self) {
        self.shared.state.lock().unwrap().released = true;
        self.shared.changed.notify_all();
    }

    /// Everything that has arrived.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.state.lock().unwrap().received.clone()
    }

    /// Waits until that many requests have arrived, and returns everything that has.
    ///
    /// # Panics
    /// They do not arrive.
    #[must_use]
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        let state = self.shared.state.lock().unwrap();
        let few = |state: &mut State| state.received.len() < count;
        let (state, waited) = self.shared.changed.wait_timeout_while(state, PATIENCE, few).unwrap();
        assert!(!waited.timed_out(), "{count} deliveries expected: {:#?}", state.received);
        state.received.clone()
    }
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().closed = true;
        // Wakes the thread that accepts; if it is gone, all the better.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let answer = {
        let mut state = shared.state.lock().unwrap();
        state.received.push(Received { method, path, headers, body });
        state.next.pop_front().unwrap_or(Answer::Status(200))
    };
    shared.changed.notify_all();
    let mut stream = stream;
    let mut say = |status: u16| {
        write!(stream, "HTTP/1.1 {status} So\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    };
    match answer {
        Answer::Status(status) => say(status),
        Answer::Held => {
            let state = shared.state.lock().unwrap();
            drop(shared.changed.wait_timeout_while(state, PATIENCE, |state| !state.released).unwrap());
            say(200)
        }
        Answer::Redirect(to) => {
            write!(
                stream,
                "HTTP/1.1 307 There\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        }
        // Until the other side closes the connection.
        Answer::Never => reader.read_to_end(&mut Vec::new()).map(drop),
        Answer::Close => Ok(()),
    }
}
