//! The commands of the public document, one after another on a fresh server, as curl sends them: with a user and a password.

use crate::setup::start;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casebook_testkit::{Reply, TestDatabase, TestServer, both_engines};
use serde_json::{Value, json};

both_engines!(every_command_has_its_documented_effect);

const ID: &str = "a0a272a09d2edda895bae4d75f5aebfad6562fb0";

struct Curl<'s> {
    server: &'s TestServer,
    user: String,
}

impl Curl<'_> {
    /// `curl -u USER:PASSWORD -H 'Content-Type: application/json' -X METHOD -d BODY URL`
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let request = self.server.request(method, path).header("Authorization", &self.user);
        match body {
            Some(body) => request.json(body).send(),
            None => request.send(),
        }
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        self.ask("GET", path, None).expect(200).json()
    }

    #[track_caller]
    fn post(&self, path: &str, status: u16, body: &Value) -> Value {
        self.ask("POST", path, Some(body)).expect(status).json()
    }

    #[track_caller]
    fn only(&self, path: &str) -> Value {
        let page = self.get(path);
        assert_eq!(page["count"], 1, "{path}: {page}");
        page["results"][0].clone()
    }
}

fn every_command_has_its_documented_effect(database: &TestDatabase) {
    let server = start(database);
    let first = server.first_start().expect("an empty database");
    let user = format!("Basic {}", STANDARD.encode(format!("{}:{}", first.user, first.password)));
    let curl = Curl { server: &server, user };

    let root = curl.get("/");
    assert_eq!(root["jobs"], format!("{}/jobs/", server.url()));
    assert_eq!(curl.get("/version/"), json!({ "version": "0.25.0" }));
    assert_eq!(curl.get("/jobstatuses/")["count"], 10);
    assert_eq!(curl.get("/teststatuses/")["count"], 5);

    let kind = json!({ "name": "rpm" });
    assert_eq!(curl.post("/softwarecomponentkinds/", 201, &kind), kind);
    let arch = json!({ "name": "x86_64" });
    assert_eq!(curl.post("/softwarecomponentarches/", 201, &arch), arch);
    let component = json!({
        "name": "foobar", "kind": "rpm", "arch": "x86_64", "version": "1.0", "release": "0",
        "checksum": "0f2dcc6cc8d3b2e7d09b7e2dbc6ff9b8",
    });
    assert_eq!(curl.post("/softwarecomponents/", 201, &component), component);
    assert_eq!(curl.only("/softwarecomponents/"), component);
    let distro = json!({ "name": "avocadix", "version": "1", "release": "0", "arch": "x86_64" });
    assert_eq!(curl.post("/linuxdistros/", 201, &distro), distro);
    let environment = json!({ "distro": distro, "installed_software_components": [] });
    assert_eq!(curl.post("/testenvironments/", 201, &json!({ "distro": distro })), environment);
    assert_eq!(curl.only("/testenvironments/"), environment);

    let job =
        curl.post("/jobs/", 201, &json!({ "id": ID, "description": "foobar job", "status": "NOSTATUS" }));
    assert_eq!(curl.only("/jobs/"), job);
    let path = format!("/jobs/{ID}");
    assert_eq!(curl.get(&format!("{path}/")), job);
    let activity = json!({ "activity": "JOB_START", "time": "2013-05-02 00:00:01" });
    let added = json!({ "status": "job activity added" });
    assert_eq!(curl.post(&format!("{path}/activities/"), 200, &activity), added);
    let expected = json!({ "job": ID, "activity": "JOB_START", "time": "2013-05-02T05:00:01Z" });
    assert_eq!(curl.only(&format!("{path}/activities/")), expected);

    for (tag, status) in [("firsttest", "PASS"), ("secondtest", "PASS"), ("failtest", "FAIL")] {
        let test = json!({ "tag": tag, "status": status });
        assert_eq!(curl.post(&format!("{path}/tests/"), 200, &test), json!({ "status": "test added" }));
    }
    let third = json!({ "id": 3, "job": ID, "tag": "failtest", "status": "FAIL" });
    assert_eq!(curl.get(&format!("{path}/tests/"))["results"][2], third);
    assert_eq!(curl.get(&format!("{path}/tests/?ordering=-tag"))["results"][0]["tag"], "secondtest");
    // The document counts jobs from one, and leaves the slash out.
    assert_eq!(curl.get("/jobs/1/passrate"), json!({ "passrate": 66.67 }));

    let activity = json!({ "activity": "SETUP", "time": "2013-05-02T00:01:01+02:00", "status": "PASS" });
    let added = json!({ "status": "test activity added" });
    assert_eq!(curl.post("/jobs/1/tests/3/activities/", 200, &activity), added);
    let expected =
        json!({ "test": 3, "activity": "SETUP", "time": "2013-05-01T22:01:01Z", "status": "PASS" });
    assert_eq!(curl.only("/jobs/1/tests/3/activities/"), expected);
    assert_eq!(curl.get("/jobs/1/tests/3/"), third);
    let datum = json!({ "category": "log_file_path", "key": "debug.log", "value": "/home/tester/debug.log" });
    assert_eq!(curl.post("/jobs/1/tests/3/data/", 200, &datum), json!({ "status": "test data added" }));
    let value = STANDARD.encode("/home/tester/debug.log");
    let expected = json!({ "test": 3, "category": "log_file_path", "key": "debug.log", "value": value });
    assert_eq!(curl.only("/jobs/1/tests/3/data/"), expected);

    let changed =
        curl.ask("PATCH", &format!("{path}/"), Some(&json!({ "status": "FAIL", "elapsed_time": 75 })));
    let changed = changed.expect(200);
    assert!(changed.text().contains("\"elapsed_time\":75.0"), "{}", changed.text());
    assert_eq!(curl.get("/jobs/?ordering=-status")["results"][0]["status"], "FAIL");
    assert_eq!(curl.get("/jobs/summary/"), json!({ "passed": 0, "failed": 1, "other": 0 }));
    let _ = curl.ask("DELETE", &format!("{path}/tests/3/"), None).expect(204);
    assert_eq!(curl.get("/jobs/1/passrate"), json!({ "passrate": 100.0 }));
    let _ = curl.ask("DELETE", &format!("{path}/"), None).expect(204);
    assert_eq!(curl.get("/jobs/")["count"], 0);
    let refusal = json!({ "detail": "Not found" });
    assert_eq!(curl.ask("GET", "/jobs/?page=2", None).expect(404).json(), refusal);
}
