//! What is here, for people and programs: `/api/v1/docs` and `/api/v1/swagger.json`.

use crate::address::{Address, TABLE};
use axum::Json;
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Map, Value, json};

/// The page or the document.
pub(crate) fn answer(address: &Address) -> Response {
    match address {
        Address::Swagger => Json(document()).into_response(),
        _ => Html(page()).into_response(),
    }
}

/// Swagger 2.0.
fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for (method, path, _) in TABLE {
        let names = path.split('{').skip(1).filter_map(|part| part.split('}').next());
        let parameters: Vec<Value> = names
            .map(|name| json!({ "name": name, "in": "path", "required": true, "type": "string" }))
            .collect();
        let answers = json!({ "responses": { "200": { "description": "see docs/pytest-monitor.md" } } });
        let entry = paths.entry((*path).to_owned()).or_insert_with(|| json!({ "parameters": parameters }));
        entry[method.as_str().to_ascii_lowercase()] = answers;
    }
    json!({
        "swagger": "2.0",
        "basePath": "/api/v1",
        "info": { "title": "Casebook: pytest-monitor", "version": env!("CARGO_PKG_VERSION") },
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": paths,
    })
}

fn page() -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>pytest-monitor</title>",
    );
    page.push_str(
        "<h1>pytest-monitor</h1><p>Described in <a href=\"swagger.json\">swagger.json</a>.</p><ul>",
    );
    for (method, path, _) in TABLE {
        page.push_str(&format!("<li><code>{method} /api/v1{path}</code></li>"));
    }
    page.push_str("</ul></html>");
    page
}
