//! Memory of the real server: the release binary beside this one, as a process of its own.

use crate::fixture::{self, Shape};
use crate::http::in_parallel;
use crate::setting::{Database, Engine, Failure, process_memory_mb};
use casebook_app::clock::Clock;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A server that is ended with this value.
struct Server {
    child: Child,
    address: SocketAddr,
    token: String,
}

impl Server {
    fn start(database: &Database) -> Result<Self, Failure> {
        let binary = std::env::current_exe()?.with_file_name("casebook");
        let mut child = Command::new(&binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--database", &database.url])
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}; run cargo xtask bench", binary.display()))?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let mut value = |label: &str| -> Result<String, Failure> {
            for line in output.by_ref() {
                let line = line?;
                if let Some(rest) = line.trim_start().strip_prefix(label) {
                    return Ok(rest.split_whitespace().next().unwrap_or_default().to_owned());
                }
            }
            Err(format!("the server did not say {label}").into())
        };
        let token = value("token:")?;
        let address = value("listening on http://")?.parse()?;
        Ok(Self { child, address, token })
    }

    fn memory(&self, what: &str) -> f64 {
        process_memory_mb(&self.child.id().to_string(), what)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn measure(engine: Engine, shape: Shape) -> Result<(), Failure> {
    let now = Clock::System.now();
    let database = Database::new(engine)?;
    let server = Server::start(&database)?;
    println!("memory of the server, idle     {:>10.1} MB", server.memory("VmRSS:"));
    let bodies: Vec<Vec<u8>> =
        (0..shape.uploads.min(64)).map(|upload| fixture::body(upload, shape, now)).collect();
    let count = shape.uploads.min(64);
    in_parallel(
        8,
        count,
        |_, index, connection| connection.post(&bodies[index]),
        server.address,
        &server.token,
    )?;
    println!("  after 8 clients of 5,000     {:>10.1} MB at its peak", server.memory("VmHWM:"));
    drop(server);
    drop(bodies);

    let database = Database::new(engine)?;
    let server = Server::start(&database)?;
    let large = fixture::large_body(0);
    let send = |_: usize, index: usize, connection: &mut crate::http::Connection| {
        // Another run each time.
        let text = String::from_utf8_lossy(&large).replacen("large-0", &format!("large-{index}"), 1);
        connection.post(text.as_bytes())
    };
    in_parallel(8, 16, send, server.address, &server.token)?;
    println!(
        "  after 8 clients of {:.0} MB      {:>10.1} MB at its peak",
        large.len() as f64 / 1e6,
        server.memory("VmHWM:")
    );
    Ok(())
}
