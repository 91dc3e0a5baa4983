//! A server and a proxy of a few lines, for what the real server never does.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    /// The body, unpacked, as text.
    pub(crate) fn text(&self) -> String {
        let mut text = Vec::new();
        if self.head.to_ascii_lowercase().contains("content-encoding: gzip") {
            flate2::read::MultiGzDecoder::new(&self.body[..]).read_to_end(&mut text).unwrap();
        } else {
            text.clone_from(&self.body);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// How many testcases the body holds.
    pub(crate) fn testcases(&self) -> usize {
        self.text().matches("<testcase ").count()
    }
}

/// An answer: its status, further headers, and its body.
pub(crate) type Answer = (u16, &'static str, String);

/// What Casebook answers.
pub(crate) fn accepted(queued: usize) -> Answer {
    let body = format!(
        r#"{{"id":"u","run_id":"r","queued":{queued},"skipped":0,"errors":[],"run_url":"http://run/1","upload_id":"u","upload_url":"x"}}"#
    );
    (202, "", body)
}

/// A server that answers as a function says, which gets the number of the request, from 0.
pub(crate) struct Endpoint {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Endpoint {
    pub(crate) fn start(answer: impl Fn(usize, &Received) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&received);
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = receive(&mut stream) else { continue };
                let number = into.lock().unwrap().len();
                let (status, headers, body) = answer(number, &request);
                into.lock().unwrap().push(request);
                let _ = send(&mut stream, status, headers, &body);
            }
        });
        Self { url, received }
    }

    /// Everything that was received.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

/// Reads a request from a connection.
pub(crate) fn receive(stream: &mut impl Read) -> Option<Received> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(Received { head, body })
}

/// Writes an answer to a connection, which ends with it.
pub(crate) fn send(stream: &mut impl Write, status: u16, headers: &str, body: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()
}

/// A proxy that connects whatever host is named to one address, and tells which hosts were named.
pub(crate) fn connect_proxy(to: String) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = receive(&mut stream) else { continue };
            // The test may have heard enough.
            let _ = tell.send(request.head.lines().next().unwrap().to_owned());
            let mut server = TcpStream::connect(&to).unwrap();
            stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            let (mut from, mut back) = (stream.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut back, &mut stream));
            thread::spawn(move || std::io::copy(&mut from, &mut server));
        }
    });
    (url, told)
}

/// A server behind TLS, whose certificate names `localhost` and `casebook.test`. Returns its address and the certificate to
/// trust, in PEM form.
pub(crate) fn tls_endpoint() -> (String, String) {
    let names = vec!["localhost".to_owned(), "casebook.test".to_owned()];
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config =
        Arc::new(config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            // A client that does not trust the certificate goes away here.
            let Some(request) = receive(&mut stream) else { continue };
            let (status, headers, body) = accepted(request.testcases());
            send(&mut stream, status, headers, &body).unwrap();
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (address, cert.pem())
}
