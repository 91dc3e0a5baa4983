//! Throw-away PostgreSQL clusters. A cluster lives as long as this process, however the process ends.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::clients;
use crate::command;
use crate::tools::{self, PostgresBinaries};

const START_LIMIT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Ports are free when we look and may be taken when PostgreSQL starts.
const START_ATTEMPTS: usize = 3;

/// Waits until this process is gone (the pipe to its standard input closes), then cleans up. Being a process
/// of its own it does so after Ctrl-C and after `kill -9` too.
const SENTINEL: &str = r#"
cat > /dev/null
"$1/pg_ctl" -D "$2/data" -m immediate -w stop > /dev/null 2>&1
rm -rf "$2"
"#;

/// Whether a committed transaction survives a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// For tests: nothing waits for the disk.
    Off,
    /// For benchmarks: PostgreSQL's own defaults.
    Full,
}

impl Durability {
    /// /tmp may live in memory, where syncing costs nothing; /var/tmp must survive a reboot.
    fn parent_folder(self) -> &'static Path {
        Path::new(match self {
            Durability::Off => "/tmp",
            Durability::Full => "/var/tmp",
        })
    }

    fn initdb_options(self) -> &'static [&'static str] {
        match self {
            Durability::Off => &["--no-sync"],
            Durability::Full => &[],
        }
    }

    fn server_settings(self) -> &'static [&'static str] {
        match self {
            Durability::Off => &[
                "fsync=off",
                "full_page_writes=off",
                "synchronous_commit=off",
                "max_connections=200",
                "shared_buffers=128MB",
            ],
            Durability::Full => &[],
        }
    }
}

/// A running PostgreSQL server with a data folder of its own; dropping it stops the server and removes the
/// folder.
pub(crate) struct Cluster {
    folder: PathBuf,
    port: u16,
    sentinel: Child,
    server: Option<Child>,
}

impl Cluster {
    pub(crate) fn start(binaries: &PostgresBinaries, durability: Durability) -> Result<Cluster> {
        let account = Account::choose()?;
        let folder = make_folder(durability.parent_folder(), account)?;
        let bin = &binaries.folder;
        let sentinel = start_sentinel(account, bin, &folder)?;
        let mut cluster = Cluster { folder, port: 0, sentinel, server: None };
        cluster.initialize(account, bin, durability)?;
        for attempt in 1.. {
            match cluster.start_server(account, bin, durability) {
                Ok(()) => break,
                Err(error) if attempt == START_ATTEMPTS => return Err(error),
                Err(_) => {}
            }
        }
        Ok(cluster)
    }

    /// The administrator's address; tests make their own databases from it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://casebook@127.0.0.1:{}/postgres", self.port)
    }

    fn initialize(&self, account: Account, bin: &Path, durability: Durability) -> Result<()> {
        let mut initdb = account.command(bin.join("initdb"))?;
        initdb
            .args(["-A", "trust", "-U", "casebook", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
            .arg(self.data())
            .args(durability.initdb_options())
            .current_dir(&self.folder);
        command::output(&mut initdb).context("could not make a PostgreSQL cluster")?;
        Ok(())
    }

    fn start_server(&mut self, account: Account, bin: &Path, durability: Durability) -> Result<()> {
        self.port = free_port()?;
        let log = File::create(self.log())?;
        let mut postgres = account.command(bin.join("postgres"))?;
        postgres.arg("-D").arg(self.data());
        postgres.args(["-c", "listen_addresses=127.0.0.1"]);
        postgres.arg("-c").arg(format!("port={}", self.port));
        postgres.arg("-c").arg(format!("unix_socket_directories={}", self.folder.display()));
        for setting in durability.server_settings() {
            postgres.args(["-c", setting]);
        }
        // In a process group of its own it does not get the Ctrl-C that is meant for the tests.
        postgres.current_dir(&self.folder).process_group(0);
        postgres.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let server = self.server.insert(postgres.spawn().context("could not start PostgreSQL")?);
        let ready = wait_until_ready(server, bin, self.port);
        if ready.is_err() {
            server.kill()?;
            server.wait()?;
        }
        ready.with_context(|| format!("PostgreSQL did not start, its log ends with\n{}", self.log_end()))
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn log_end(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Cluster {
    /// Nothing here can be reported usefully, so errors are passed over.
    fn drop(&mut self) {
        drop(self.sentinel.stdin.take());
        let _ = self.sentinel.wait();
        if let Some(server) = &mut self.server {
            // It is down by now, unless `pg_ctl stop` failed.
            let _ = server.kill();
            let _ = server.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// `cargo xtask pg [-- command...]`.
pub(crate) fn command(arguments: &[OsString]) -> Result<ExitCode> {
    let rest = match arguments.split_first() {
        Some((first, rest)) if first == "--" && !rest.is_empty() => rest,
        None => &[],
        Some(_) => bail!("write the command after two dashes: cargo xtask pg -- cargo nextest run"),
    };
    let cluster = Cluster::start(&tools::postgres()?, Durability::Off)?;
    let mut variables = vec![("CASEBOOK_TEST_POSTGRES", OsString::from(cluster.url()))];
    match clients::find_prepared()? {
        Some(clients) => variables.extend(clients.environment().map(|(name, path)| (name, path.into()))),
        None => println!("# tests with real clients also need what `cargo xtask clients` prepares"),
    }
    for (name, value) in &variables {
        println!("export {name}={}", value.display());
    }
    let Some((program, rest)) = rest.split_first() else {
        println!("# PostgreSQL runs until Ctrl-C");
        loop {
            std::thread::park();
        }
    };
    let status = Command::new(program).args(rest).envs(variables).status();
    let status = status.with_context(|| format!("could not start `{}`", program.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Who the server runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Account {
    /// Whoever started us.
    Current,
    /// PostgreSQL refuses to run as root, so root hands it to somebody else.
    Other { user: u32, group: u32 },
}

impl Account {
    fn choose() -> Result<Account> {
        if !command::is_root()? {
            return Ok(Account::Current);
        }
        let id = |option, name| command::output(Command::new("id").args([option, name]));
        let name = if id("-u", "postgres").is_ok() { "postgres" } else { "nobody" };
        Ok(Account::Other { user: id("-u", name)?.parse()?, group: id("-g", name)?.parse()? })
    }

    fn command(self, program: impl AsRef<OsStr>) -> Result<Command> {
        let Account::Other { user, group } = self else {
            return Ok(Command::new(program));
        };
        // Command::uid would keep root's supplementary groups.
        if !command::succeeds(Command::new("setpriv").arg("--version")) {
            bail!(
                "running PostgreSQL as root needs `setpriv`: install the package `util-linux`, or be another user"
            );
        }
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={user}")).arg(format!("--regid={group}"));
        command.args(["--clear-groups", "--"]).arg(program);
        Ok(command)
    }
}

/// The path is short because a Unix socket's path, which may have about 100 bytes, begins with it.
fn make_folder(parent: &Path, account: Account) -> Result<PathBuf> {
    for number in 0..1000 {
        let folder = parent.join(format!("casebook-pg-{}-{number}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => {
                if let Account::Other { user, group } = account {
                    chown(&folder, Some(user), Some(group))?;
                }
                return Ok(folder);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("could not make {}", folder.display()));
            }
        }
    }
    bail!("remove the left-over folders {}/casebook-pg-*", parent.display())
}

fn start_sentinel(account: Account, bin: &Path, folder: &Path) -> Result<Child> {
    let mut sentinel = account.command("sh")?;
    sentinel.args(["-c", SENTINEL, "casebook-pg-sentinel"]).arg(bin).arg(folder);
    sentinel.current_dir("/").process_group(0);
    sentinel.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    sentinel.spawn().context("could not start the process that cleans up after PostgreSQL")
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[expect(clippy::disallowed_methods, reason = "the server has no way to call us when it is ready")]
fn wait_until_ready(server: &mut Child, bin: &Path, port: u16) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < START_LIMIT {
        if let Some(status) = server.try_wait()? {
            bail!("PostgreSQL ended with {status}");
        }
        if is_ready(bin, port) {
            return Ok(());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    bail!("PostgreSQL was not ready after {} s", START_LIMIT.as_secs())
}

/// An open port alone does not mean that the server answers yet, so `pg_isready` decides where it exists.
fn is_ready(bin: &Path, port: u16) -> bool {
    if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        return false;
    }
    let pg_isready = bin.join("pg_isready");
    if !pg_isready.is_file() {
        return true;
    }
    let port = port.to_string();
    command::succeeds(Command::new(pg_isready).args(["-q", "-h", "127.0.0.1", "-p", &port, "-d", "postgres"]))
}
