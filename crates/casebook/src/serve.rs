//! `casebook serve`: the server.

use crate::Failure;
use crate::database::Database;
use crate::webhook::{self, Keys, Reach};
use casebook_app::clock::Clock;
use casebook_app::retention::DAYS;
use casebook_app::webhooks::{KeyError, Settings};
use casebook_app::{Anonymous, App, Options, setup};
use casebook_server::{Limits, MONITOR_PAGE_SIZE, RateLimits, TrustedProxies, Zone};
use clap::Args;
use ipnet::IpNet;
use std::future::Future;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    database: Database,
    /// Address and port to listen on; port 0 picks a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9405", env = "CASEBOOK_LISTEN")]
    listen: SocketAddr,
    /// Where people and programs reach the server [default: http:// and the address listened on]
    #[arg(long, value_name = "URL", env = "CASEBOOK_PUBLIC_URL", value_parser = public_url)]
    public_url: Option<String>,
    /// What needs no credential, in suite default/default only: none, read or write
    #[arg(long, value_name = "WHAT", default_value = "none", env = "CASEBOOK_ANONYMOUS", value_parser = anonymous)]
    anonymous: Anonymous,
    /// Serve /metrics without a credential on an address of its own
    #[arg(long, value_name = "HOST:PORT", env = "CASEBOOK_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    /// A proxy, as address or network, whose X-Forwarded-For header is believed; may be given several times
    #[arg(long, value_name = "ADDRESS", env = "CASEBOOK_TRUSTED_PROXY", value_delimiter = ',', value_parser = network)]
    trusted_proxy: Vec<IpNet>,
    /// Requests a minute to the REST API for one organization
    #[arg(long, value_name = "NUMBER", default_value_t = RateLimits::default().organization, env = "CASEBOOK_REST_LIMIT")]
    rest_limit: u64,
    /// Requests a minute to the REST API for one token or user
    #[arg(long, value_name = "NUMBER", default_value_t = RateLimits::default().caller, env = "CASEBOOK_REST_LIMIT_USER")]
    rest_limit_user: u64,
    /// Time zone of time stamps that Avocado's clients send without one
    #[arg(long, value_name = "ZONE", default_value = Zone::DEFAULT, env = "CASEBOOK_AVOCADO_TIMEZONE")]
    avocado_timezone: Zone,
    /// Rows on a page of pytest-monitor's API; also from MONITOR_SERVER_PAGINATION_COUNT [default: 500]
    #[arg(long, value_name = "NUMBER", env = "CASEBOOK_MONITOR_PAGE_SIZE", value_parser = clap::value_parser!(i64).range(1..=100_000))]
    monitor_page_size: Option<i64>,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    reach: Reach,
    /// Seconds that a webhook's receiver may take to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10, env = "CASEBOOK_WEBHOOK_TIMEOUT_SECONDS", value_parser = clap::value_parser!(u64).range(1..=20))]
    webhook_timeout_seconds: u64,
    /// Days that runs are kept; counts by day, health and evidence stay [default: for ever]
    #[arg(long, value_name = "DAYS", env = "CASEBOOK_KEEP_DAYS", value_parser = clap::value_parser!(i64).range(DAYS))]
    keep_days: Option<i64>,
    /// Run so many seconds ahead of the system's clock, to see what time does without waiting for it
    #[arg(long, value_name = "SECONDS", default_value_t = 0, env = "CASEBOOK_CLOCK_AHEAD_SECONDS", hide = true, value_parser = clap::value_parser!(i64).range(0..=10_000_000_000))]
    clock_ahead_seconds: i64,
    /// Write the log as JSON lines
    #[arg(long, env = "CASEBOOK_LOG_JSON")]
    log_json: bool,
}

pub(crate) fn public_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest)
            if !rest.is_empty() && !rest.contains(['?', '#']) && !rest.contains(char::is_whitespace) =>
        {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("use http://HOST or https://HOST, with a path if there is one".to_owned()),
    }
}

fn anonymous(word: &str) -> Result<Anonymous, String> {
    match word {
        "none" => Ok(Anonymous::None),
        "read" => Ok(Anonymous::Read),
        "write" => Ok(Anonymous::Write),
        _ => Err("use none, read or write".to_owned()),
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| address())
        .map_err(|_| "use an address or a network, such as 10.0.0.0/8".to_owned())
}

/// What the original server takes its page size from.
fn pagination_count() -> Option<i64> {
    std::env::var("MONITOR_SERVER_PAGINATION_COUNT").ok()?.trim().parse().ok().filter(|count| *count > 0)
}

impl Serve {
    pub(crate) fn run(self) -> Result<(), Failure> {
        log(self.log_json);
        let store = self.database.open()?;
        let clock = match self.clock_ahead_seconds {
            0 => Clock::System,
            seconds => Clock::Ahead(seconds * 1_000_000),
        };
        let webhooks = Settings {
            key_file: self.database.key_file(self.keys.secret_key_file)?,
            allow_private: self.reach.allow_private_webhooks,
            timeout: Duration::from_secs(self.webhook_timeout_seconds),
            ..webhook::settings()
        };
        let runtime = runtime()?;
        let listening = runtime.block_on(Listening::bind(self.listen, self.metrics_listen))?;
        // Only when nothing can keep them from being shown.
        let first_start = setup::first_start(&store, clock.now())?;
        let address = format!("http://{}", listening.main.local_addr()?);
        let public_url = self.public_url.unwrap_or_else(|| address.clone());
        if let Some(first) = first_start {
            println!("first start: made organization and suite default/default");
            println!("  address:   {public_url}/");
            println!("  user:      {}", first.user);
            println!("  password:  {}", first.password);
            println!("  token:     {}   (organization default, scope admin)", first.token);
            println!("  These are shown once. Keep them.");
        }
        if let Some(metrics) = &listening.metrics {
            println!("metrics on http://{}/metrics", metrics.local_addr()?);
        }
        let options =
            Options { public_url, anonymous: self.anonymous, clock, webhooks, keep_days: self.keep_days };
        let app = App::start(store, options)?;
        match app.check_webhook_key() {
            Ok(()) => {}
            Err(error @ KeyError::NotNamed) => return Err(error.into()),
            // What is due waits and is tried again: everything else works.
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "webhooks cannot be signed");
            }
        }
        let options = casebook_server::Options {
            limits: Limits::default(),
            trusted_proxies: TrustedProxies::new(self.trusted_proxy),
            rate_limits: RateLimits { organization: self.rest_limit, caller: self.rest_limit_user },
            monitor_page_size: self.monitor_page_size.or_else(pagination_count).unwrap_or(MONITOR_PAGE_SIZE),
            avocado_zone: self.avocado_timezone,
        };
        let serving = listening.serve(Arc::clone(&app), options, terminated(&runtime)?);
        println!("listening on {address}");
        io::stdout().flush()?;
        let served = runtime.block_on(serving);
        // The database's connections end after the runtime, on this thread: they may not be closed from inside of it.
        runtime.shutdown_timeout(Duration::from_secs(10));
        drop(app);
        served
    }
}

/// Logs go to standard error; `RUST_LOG` chooses how much.
pub(crate) fn log(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(io::stderr);
    if json {
        log.json().init();
    } else {
        log.init();
    }
}

/// A runtime for requests; threads that wait for the database are few, because the connections are.
pub(crate) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(64).build()
}

/// The listeners, bound before anything is announced.
pub(crate) struct Listening {
    pub(crate) main: TcpListener,
    metrics: Option<TcpListener>,
}

impl Listening {
    pub(crate) async fn bind(main: SocketAddr, metrics: Option<SocketAddr>) -> Result<Self, Failure> {
        let bind = |address: SocketAddr| async move {
            let bound = TcpListener::bind(address).await;
            bound.map_err(|error| format!("cannot listen on {address}: {error}; choose another address"))
        };
        let metrics = match metrics {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        Ok(Self { main: bind(main).await?, metrics })
    }

    pub(crate) async fn serve(
        self,
        app: Arc<App>,
        options: casebook_server::Options,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Failure> {
        Ok(casebook_server::serve(app, self.main, self.metrics, options, stop).await?)
    }
}

/// Ends when the process is told to stop. Listens for the signals at once, not at the first poll.
pub(crate) fn terminated(runtime: &Runtime) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let _inside = runtime.enter();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
