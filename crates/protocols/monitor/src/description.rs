//! What is here, for people and programs: `/api/v1/docs` and `/api/v1/swagger.json`.

use crate::address::{Address, TABLE};
use axum::Json;
use axum::http::Method;
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Map, Value, json};

/// The page or the document.
pub(crate) fn answer(address: &Address) -> Response {
    match address {
        Address::Swagger => Json(document()).into_response(),
        _ => Html(page("swagger.json")).into_response(),
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
        let status = if *method == Method::POST { "201" } else { "200" };
        let answers = json!({ "responses": { status: { "description": "see docs/pytest-monitor.md" } } });
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

/// The page where the original has one, at the root of the server.
pub(crate) async fn front_page() -> Html<String> {
    Html(page("api/v1/swagger.json"))
}

/// The addresses for people; `document` is where they are described for programs, seen from the page.
fn page(document: &str) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>pytest-monitor</title>",
    );
    page.push_str(&format!(
        "<h1>pytest-monitor</h1><p>Described in <a href=\"{document}\">swagger.json</a>.</p><ul>"
    ));
    for (method, path, _) in TABLE {
        page.push_str(&format!("<li><code>{method} /api/v1{path}</code></li>"));
    }
    page.push_str("</ul></html>");
    page
}
