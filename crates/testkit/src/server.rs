//! The real server as a child process on a free port, and the command line on its database.

use crate::TestDatabase;
use crate::http::{Request, agent};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What the server says once, on an empty database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstStart {
    /// The admin user.
    pub user: String,
    /// The admin user's password.
    pub password: String,
    /// The organization's token of scope admin.
    pub token: String,
}

/// A running server; it is killed when this value goes away.
pub struct TestServer {
    binary: PathBuf,
    database_url: String,
    url: String,
    first_start: Option<FirstStart>,
    announced: String,
    child: Mutex<Child>,
    /// Kept open: a server whose output nobody reads any more would fail to write.
    _output: BufReader<ChildStdout>,
    log: Arc<Mutex<String>>,
    log_reader: Mutex<Option<JoinHandle<()>>>,
    agent: ureq::Agent,
}

impl TestServer {
    /// Starts `binary` on a free port and waits until it listens.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(binary: &Path, database: &TestDatabase) -> Self {
        Self::start_with(binary, database, &[])
    }

    /// The same with more arguments of `serve`.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_with(binary: &Path, database: &TestDatabase, arguments: &[&str]) -> Self {
        let mut child = command(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--database", database.url()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server's program");
        let (log, log_reader) = gather(child.stderr.take().expect("a pipe"));
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let announced = read_until_listening(&mut output);
        let Some(url) = value_of(&announced, "listening on ") else {
            let status = child.wait().expect("a child");
            log_reader.join().expect("the log's reader");
            panic!("the server did not start ({status}): {announced}\n{}", log.lock().unwrap());
        };
        Self {
            binary: binary.to_owned(),
            database_url: database.url().to_owned(),
            url,
            first_start: first_start(&announced),
            announced,
            child: Mutex::new(child),
            _output: output,
            log,
            log_reader: Mutex::new(Some(log_reader)),
            agent: agent(),
        }
    }

    /// `http://HOST:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `HOST:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Everything it printed until it listened.
    #[must_use]
    pub fn announced(&self) -> &str {
        &self.announced
    }

    /// What it said because the database was empty; none on a later start.
    #[must_use]
    pub fn first_start(&self) -> Option<&FirstStart> {
        self.first_start.as_ref()
    }

    /// The token of the first start.
    ///
    /// # Panics
    /// This is a later start.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        &self.first_start.as_ref().expect("tokens are shown at the first start only").token
    }

    /// What it has logged so far.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// A request to `path`, which begins with a slash.
    #[must_use]
    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        Request::new(&self.agent, method, format!("{}{path}", self.url))
    }

    /// A GET.
    #[must_use]
    pub fn get(&self, path: &str) -> Request<'_> {
        self.request("GET", path)
    }

    /// A POST.
    #[must_use]
    pub fn post(&self, path: &str) -> Request<'_> {
        self.request("POST", path)
    }

    /// Runs another command on the same database.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Output {
        self.command_with_input(arguments, "")
    }

    /// Runs another command on the same database, with something to read.
    #[must_use]
    pub fn command_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let database = ["--database", self.database_url.as_str()];
        run(&self.binary, &[arguments, &database].concat(), input)
    }

    /// Runs another command on the same database, which must succeed, and returns what it printed.
    ///
    /// # Panics
    /// It fails.
    #[must_use]
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Sends it a signal, such as `TERM`, without waiting for what it does.
    ///
    /// # Panics
    /// It has ended already.
    pub fn signal(&self, name: &str) {
        let id = self.child.lock().unwrap().id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(status.expect("the command kill").success(), "it ended by itself: {}", self.log());
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// It was never a child.
    pub fn wait(&self) -> ExitStatus {
        let status = self.child.lock().unwrap().wait().expect("a child");
        if let Some(reader) = self.log_reader.lock().unwrap().take() {
            reader.join().expect("the log's reader");
        }
        status
    }

    /// Tells it to stop (SIGTERM), and waits until it has, which must be with exit code 0. Returns its log.
    ///
    /// # Panics
    /// It ends otherwise.
    pub fn terminate(&self) -> String {
        self.signal("TERM");
        let status = self.wait();
        assert!(status.success(), "{status}: {}", self.log());
        self.log()
    }

    /// Ends it at once (SIGKILL), wherever it is.
    pub fn kill(&self) {
        self.signal("KILL");
        self.wait();
    }
}

impl Drop for TestServer {
    #[expect(clippy::print_stderr, reason = "a failing test shows what the server said")]
    fn drop(&mut self) {
        if let Ok(mut child) = self.child.lock() {
            // One that has ended already cannot be killed.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}---", self.url, self.log());
        }
    }
}

/// Runs the program until it ends.
///
/// # Panics
/// It cannot be run.
#[must_use]
pub fn run(binary: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = command(binary)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    // A program that does not read its input may have closed it.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("a child")
}

/// The program without what the environment of the tests would tell it.
fn command(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.to_string_lossy().starts_with("CASEBOOK_")) {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG").env("NO_COLOR", "1");
    command
}

fn gather(mut pipe: impl std::io::Read + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let log = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&log);
    let reader = std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut chunk) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..length]));
        }
    });
    (log, reader)
}

fn read_until_listening(output: &mut BufReader<ChildStdout>) -> String {
    let mut text = String::new();
    while !text.lines().last().is_some_and(|line| line.starts_with("listening on ")) {
        if output.read_line(&mut text).expect("text") == 0 {
            break;
        }
    }
    text
}

/// The first word after `label` in its line.
fn value_of(text: &str, label: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(label))?;
    line.split_whitespace().next().map(str::to_owned)
}

fn first_start(announced: &str) -> Option<FirstStart> {
    Some(FirstStart {
        user: value_of(announced, "user:")?,
        password: value_of(announced, "password:")?,
        token: value_of(announced, "token:")?,
    })
}
