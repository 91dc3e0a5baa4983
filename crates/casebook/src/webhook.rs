//! `casebook webhook`: make, list, try and remove webhooks, and look after their deliveries.

use crate::Failure;
use crate::database::{self, Database};
use casebook_app::clock::Clock;
use casebook_app::webhooks::{Change, NewWebhook, Secret, Settings, ShownDelivery, Webhooks};
use casebook_model::suite::{Suite, SuiteName};
use casebook_model::webhook::{DeliveryState, Subscription, Webhook};
use casebook_storage::{Store, suites};
use clap::{Args, Subcommand};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Args)]
pub(crate) struct WebhookCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a webhook and print its id and its secret, once, one a line
    Create(Create),
    /// List webhooks; their secrets are not shown
    List(List),
    /// Remove a webhook with its deliveries
    Remove(One),
    /// Send a webhook an example now, and tell what came of it
    Test(Test),
    /// List the newest deliveries to a webhook
    Deliveries(Deliveries),
    /// Send a delivery again; a running server does so within a minute
    Redeliver(Redeliver),
    /// Send to a paused webhook again, also what is still due
    Resume(One),
}

#[derive(Args)]
struct Create {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    reach: Reach,
    /// Where events are sent: https://HOST/PATH or http://HOST/PATH
    #[arg(value_name = "URL")]
    url: String,
    /// The suite whose events are sent
    #[arg(long, value_name = "ORG/SUITE", env = "CASEBOOK_SUITE", value_parser = SuiteName::parse)]
    suite: SuiteName,
    /// An event to send: new_flaky_test or resolved_flaky_test; may be given several times [default: all]
    #[arg(long, value_name = "NAME", env = "CASEBOOK_EVENT", value_delimiter = ',', value_parser = event)]
    event: Vec<String>,
    /// Read the secret from the first line of standard input, for a receiver that knows one already
    #[arg(long, env = "CASEBOOK_SECRET_STDIN")]
    secret_stdin: bool,
}

/// The key of secrets, for commands that make or use them.
#[derive(Args)]
pub(crate) struct Keys {
    /// File with the key under which webhook secrets are stored, made when first needed [default: casebook.key beside the SQLite file]
    #[arg(long, value_name = "FILE", env = "CASEBOOK_SECRET_KEY_FILE")]
    pub(crate) secret_key_file: Option<PathBuf>,
}

/// Where webhooks may lead, for commands that check or use their addresses.
#[derive(Args)]
pub(crate) struct Reach {
    /// Let webhooks lead to private, loopback and other inside addresses
    #[arg(long, env = "CASEBOOK_ALLOW_PRIVATE_WEBHOOKS")]
    pub(crate) allow_private_webhooks: bool,
}

#[derive(Args)]
struct List {
    #[command(flatten)]
    database: Database,
    /// Only webhooks of that suite
    #[arg(long, value_name = "ORG/SUITE", env = "CASEBOOK_SUITE", value_parser = SuiteName::parse)]
    suite: Option<SuiteName>,
}

#[derive(Args)]
struct One {
    #[command(flatten)]
    database: Database,
    /// Its id, from casebook webhook list
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Args)]
struct Test {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Args)]
struct Deliveries {
    #[command(flatten)]
    one: One,
    /// How many to list
    #[arg(long, value_name = "NUMBER", default_value_t = 50, env = "CASEBOOK_LIMIT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

#[derive(Args)]
struct Redeliver {
    #[command(flatten)]
    database: Database,
    /// Id of the delivery, from casebook webhook deliveries
    #[arg(value_name = "ID")]
    id: String,
}

fn event(word: &str) -> Result<String, String> {
    Subscription::parse([word]).map(|_| word.to_owned()).map_err(|error| error.to_string())
}

/// Webhooks are told in Aviator's form.
pub(crate) fn settings() -> Settings {
    Settings::new(casebook_aviator::webhook::render)
}

impl WebhookCommand {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Create(create) => create.run(),
            Action::List(list) => list.run(),
            Action::Remove(one) => {
                let (_, webhooks) = one.database.webhooks(&settings())?;
                webhooks.remove(webhooks.find(&one.id)?.id)?;
                println!("removed webhook {}", one.id);
                Ok(())
            }
            Action::Test(test) => test.run(),
            Action::Deliveries(deliveries) => deliveries.run(),
            Action::Redeliver(redeliver) => redeliver.run(),
            Action::Resume(one) => {
                let (_, webhooks) = one.database.webhooks(&settings())?;
                let change = Change { paused: Some(false), ..Change::default() };
                webhooks.change(webhooks.find(&one.id)?.id, change)?;
                println!("resumed webhook {}; a running server sends what is due within a minute", one.id);
                Ok(())
            }
        }
    }
}

impl Database {
    /// The database, and the webhooks in it.
    pub(crate) fn webhooks(&self, settings: &Settings) -> Result<(Arc<Store>, Webhooks), Failure> {
        let store = Arc::new(self.open()?);
        let webhooks = Webhooks::new(Arc::clone(&store), settings, Clock::System)?;
        Ok((store, webhooks))
    }
}

impl Create {
    fn run(self) -> Result<(), Failure> {
        let secret = if self.secret_stdin {
            let mut line = String::new();
            io::stdin().read_line(&mut line)?;
            Some(Secret::parse(line.trim_end_matches(['\r', '\n']))?)
        } else {
            None
        };
        let key_file = self.database.key_file(self.keys.secret_key_file)?;
        let allow_private = self.reach.allow_private_webhooks;
        let (store, webhooks) =
            self.database.webhooks(&Settings { key_file, allow_private, ..settings() })?;
        let suite = database::suite(&store, &self.suite)?;
        let events = Subscription::parse(self.event.iter().map(String::as_str))?;
        let (webhook, secret) = webhooks.create(suite.id, &NewWebhook { url: self.url, events, secret })?;
        println!("{}\n{}", webhooks.webhook_id(&webhook), secret.text());
        Ok(())
    }
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let (store, webhooks) = self.database.webhooks(&settings())?;
        let only = self.suite.map(|name| database::suite(&store, &name)).transpose()?;
        let suites = store.read(suites::list)?;
        for webhook in webhooks.list(only.map(|suite| suite.id))? {
            let name = suites.iter().find(|suite| suite.id == webhook.suite).map(Suite::name);
            let name = name.map(|name| name.to_string()).unwrap_or_default();
            let events = if webhook.events.named().is_empty() {
                "all events".to_owned()
            } else {
                webhook.events.to_string()
            };
            writeln!(
                out,
                "{}\tsuite {name}\t{}\t{events}\t{}\tmade {}",
                webhooks.webhook_id(&webhook),
                webhook.url,
                standing(&webhook),
                webhook.created_at.to_minutes()
            )?;
        }
        Ok(())
    }
}

fn standing(webhook: &Webhook) -> String {
    match (webhook.paused_at, webhook.failing_since) {
        (Some(paused), Some(failing)) => {
            format!("paused since {}, failing since {}", paused.to_minutes(), failing.to_minutes())
        }
        (Some(paused), None) => format!("paused since {}", paused.to_minutes()),
        (None, Some(failing)) => format!("failing since {}", failing.to_minutes()),
        (None, None) => "active".to_owned(),
    }
}

impl Test {
    fn run(self) -> Result<(), Failure> {
        let key_file = self.one.database.key_file(self.keys.secret_key_file)?;
        let allow_private = self.reach.allow_private_webhooks;
        let (_, webhooks) =
            self.one.database.webhooks(&Settings { key_file, allow_private, ..settings() })?;
        let shown = webhooks.test(&webhooks.find(&self.one.id)?)?;
        let told = outcome(&shown);
        if shown.delivery.state != DeliveryState::Delivered {
            return Err(format!("the test delivery failed: {told}").into());
        }
        println!("delivered: {told}");
        Ok(())
    }
}

/// What the last attempt came to.
fn outcome(shown: &ShownDelivery) -> String {
    let Some(last) = shown.attempts.last() else { return "not sent yet".to_owned() };
    let answered = last.status.map(|status| format!("the receiver answered {status}"));
    let told = last.error.clone().or(answered).unwrap_or_default();
    format!("{told} ({} ms)", last.duration_us / 1000)
}

impl Deliveries {
    fn run(self) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let (_, webhooks) = self.one.database.webhooks(&settings())?;
        let webhook = webhooks.find(&self.one.id)?;
        for delivery in webhooks.deliveries(webhook.id, None, self.limit.into())? {
            let shown = webhooks.show(delivery.suite, delivery.id)?;
            let next = delivery.next_attempt_at.map(|next| format!("\tnext {}", next.to_rfc3339_millis()));
            writeln!(
                out,
                "{}\t{}\t{}\t{}\tattempts {}\t{}{}",
                webhooks.delivery_id(delivery.suite, delivery.id),
                delivery.event,
                delivery.created_at.to_rfc3339_millis(),
                delivery.state,
                delivery.attempts,
                outcome(&shown),
                next.unwrap_or_default()
            )?;
        }
        Ok(())
    }
}

impl Redeliver {
    fn run(self) -> Result<(), Failure> {
        let (_, webhooks) = self.database.webhooks(&settings())?;
        let (suite, id) = webhooks.delivery(&self.id)?;
        let webhook = webhooks.redeliver(suite, id)?.delivery.webhook;
        let paused = |found: &Webhook| found.id == webhook && found.paused_at.is_some();
        let then = if webhooks.list(Some(suite))?.iter().any(paused) {
            "its webhook is paused: casebook webhook resume sends it"
        } else {
            "a running server sends it within a minute"
        };
        println!("delivery {} is due again; {then}", self.id);
        Ok(())
    }
}
