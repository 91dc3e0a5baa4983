//! Bodies of webhooks (contract, 5.1): exactly these keys in this order.

use crate::{names, time};
use casebook_app::webhooks::Announcement;
use casebook_model::suite::{Suite, canonical_check};
use casebook_model::webhook::EventKind;
use serde::Serialize;
use std::borrow::Cow;

#[derive(Serialize)]
struct Body<'a> {
    action: &'static str,
    repository: Repository<'a>,
    test_suite: TestSuite<'a>,
    test_case: TestCase<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_sha: Option<&'a str>,
}

#[derive(Serialize)]
struct Repository<'a> {
    name: &'a str,
    org: &'a str,
}

#[derive(Serialize)]
struct TestSuite<'a> {
    name: &'a str,
    provider: &'a str,
}

#[derive(Serialize)]
struct TestCase<'a> {
    name: &'a str,
    class_name: &'a str,
    first_occurrence: String,
    last_occurrence: String,
    last_24_hours_count: i64,
}

/// The bytes that are sent for an announcement.
#[must_use]
pub fn render(announcement: &Announcement) -> Vec<u8> {
    let Announcement {
        event,
        suite,
        class_name,
        name,
        first_evidence_at,
        last_evidence_at,
        last_24_hours,
        commit,
    } = announcement;
    let action = match event {
        EventKind::NewFlakyTest | EventKind::Test => "new_flaky_test",
        EventKind::ResolvedFlakyTest => "resolved_flaky_test",
    };
    let (org, repository) = repository(suite);
    let body = Body {
        action,
        repository: Repository { name: repository, org },
        test_suite: TestSuite {
            name: &check(suite),
            provider: suite.attributes.provider.as_deref().map_or("", names::provider),
        },
        test_case: TestCase {
            name,
            class_name,
            first_occurrence: time::text(*first_evidence_at),
            last_occurrence: time::text(*last_evidence_at),
            last_24_hours_count: *last_24_hours,
        },
        commit_sha: commit.as_deref(),
    };
    // Texts and numbers always have a form in JSON.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// Owner and name of the suite's repository; the slugs of organization and suite if it is not known.
fn repository(suite: &Suite) -> (&str, &str) {
    let known = suite.attributes.repository.as_ref().and_then(|known| known.as_str().rsplit_once('/'));
    known.unwrap_or((suite.organization.slug.as_str(), suite.slug.as_str()))
}

/// The suite's check; its slug if it is not known.
fn check(suite: &Suite) -> Cow<'_, str> {
    suite.attributes.check.as_deref().map_or_else(|| suite.slug.as_str().into(), canonical_check)
}

#[cfg(test)]
mod tests {
    use super::*;
    use casebook_model::id::{OrganizationId, SuiteId};
    use casebook_model::suite::{Organization, RepositoryName, Slug, SuiteAttributes};
    use casebook_model::time::Timestamp;

    fn suite(attributes: SuiteAttributes) -> Suite {
        let organization = Organization { id: OrganizationId(1), slug: Slug::parse("acme").unwrap() };
        let slug = Slug::parse("cart").unwrap();
        let (created_at, default_branch_since) = (Timestamp(0), Timestamp(0));
        Suite { id: SuiteId(1), organization, slug, attributes, created_at, default_branch_since }
    }

    fn announcement(event: EventKind, suite: Suite) -> Announcement {
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
        Announcement {
            event,
            suite,
            class_name: "core.payments.SecurityCodeTest".to_owned(),
            name: "test_invalid_security_code".to_owned(),
            first_evidence_at: at("2022-11-16T17:21:41.350499Z"),
            last_evidence_at: at("2022-11-18T11:13:23.123610Z"),
            last_24_hours: 5,
            commit: Some("c576a61d26f72ad335660bdaefa4d63306c5752c".to_owned()),
        }
    }

    #[test]
    fn the_documented_example_to_the_byte() {
        let suite = suite(SuiteAttributes {
            repository: Some(RepositoryName::parse("repo_org/repo_name").unwrap()),
            check: Some("ci/circleci: unit-tests".to_owned()),
            provider: Some("circleci".to_owned()),
            ..SuiteAttributes::named("cart")
        });
        let body = String::from_utf8(render(&announcement(EventKind::NewFlakyTest, suite))).unwrap();
        let expected = r#"{"action":"new_flaky_test","repository":{"name":"repo_name","org":"repo_org"},"test_suite":{"name":"ci/circleci: unit-tests","provider":"CircleCI"},"test_case":{"name":"test_invalid_security_code","class_name":"core.payments.SecurityCodeTest","first_occurrence":"2022-11-16T17:21:41.350499","last_occurrence":"2022-11-18T11:13:23.123610","last_24_hours_count":5},"commit_sha":"c576a61d26f72ad335660bdaefa4d63306c5752c"}"#;
        assert_eq!(body, expected);
    }

    #[test]
    fn what_is_not_known_has_a_value_or_no_key() {
        let suite = suite(SuiteAttributes::named("cart"));
        let mut announcement = announcement(EventKind::ResolvedFlakyTest, suite);
        (announcement.commit, announcement.last_24_hours) = (None, 0);
        announcement.first_evidence_at = Timestamp(1_000_000);
        let body: serde_json::Value = serde_json::from_slice(&render(&announcement)).unwrap();
        assert_eq!(body["action"], "resolved_flaky_test");
        assert_eq!(body["repository"], serde_json::json!({ "name": "cart", "org": "acme" }));
        assert_eq!(body["test_suite"], serde_json::json!({ "name": "cart", "provider": "" }));
        assert_eq!(body["test_case"]["first_occurrence"], "1970-01-01T00:00:01.000000");
        assert!(body.get("commit_sha").is_none(), "{body}");
    }
}
