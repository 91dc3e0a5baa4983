//! An old Avocado Server, by its address: its jobs with everything below them, in its order, and its small tables.

use super::Importing;
use crate::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casebook_app::avocado::jobs::JobAttributes;
use casebook_app::avocado::records::{Batch, NewJob, Of, Record};
use casebook_app::avocado::software::{ARCHES, COMPONENTS, Component, KINDS, Label};
use casebook_app::avocado::systems::{DISTROS, Distro, ENVIRONMENTS, Environment};
use casebook_app::avocado::{Db, Ending};
use casebook_app::{Page as Part, StorageError};
use casebook_model::avocado::{JobStatus, Priority, TestStatus};
use casebook_model::id::SuiteId;
use casebook_model::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use ureq::Agent;

/// How long an old server may take for a page: its jobs hold all of their tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// Largest page that is read, in bytes.
const LARGEST_PAGE: u64 = 512 << 20;

/// Longest id and text that are kept, in characters.
const LONGEST_ID: usize = 40;
const LONGEST_TEXT: usize = 255;

/// Whether an address is that of an Avocado Server: those of a monitor-server lead to its API.
pub(super) fn is_one(url: &str) -> bool {
    !url.contains("/api/v1")
}

/// What was taken over.
#[derive(Default)]
pub(super) struct Taken {
    jobs: usize,
    tests: usize,
    executions: i64,
}

impl std::fmt::Display for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { jobs, tests, executions } = self;
        write!(f, "{jobs} jobs with {tests} tests read, {executions} executions imported")
    }
}

/// A page of a collection.
#[derive(Deserialize)]
struct Page<T> {
    next: Option<String>,
    results: Vec<T>,
}

/// A job; of what released servers tell, all that any of them does.
#[derive(Deserialize)]
struct OldJob {
    id: Value,
    description: Option<String>,
    name: Option<String>,
    time: Option<String>,
    elapsed_time: Option<f64>,
    status: Option<String>,
    uniqueident: Option<String>,
    timeout: Option<i64>,
    priority: Option<String>,
    #[serde(default)]
    activities: Vec<OldActivity>,
    #[serde(default)]
    tests: Vec<OldTest>,
}

#[derive(Deserialize)]
struct OldTest {
    id: i64,
    tag: String,
    status: Option<String>,
}

#[derive(Clone, Deserialize)]
struct OldActivity {
    test: Option<i64>,
    activity: String,
    time: String,
    status: Option<String>,
}

#[derive(Clone, Deserialize)]
struct OldDatum {
    test: i64,
    category: String,
    key: String,
    value: Option<String>,
}

#[derive(Deserialize)]
struct OldName {
    name: String,
}

#[derive(Deserialize)]
struct OldComponent {
    name: String,
    version: String,
    release: String,
    checksum: String,
    kind: String,
    arch: String,
}

#[derive(Deserialize)]
struct OldDistro {
    name: String,
    version: String,
    release: String,
    arch: String,
}

#[derive(Deserialize)]
struct OldEnvironment {
    distro: OldDistro,
}

/// A row that belongs to a test.
trait Below: Clone + DeserializeOwned {
    fn test(&self) -> Option<i64>;
}

impl Below for OldActivity {
    fn test(&self) -> Option<i64> {
        self.test
    }
}

impl Below for OldDatum {
    fn test(&self) -> Option<i64> {
        Some(self.test)
    }
}

/// A collection below each test. Released servers list the rows of all tests whatever the address says; then they are read once.
enum Listing<T> {
    Unknown,
    OfEach,
    OfAll(HashMap<i64, Vec<T>>),
}

impl<T: Below> Listing<T> {
    fn of(&mut self, server: &OldServer, job: &str, test: i64, name: &str) -> Result<Vec<T>, Failure> {
        if let Self::OfAll(rows) = self {
            return Ok(rows.remove(&test).unwrap_or_default());
        }
        let path = format!("/jobs/{}/tests/{test}/{name}/", encoded(job));
        let rows: Vec<T> = server.all(&path)?;
        if matches!(self, Self::Unknown) && !rows.is_empty() {
            if rows.iter().any(|row| row.test() != Some(test)) {
                let mut by_test: HashMap<i64, Vec<T>> = HashMap::new();
                for row in rows {
                    by_test.entry(row.test().unwrap_or(0)).or_default().push(row);
                }
                let own = by_test.remove(&test).unwrap_or_default();
                *self = Self::OfAll(by_test);
                return Ok(own);
            }
            // One test's rows alone may still be all there are.
            if rows.len() > 1 {
                *self = Self::OfEach;
            }
        }
        Ok(rows.into_iter().filter(|row| row.test() == Some(test)).collect())
    }
}

/// The address without its credential.
pub(super) fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{}", host.trim_end_matches('/'))
}

pub(super) fn take(importing: &mut Importing, url: &str, notify: bool) -> Result<Taken, Failure> {
    let server = OldServer::new(url);
    take_small_tables(importing, &server)?;
    let mut taken = Taken::default();
    let mut activities = Listing::Unknown;
    let mut data = Listing::Unknown;
    server.each_page("/jobs/", "ordering=time&", |jobs: Vec<OldJob>| {
        for job in jobs {
            let (batch, endings) = read_job(&server, job, &mut activities, &mut data)?;
            taken.jobs += 1;
            taken.tests +=
                batch.records.iter().filter(|record| matches!(record, Record::Test { .. })).count();
            let kept = importing.app.keep_past(&importing.suite, batch, endings, notify);
            taken.executions += importing.runtime.block_on(kept)?.accepted;
            importing.progress(&format!("{}: {taken}", shown(url)));
        }
        Ok(())
    })?;
    Ok(taken)
}

/// A job as records, and the endings of its tests.
fn read_job(
    server: &OldServer,
    job: OldJob,
    activities: &mut Listing<OldActivity>,
    data: &mut Listing<OldDatum>,
) -> Result<(Batch, Vec<Ending>), Failure> {
    let asked = job.id.as_str().map_or_else(|| job.id.to_string(), str::to_owned);
    // Before 0.24 jobs had numbers, and the id of today was called otherwise.
    let id = match (&job.id, &job.uniqueident) {
        (Value::Number(_), Some(ident)) => ident.clone(),
        _ => asked.clone(),
    };
    let id = cut(&id, LONGEST_ID);
    let unique_ident = job.uniqueident.filter(|ident| *ident != id).map(|ident| cut(&ident, LONGEST_ID));
    let created_at =
        moment(job.time.as_deref()).ok_or_else(|| format!("job {id} has no time that can be read"))?;
    let attributes = JobAttributes {
        description: job.description.or(job.name).map(|text| cut(&text, LONGEST_TEXT)),
        status: job.status.as_deref().and_then(JobStatus::from_word),
        elapsed_seconds: job.elapsed_time.unwrap_or(0.0),
        timeout: job.timeout.unwrap_or(0).max(0),
        priority: job.priority.as_deref().and_then(Priority::from_word),
    };
    let mut records = vec![Record::Job(NewJob { unique_ident, attributes, created_at })];
    records.extend(job.activities.iter().filter_map(|activity| activity_record(activity, Of::Job)));
    let mut tests = job.tests;
    tests.sort_by_key(|test| test.id);
    let mut endings = Vec::new();
    for test in tests {
        let tag = cut(&test.tag, LONGEST_TEXT);
        let status = test.status.as_deref().and_then(TestStatus::from_any_word);
        records.push(Record::Test { tag: tag.clone(), status });
        let activities = activities.of(server, &asked, test.id, "activities")?;
        if let Some(status) = status {
            endings.push(ending(&tag, status, &activities, created_at));
        }
        records
            .extend(activities.iter().filter_map(|activity| activity_record(activity, Of::Tag(tag.clone()))));
        for datum in data.of(server, &asked, test.id, "data")? {
            let value = datum.value.map(|value| {
                let bytes = STANDARD.decode(&value).unwrap_or_else(|_| value.into_bytes());
                String::from_utf8_lossy(&bytes).replace('\0', "\u{FFFD}")
            });
            let (category, name) = (cut(&datum.category, LONGEST_TEXT), cut(&datum.key, LONGEST_TEXT));
            records.push(Record::Datum { of: Of::Tag(tag.clone()), category, name, value });
        }
    }
    Ok((Batch { job: id, records, repeatable: true }, endings))
}

fn activity_record(activity: &OldActivity, of: Of) -> Option<Record> {
    let status = activity.status.as_deref().and_then(TestStatus::from_any_word);
    let at = moment(Some(&activity.time))?;
    Some(Record::Activity { of, activity: cut(&activity.activity, LONGEST_TEXT), at, status })
}

/// How a test ended; when, as its activities tell, else when its job was made.
fn ending(tag: &str, status: TestStatus, activities: &[OldActivity], made_at: Timestamp) -> Ending {
    let at = |name: &str| {
        let found = activities.iter().find(|activity| activity.activity == name);
        found.and_then(|activity| moment(Some(&activity.time)))
    };
    let (started, ended) = (at("STARTED"), at("ENDED"));
    let duration = started.zip(ended).map(|(from, to)| to.as_microseconds() - from.as_microseconds());
    Ending {
        tag: tag.to_owned(),
        status,
        at: Some(ended.unwrap_or(made_at)),
        duration_us: duration.filter(|duration| *duration >= 0),
    }
}

fn moment(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(|text| Timestamp::parse_lenient(text).ok())
}

fn cut(text: &str, most: usize) -> String {
    text.replace('\0', "\u{FFFD}").chars().take(most).collect()
}

/// Takes over software and systems. What is there already stays; environments, of which equal ones are allowed, come only into
/// a suite without any.
fn take_small_tables(importing: &Importing, server: &OldServer) -> Result<(), Failure> {
    let kinds: Vec<OldName> = server.all("/softwarecomponentkinds/")?;
    let arches: Vec<OldName> = server.all("/softwarecomponentarches/")?;
    let components: Vec<OldComponent> = server.all("/softwarecomponents/")?;
    let distros: Vec<OldDistro> = server.all("/linuxdistros/")?;
    let environments: Vec<OldEnvironment> = server.all("/testenvironments/")?;
    let suite = importing.suite.id;
    let write = importing.app.write(move |db| {
        for (table, names) in [(KINDS, kinds), (ARCHES, arches)] {
            for OldName { name } in names {
                table.put(db, suite, None, &Label::named(cut(&name, LONGEST_TEXT)))?;
            }
        }
        for component in components {
            take_component(db, suite, component)?;
        }
        for distro in distros {
            DISTROS.put(db, suite, None, &distro.into())?;
        }
        let none_yet = ENVIRONMENTS.page(db, suite, Part { offset: 0, limit: 1 })?.total == 0;
        for environment in environments.into_iter().filter(|_| none_yet) {
            if let Some(environment) = Environment::of(db, suite, environment.distro.into())? {
                ENVIRONMENTS.put(db, suite, None, &environment)?;
            }
        }
        Ok(())
    });
    Ok(importing.runtime.block_on(write)?)
}

fn take_component(db: &mut Db<'_>, suite: SuiteId, component: OldComponent) -> Result<(), StorageError> {
    let OldComponent { name, version, release, checksum, kind, arch } = component;
    let kind = Label::find(db, suite, &KINDS, &kind)?;
    let (Some(kind), Some(arch)) = (kind, Label::find(db, suite, &ARCHES, &arch)?) else { return Ok(()) };
    let component = Component { kind, name, version, release, checksum, arch };
    COMPONENTS.put(db, suite, None, &component).map(|_| ())
}

impl From<OldDistro> for Distro {
    fn from(OldDistro { name, version, release, arch }: OldDistro) -> Self {
        Self { name, version, release, arch }
    }
}

/// A server that is read from.
struct OldServer {
    agent: Agent,
    base: String,
    authorization: Option<String>,
}

impl OldServer {
    fn new(url: &str) -> Self {
        let credential = url.split_once("://").and_then(|(_, rest)| Some(rest.split_once('@')?.0));
        let config =
            Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build();
        Self {
            agent: config.new_agent(),
            base: shown(url),
            authorization: credential.map(|credential| format!("Basic {}", STANDARD.encode(credential))),
        }
    }

    /// Gives every page of a collection to `visit`, in order.
    fn each_page<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &str,
        mut visit: impl FnMut(Vec<T>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for number in 1.. {
            let body = self.get(&format!("{}{path}?{query}page={number}", self.base))?;
            let page: Page<T> = serde_json::from_str(&body)
                .map_err(|error| format!("{path} does not answer as an Avocado Server does: {error}"))?;
            visit(page.results)?;
            if page.next.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Every row of a collection.
    fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Failure> {
        let mut rows = Vec::new();
        self.each_page(path, "", |page: Vec<T>| {
            rows.extend(page);
            Ok(())
        })?;
        Ok(rows)
    }

    fn get(&self, url: &str) -> Result<String, Failure> {
        let mut request = self.agent.get(url);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut answer = request.call().map_err(|error| format!("the server cannot be reached: {error}"))?;
        match answer.status().as_u16() {
            200 => Ok(answer.body_mut().with_config().limit(LARGEST_PAGE).read_to_string()?),
            401 | 403 => Err("the server asks for a credential, or refuses the one it got: put it into the address, as in http://USER:PASSWORD@HOST:9405; the address of a monitor-server ends in /api/v1".into()),
            status => Err(format!(
                "the server answered {status} at {url}: give the address of an Avocado Server, or of a monitor-server, which ends in /api/v1"
            )
            .into()),
        }
    }
}

/// An id as a part of a path.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
