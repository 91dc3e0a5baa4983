//! What holds at every address of Avocado's API (its contract, sections 1 and 2).

use crate::avocado::{Avocado, assert_refused, not_found};
use casebook_testkit::{Form, TestDatabase, both_engines};
use serde_json::{Value, json};

both_engines!(
    the_root_lists_every_address,
    the_version_depends_on_the_slash,
    unknown_addresses_are_pages,
    every_answer_has_its_headers,
    collections_come_in_pages_of_ten,
    bodies_are_json_or_forms,
    bad_bodies_are_told,
    fixed_rows_are_complete_and_fixed,
    kinds_arches_and_components,
    distributions_and_environments,
    environments_are_machines,
);

fn the_root_lists_every_address(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let url = avocado.server.url();
    let names = [
        "jobstatuses",
        "teststatuses",
        "softwarecomponentkinds",
        "softwarecomponentarches",
        "softwarecomponents",
        "linuxdistros",
        "testenvironments",
        "jobs",
    ];
    let expected: Vec<String> = names.iter().map(|name| format!("\"{name}\":\"{url}/{name}/\"")).collect();
    assert_eq!(avocado.get("/").expect(200).text(), format!("{{{}}}", expected.join(",")));
    for name in names {
        let _ = avocado.get(&format!("/{name}/")).expect(200);
        let _ = avocado.get(&format!("/{name}")).expect(200);
    }
    // Addresses are those by which the client came.
    let other = avocado.request("GET", "/").header("Host", "ci.example.com:8080").send().expect(200).json();
    assert_eq!(other["jobs"], "http://ci.example.com:8080/jobs/");
    assert_refused(&avocado.post("/", &json!({})), 405, &json!({ "detail": "Method 'POST' not allowed." }));
}

fn the_version_depends_on_the_slash(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    assert_eq!(avocado.json("/version"), json!({ "version": "0.2.0" }));
    assert_eq!(avocado.json("/version/"), json!({ "version": "0.25.0" }));
    for path in ["/version", "/version/"] {
        // The shipped client asks before it knows anything else.
        let _ = avocado.server.get(path).send().expect(200);
        let refusal = json!({ "detail": "You do not have permission to perform this action." });
        assert_refused(&avocado.post(path, &json!({})), 403, &refusal);
        let refusal = json!({ "detail": "Authentication credentials were not provided." });
        assert_refused(&avocado.server.post(path).json(&json!({})).send(), 403, &refusal);
    }
}

fn unknown_addresses_are_pages(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    for path in ["/x/", "/jobs/1/x/", "/jobpriorities/", "/jobs/1/tests/1/x/", "/jobs/%FF/"] {
        let reply = avocado.get(path).expect(404);
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{path}");
        assert!(reply.text().contains("Not Found"), "{path}");
    }
    let page = avocado.get("/a'b&c/").expect(404).text();
    assert!(page.contains("/a&#x27;b&amp;c/"), "{page}");
    // What lies below /api/ is ours.
    let ours = avocado.get("/api/nothing").expect(404).json();
    assert_eq!(ours["error"], ours["message"]);
}

fn every_answer_has_its_headers(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    avocado.job("a1");
    for (path, allow) in [
        ("/jobs/", "GET, POST, HEAD, OPTIONS"),
        ("/jobs/a1/", "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"),
        ("/jobs/nothing/", "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"),
        ("/jobs/summary/", "GET, HEAD, OPTIONS"),
        ("/jobs/a1/passrate", "GET, HEAD, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
        ("/jobstatuses/", "GET, HEAD, OPTIONS"),
        ("/jobs/a1/activity/", "POST, OPTIONS"),
        ("/version/", "GET, HEAD, OPTIONS"),
    ] {
        for method in ["GET", "HEAD", "POST", "OPTIONS", "DELETE"] {
            if (method, path) == ("DELETE", "/jobs/a1/") {
                continue;
            }
            let reply = avocado.request(method, path).send();
            assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{method} {path}");
            assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
            if method == "OPTIONS" {
                let told = reply.expect(200).json();
                assert_eq!(told["renders"], json!(["application/json"]), "{path}");
                assert_eq!(told["parses"], json!(["application/json"]), "{path}");
                assert!(told["name"].is_string() && told["description"].is_string(), "{path}");
            } else if method == "HEAD" {
                assert!(reply.body.is_empty(), "{path}");
                let get = avocado.get(path);
                assert_eq!(reply.status, get.status, "{path}");
            }
        }
    }
    let refusal = json!({ "detail": "Method 'PUT' not allowed." });
    assert_refused(&avocado.put("/jobs/", &json!({})), 405, &refusal);
    let refusal = json!({ "detail": "Method 'GET' not allowed." });
    assert_refused(&avocado.get("/jobs/a1/activity/"), 405, &refusal);
}

fn collections_come_in_pages_of_ten(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let empty = json!({ "count": 0, "next": null, "previous": null, "results": [] });
    for path in ["/jobs/", "/jobs/?page=1", "/jobs/?page=", "/jobs/?page=last", "/softwarecomponents/"] {
        assert_eq!(avocado.json(path), empty, "{path}");
    }
    for number in 0..23 {
        let _ = avocado
            .post("/jobs/", &json!({ "id": format!("job-{number:02}"), "status": "PASS" }))
            .expect(201);
    }
    let url = avocado.server.url();
    let first = avocado.json("/jobs/?x=a%20b%26");
    assert_eq!(first["count"], 23);
    assert_eq!(first["results"].as_array().unwrap().len(), 10);
    assert_eq!(first["previous"], Value::Null);
    assert_eq!(first["next"], format!("{url}/jobs/?x=a+b%26&page=2"));
    let second = avocado.json("/jobs?page=2");
    assert_eq!(second["next"], format!("{url}/jobs/?page=3"));
    assert_eq!(second["previous"], format!("{url}/jobs/?page=1"));
    let last = avocado.json("/jobs/?page=last&page_size=5");
    assert_eq!(last["next"], Value::Null);
    assert_eq!(last["results"].as_array().unwrap().len(), 3);
    assert_eq!(last["results"], avocado.json("/jobs/?page=3")["results"]);
    let ids: Vec<Value> = avocado.rows("/jobs/").iter().map(|job| job["id"].clone()).collect();
    let expected: Vec<Value> = (0..23).map(|number| json!(format!("job-{number:02}"))).collect();
    assert_eq!(ids, expected);
    let ids: Vec<Value> = avocado.rows("/jobs/?ordering=-time").iter().map(|job| job["id"].clone()).collect();
    assert!(ids.iter().eq(expected.iter().rev()), "{ids:?}");
    for page in ["0", "-1", "4", "x", "1.5", "99999999999999999999", "1e1"] {
        assert_refused(&avocado.get(&format!("/jobs/?page={page}")), 404, &not_found());
    }
}

fn bodies_are_json_or_forms(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let path = "/softwarecomponentkinds/";
    assert_eq!(
        avocado.form(path, &[("name", "r p&m"), ("x", "y")]).expect(201).json(),
        json!({ "name": "r p&m" })
    );
    let form = Form::new().field("name", "k\u{e4}se");
    let request = avocado.request("POST", path).header("Content-Type", &Form::content_type());
    assert_eq!(request.bytes(form.body()).send().expect(201).json(), json!({ "name": "k\u{e4}se" }));
    let request = avocado.request("POST", path).header("Content-Type", "application/json; charset=utf-8");
    assert_eq!(request.bytes(r#"{"name": 5}"#).send().expect(201).json(), json!({ "name": "5" }));
    let refusal = json!({ "name": ["This field is required."] });
    assert_refused(&avocado.request("POST", path).send(), 400, &refusal);
    let request = avocado.request("POST", path).header("Content-Type", "text/plain").bytes("name=a");
    assert_refused(
        &request.send(),
        415,
        &json!({ "detail": "Unsupported media type 'text/plain' in request." }),
    );
    // What changes something takes JSON alone.
    let form = "application/x-www-form-urlencoded";
    let request = avocado.request("PUT", "/softwarecomponentkinds/1/").header("Content-Type", form);
    let refusal = json!({ "detail": format!("Unsupported media type '{form}' in request.") });
    assert_refused(&request.bytes("name=a").send(), 415, &refusal);
}

fn bad_bodies_are_told(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let raw = |body: &str| {
        avocado.request("POST", "/jobs/").header("Content-Type", "application/json").bytes(body).send()
    };
    for body in ["{", "{\"status\": \"PASS\",}", "nothing", "{\"id\": \"\\ud800\"}"] {
        let reply = raw(body).expect(400).json();
        let detail = reply["detail"].as_str().expect("a text").to_owned();
        assert!(detail.starts_with("JSON parse error - "), "{detail}");
    }
    let refusal = json!({ "non_field_errors": ["Invalid data. Expected a dictionary, but got list."] });
    assert_refused(&raw("[]"), 400, &refusal);
    let all = raw(r#"{"id": "", "status": "x", "elapsed_time": "x", "description": ["x"], "timeout": 1.5}"#);
    let refusal = json!({
        "id": ["This field may not be blank."],
        "status": ["Object with name=x does not exist."],
        "elapsed_time": ["A valid number is required."],
        "description": ["Not a valid string."],
    });
    assert_eq!(all.status, 400);
    for (name, texts) in refusal.as_object().unwrap() {
        assert_eq!(&all.json()[name], texts);
    }
    assert_eq!(avocado.json("/jobs/")["count"], 0);
    let nul = raw(r#"{"id": "a\u0000", "status": "PASS"}"#);
    assert_refused(&nul, 400, &json!({ "id": ["Null characters are not allowed."] }));
}

fn fixed_rows_are_complete_and_fixed(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let jobs = [
        ("TEST_NA", ""),
        ("ABORT", "Job was removed from queue before completion"),
        ("ERROR", ""),
        ("FAIL", ""),
        ("WARN", ""),
        ("PASS", "Job finished running successfull"),
        ("START", "Job just started running"),
        ("ALERT", ""),
        ("RUNNING", "Job is currently being executed"),
        ("NOSTATUS", "Job has no recognizable status"),
    ];
    let tests = [
        ("PASS", "Test succeeded"),
        ("ERROR", "Test had an error"),
        ("FAIL", "Test failed"),
        ("TEST_NA", "Test was skipped"),
        ("WARN", "Test generated warnings"),
    ];
    for (table, rows) in [("jobstatuses", &jobs[..]), ("teststatuses", &tests[..])] {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(name, description)| json!({ "name": name, "description": description }))
            .collect();
        let expected = json!({ "count": rows.len(), "next": null, "previous": null, "results": rows });
        assert_eq!(avocado.json(&format!("/{table}/")), expected);
        for (index, row) in rows.iter().enumerate() {
            assert_eq!(&avocado.json(&format!("/{table}/{}/", index + 1)), row);
        }
        for row in ["0", "11", "PASS", "-1"] {
            assert_refused(&avocado.get(&format!("/{table}/{row}/")), 404, &not_found());
        }
        let refusal = json!({ "detail": "You do not have permission to perform this action." });
        for (method, path) in [("POST", ""), ("PUT", "1/"), ("PATCH", "1/"), ("DELETE", "1/")] {
            let path = format!("/{table}/{path}");
            assert_refused(&avocado.request(method, &path).json(&json!({})).send(), 403, &refusal);
            let anonymous = json!({ "detail": "Authentication credentials were not provided." });
            assert_refused(&avocado.server.request(method, &path).json(&json!({})).send(), 403, &anonymous);
        }
    }
}

fn kinds_arches_and_components(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    for path in ["/softwarecomponentkinds/", "/softwarecomponentarches/"] {
        assert_eq!(avocado.rows(path), [json!({ "name": "unknown" })]);
        assert_eq!(
            avocado.post(path, &json!({ "name": "rpm" })).expect(201).json(),
            json!({ "name": "rpm" })
        );
        let refusal = json!({ "name": ["This field must be unique."] });
        assert_refused(&avocado.post(path, &json!({ "name": "rpm" })), 400, &refusal);
        let refusal = json!({ "name": ["Ensure this field has no more than 20 characters."] });
        assert_refused(&avocado.post(path, &json!({ "name": "x".repeat(21) })), 400, &refusal);
        let refusal = json!({ "name": ["This field may not be blank."] });
        assert_refused(&avocado.post(path, &json!({ "name": "" })), 400, &refusal);
        let refusal = json!({ "name": ["This field may not be null."] });
        assert_refused(&avocado.post(path, &json!({ "name": null })), 400, &refusal);
        assert_eq!(avocado.json(&format!("{path}2/")), json!({ "name": "rpm" }));
        assert_eq!(
            avocado.put(&format!("{path}2/"), &json!({ "name": "deb" })).expect(200).json(),
            json!({ "name": "deb" })
        );
        assert_eq!(
            avocado.patch(&format!("{path}2/"), &json!({})).expect(200).json(),
            json!({ "name": "deb" })
        );
        let refusal = json!({ "name": ["This field is required."] });
        assert_refused(&avocado.put(&format!("{path}2/"), &json!({})), 400, &refusal);
        assert_eq!(avocado.get(&format!("{path}9/")).status, 404);
    }
    let component = json!({
        "name": "foo", "version": "1.0", "release": "2", "checksum": "abc", "kind": "deb", "arch": "unknown",
    });
    let path = "/softwarecomponents/";
    assert_eq!(avocado.post(path, &component).expect(201).json(), component);
    let refusal = json!({
        "non_field_errors": ["The fields kind, name, version, release, checksum, arch must make a unique set."],
    });
    assert_refused(&avocado.post(path, &component), 400, &refusal);
    let refusal = json!({
        "name": ["This field is required."],
        "version": ["This field is required."],
        "release": ["This field is required."],
        "checksum": ["This field is required."],
        "kind": ["Object with name=nothing does not exist."],
        "arch": ["This field may not be null."],
    });
    assert_refused(&avocado.post(path, &json!({ "kind": "nothing", "arch": null })), 400, &refusal);
    // What is referred to stays; a new name is seen through.
    let _ = avocado.delete("/softwarecomponentkinds/2/").expect(409);
    let _ = avocado.put("/softwarecomponentkinds/2/", &json!({ "name": "flatpak" })).expect(200);
    assert_eq!(avocado.json("/softwarecomponents/1/")["kind"], "flatpak");
    let changed = avocado.patch("/softwarecomponents/1/", &json!({ "version": "1.1", "kind": "unknown" }));
    assert_eq!(changed.expect(200).json()["version"], "1.1");
    let _ = avocado.delete("/softwarecomponentkinds/2/").expect(204);
    let _ = avocado.delete("/softwarecomponents/1/").expect(204);
    assert_refused(&avocado.delete("/softwarecomponents/1/"), 404, &not_found());
    assert_eq!(avocado.json(path)["count"], 0);
}

fn distributions_and_environments(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let unknown = json!({ "name": "unknown", "version": "0", "release": "0", "arch": "unknown" });
    assert_eq!(avocado.rows("/linuxdistros/"), std::slice::from_ref(&unknown));
    let fedora = json!({ "name": "fedora", "version": "22", "release": "", "arch": "x86_64" });
    let given = json!({ "name": "fedora", "version": 22, "arch": "x86_64" });
    assert_eq!(avocado.post("/linuxdistros/", &given).expect(201).json(), fedora);
    let refusal =
        json!({ "non_field_errors": ["The fields name, version, release, arch must make a unique set."] });
    assert_refused(&avocado.post("/linuxdistros/", &given), 400, &refusal);
    let refusal = json!({ "release": ["This field may not be blank."] });
    assert_refused(&avocado.post("/linuxdistros/", &fedora), 400, &refusal);

    let path = "/testenvironments/";
    let row = |distro: &Value| json!({ "distro": distro, "installed_software_components": [] });
    let given = json!({ "distro": fedora, "installed_software_components": [1] });
    assert_eq!(avocado.post(path, &given).expect(201).json(), row(&fedora));
    assert_eq!(avocado.post(path, &given).expect(201).json(), row(&fedora));
    assert_eq!(avocado.post(path, &json!({ "distro": unknown })).expect(201).json(), row(&unknown));
    assert_refused(&avocado.post(path, &json!({})), 400, &json!({ "distro": ["This field is required."] }));
    for bad in [
        json!({ "name": "fedora" }),
        json!("fedora"),
        json!({ "name": "x", "version": "1", "release": "", "arch": "y" }),
    ] {
        let reply = avocado.post(path, &json!({ "distro": bad })).expect(400).json();
        assert!(reply["distro"][0].is_string(), "{reply}");
    }
    // As forms write the parts of an object.
    let parts = [
        ("distro.name", "fedora"),
        ("distro.version", "22"),
        ("distro.release", ""),
        ("distro.arch", "x86_64"),
    ];
    assert_eq!(avocado.form(path, &parts).expect(201).json(), row(&fedora));
    let _ = avocado.delete("/testenvironments/4/").expect(204);
    assert_eq!(
        avocado.put("/testenvironments/3/", &json!({ "distro": fedora })).expect(200).json(),
        row(&fedora)
    );
    assert_eq!(avocado.rows(path).len(), 3);
    let _ = avocado.delete("/testenvironments/1/").expect(204);
    // Environments go with their distribution.
    let _ = avocado.delete("/linuxdistros/2/").expect(204);
    assert_eq!(avocado.json(path)["count"], 0);
}

fn environments_are_machines(database: &TestDatabase) {
    let avocado = Avocado::start(database);
    let machines = |query: &str| {
        let path = format!("/api/casebook/v1/suites/acme/virt/machines{query}");
        let page = avocado.json(&path);
        let shown = |machine: &Value| {
            let text = |name: &str| machine[name].as_str().unwrap_or("-").to_owned();
            [text("protocol"), text("key"), text("system"), text("machine_type")].join(", ")
        };
        let items: Vec<String> = page["items"].as_array().expect("items").iter().map(shown).collect();
        (items, page["next"].clone())
    };
    // A distribution alone is none.
    let distro = json!({ "name": "fedora", "version": "22", "release": "0", "arch": "x86_64" });
    let _ = avocado.post("/linuxdistros/", &distro).expect(201);
    assert_eq!(machines(""), (Vec::new(), Value::Null));
    for _ in 0..2 {
        let _ = avocado.post("/testenvironments/", &json!({ "distro": distro })).expect(201);
    }
    let fedora = "avocado, fedora/22/0/x86_64, fedora 22 0, x86_64";
    assert_eq!(machines("").0, [fedora]);
    // What describes a machine otherwise describes another one; tests ran on the first.
    let _ = avocado.patch("/linuxdistros/2/", &json!({ "release": "1" })).expect(200);
    let changed = "avocado, fedora/22/1/x86_64, fedora 22 1, x86_64";
    assert_eq!(machines("").0, [changed, fedora]);
    let _ = avocado.delete("/linuxdistros/2/").expect(204);
    let (first, next) = machines("?limit=1");
    assert_eq!(first, [changed]);
    let rest = machines(&format!("?limit=1&after={}", next.as_str().expect("more")));
    assert_eq!(rest, (vec![fedora.to_owned()], Value::Null));
    let path = "/api/casebook/v1/suites/acme/virt/machines?after=x";
    let _ = avocado.get(path).expect(400);
}
