//! Metrics of pytest-monitor: what is taken and what is not.

use crate::monitor_setup::{Monitor, metrics};
use crate::setup::start;
use casebook_testkit::{TestDatabase, both_engines};
use serde_json::{Value, json};

both_engines!(wrong_metrics_name_every_wrong_field, doubles_come_back_bit_by_bit,);

fn wrong_metrics_name_every_wrong_field(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::new(&server);
    let good = metrics(&[0])[0].clone();
    let refused = |body: &Value| {
        let answer = monitor.post("/metrics/", body).expect(400).json();
        assert!(answer["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
        let mut fields: Vec<String> = answer["errors"].as_object().unwrap().keys().cloned().collect();
        fields.sort();
        fields
    };
    let mut all: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
    all.sort();
    assert_eq!(refused(&json!({})), all);
    for field in &all {
        let mut missing = good.clone();
        missing.as_object_mut().unwrap().remove(field);
        assert_eq!(refused(&missing), [field.as_str()]);
        let is_number = good[field].is_number();
        let wrong =
            [json!(null), json!(true), json!([]), json!({}), if is_number { json!("1") } else { json!(1) }];
        for value in wrong {
            let mut body = good.clone();
            body[field] = value.clone();
            assert_eq!(refused(&body), [field.as_str()], "{value}");
        }
    }
    let mut several = good.clone();
    several["cpu_usage"] = json!(null);
    several["item"] = json!(7);
    assert_eq!(refused(&several), ["cpu_usage", "item"]);
    for body in [json!([good]), json!("x"), json!(null)] {
        assert_eq!(refused(&body), [""], "{body}");
    }
    for text in ["", "{", "{\"cpu_usage\": NaN}", "nonsense"] {
        let request =
            server.post("/api/v1/metrics/").token(&monitor.token).header("Content-Type", "application/json");
        assert!(!request.bytes(text).send().expect(400).message().is_empty(), "{text}");
    }
    let infinite = good.to_string().replace("\"mem_usage\":0.3671875", "\"mem_usage\":1e999");
    let request =
        server.post("/api/v1/metrics/").token(&monitor.token).header("Content-Type", "application/json");
    assert_eq!(
        request.bytes(infinite).send().expect(400).json()["errors"].as_object().map(serde_json::Map::len),
        Some(1)
    );
    let request = server.post("/api/v1/metrics/").token(&monitor.token).header("Content-Type", "text/plain");
    assert_eq!(request.bytes(good.to_string()).send().status, 400);
    assert_eq!(monitor.count("/metrics/count"), 0);

    // Names of the documentation, unknown members, and other types of JSON are taken.
    let mut documented = good.clone();
    for (name, documented_name) in
        [("context_h", "ctx_h"), ("total_time", "wall_time"), ("kernel_time", "krnl_time")]
    {
        let value = documented.as_object_mut().unwrap().remove(name).unwrap();
        documented[documented_name] = value;
    }
    documented["unknown"] = json!({});
    let request = server.post("/api/v1/metrics/").token(&monitor.token);
    let request = request.header("Content-Type", "application/vnd.x+json; charset=utf-8");
    assert_eq!(request.bytes(documented.to_string()).send().expect(201).json(), good);
    assert_eq!(monitor.post("/metrics/", &good).expect(201).json(), good);
    assert_eq!(monitor.count("/metrics/count"), 2);
}

fn doubles_come_back_bit_by_bit(database: &TestDatabase) {
    let server = start(database);
    let monitor = Monitor::new(&server);
    let texts = [
        "0.1",
        "5e-324",
        "1.7976931348623157e308",
        "2.2250738585072011e-308",
        "0.30000000000000004",
        "-0.0",
        "9007199254740993",
        "1",
        "123456789.12345679",
        "8.41e21",
        "7.2057594037927933e16",
        "0.000001",
    ];
    for text in texts {
        let metric =
            metrics(&[0])[0].to_string().replace("\"mem_usage\":0.3671875", &format!("\"mem_usage\":{text}"));
        let request =
            server.post("/api/v1/metrics/").token(&monitor.token).header("Content-Type", "application/json");
        let posted = request.bytes(metric).send().expect(201).text();
        let listed = monitor.get("/metrics/?page=-1").expect(200).text();
        for answer in [posted, listed] {
            let shown = answer.rsplit("\"mem_usage\":").next().unwrap();
            let shown: String = shown.chars().take_while(|c| !",}".contains(*c)).collect();
            let (sent, shown): (f64, f64) = (text.parse().unwrap(), shown.parse().unwrap());
            assert_eq!(sent.to_bits(), shown.to_bits(), "{text}");
        }
    }
}
