//! Bodies for the errors that the HTTP library answers by itself, before any handler sees the request: a request that is no
//! HTTP, an address of more than 64 KiB, headers that are too many or too long. Clients read a JSON object from every answer and
//! fail on an empty one (`aviator.md` 1).

use axum::serve::Listener;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest answer that may be one of these, in bytes: a status line and three headers.
const LONGEST: usize = 512;

/// Accepts connections on which such errors say what is wrong.
pub(crate) struct Explaining<L>(pub(crate) L);

impl<L: Listener> Listener for Explaining<L> {
    type Io = Explained<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (inner, address) = self.0.accept().await;
        (Explained { inner, instead: Vec::new(), written: 0 }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// A connection on which an error without a body gets one.
pub(crate) struct Explained<S> {
    pub(crate) inner: S,
    /// What is written instead of an error, and how much of it was.
    instead: Vec<u8>,
    written: usize,
}

impl<S: AsyncWrite + Unpin> Explained<S> {
    /// Writes what is left of an error.
    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(left) = self.instead.get(self.written..).filter(|left| !left.is_empty()) {
            let count = ready!(Pin::new(&mut self.inner).poll_write(context, left))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        self.instead.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Explained<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Explained<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_instead(context))?;
        let Some(instead) = explained(bytes) else {
            return Pin::new(&mut self.inner).poll_write(context, bytes);
        };
        self.instead = instead;
        // What cannot be written now is written before anything else.
        match self.poll_instead(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = slices.iter().filter(|slice| !slice.is_empty());
        if let (Some(only), None) = (filled.next(), filled.next()) {
            return self.poll_write(context, only);
        }
        ready!(self.poll_instead(context))?;
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// The same answer with a body, if it is an error of the library's own: nothing but a head that says no more than that it is
/// empty. Answers of handlers have other headers too.
fn explained(answer: &[u8]) -> Option<Vec<u8>> {
    if answer.len() > LONGEST || !answer.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let head = std::str::from_utf8(answer).ok()?.strip_suffix("\r\n\r\n")?;
    let (status, headers) = head.split_once("\r\n")?;
    let sentence = match status.get(9..12)? {
        "400" => "this is no valid HTTP request",
        "414" => "the address of the request is too long",
        "431" => "the headers of the request are too many or too long",
        _ => return None,
    };
    let mut kept = String::new();
    for header in headers.split("\r\n") {
        let (name, value) = header.split_once(':')?;
        match (name, value.trim()) {
            ("content-length", "0") => {}
            ("connection" | "date", _) => kept.extend([header, "\r\n"]),
            _ => return None,
        }
    }
    // Under both names that clients read.
    let body = serde_json::json!({ "error": sentence, "message": sentence }).to_string();
    let form = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    Some([status, "\r\n", &kept, &form, "\r\n", &body].concat().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::explained;

    #[test]
    fn only_the_librarys_own_errors_get_a_body() {
        let answer =
            b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\ndate: D\r\n\r\n";
        let body = r#"{"error":"the address of the request is too long","message":"the address of the request is too long"}"#;
        let expected = format!(
            "HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ndate: D\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(explained(answer).map(|answer| String::from_utf8(answer).unwrap()), Some(expected));
        for other in [
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nx: y\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400",
            "",
        ] {
            assert_eq!(explained(other.as_bytes()), None, "{other}");
        }
    }
}
