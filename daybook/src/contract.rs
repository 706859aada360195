//! What the operations of the API have in common, added to its description once.
//!
//! A route says what it takes and what it answers when all goes well. Everything else follows from what it is: whether it
//! has a body or an id in its path, whether it is a command or a read, and what the rule of its action can answer. So a new
//! route has its refusals and headers without a word, and none is described differently from the others.

mod headers;
mod refusals;

use shared::domain::access::{Action, Answer, Rule};
use shared::domain::blocks::schema;
use shared::process::http::operations;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{HttpMethod, OpenApi, Ref, RefOr, Response, Schema};

use headers::{Header, RequestHeader};
use refusals::{REFUSALS, Refusal};

const BEARER: &str = "bearer";

/// Completes the description of all routes.
pub(crate) fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    components.schemas.extend(schema::components());
    for described in components.schemas.values_mut() {
        tell_blocks_apart(described);
    }
    components
        .responses
        .extend(REFUSALS.iter().map(|refusal| (refusal.name.to_owned(), refusal.response().into())));
    components
        .headers
        .extend(Header::ALL.into_iter().map(|header| (header.name().to_owned(), header.described().into())));
    for header in RequestHeader::ALL {
        components.parameters.insert(header.name().to_owned(), header.described().into());
    }
    components.add_security_scheme(BEARER, token());
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let traits = Traits::of(&method, path, operation);
            traits.complete(operation);
        }
    }
}

/// What an operation is, as far as its refusals and headers follow from it.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "an operation has any combination of these")]
struct Traits {
    /// It takes a JSON body.
    has_body: bool,
    /// Its path has an id.
    has_id: bool,
    /// It takes parameters of the query.
    has_query: bool,
    /// Who may do it.
    rule: Rule,
    /// It is recorded, and answers with its position.
    is_command: bool,
    /// It changes something that has a version.
    is_change: bool,
    /// It answers what the read tables have.
    is_read: bool,
}

impl Traits {
    fn of(method: &HttpMethod, path: &str, operation: &Operation) -> Self {
        let has_id = path.contains('{');
        let rule = rule(operation);
        let is_command = operation.responses.responses.values().any(answers_accepted);
        let is_read = *method == HttpMethod::Get && rule.can(Answer::LogIn);
        Self {
            has_body: operation.request_body.is_some(),
            has_id,
            has_query: operation
                .parameters
                .as_ref()
                .is_some_and(|parameters| parameters.iter().any(is_in_query)),
            rule,
            is_command,
            is_change: is_command && (has_id || *method != HttpMethod::Post),
            is_read,
        }
    }

    fn complete(self, operation: &mut Operation) {
        operation.security = Some(if self.rule.can(Answer::LogIn) {
            vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]
        } else {
            Vec::new()
        });
        let wanted = RequestHeader::ALL.into_iter().filter(|header| header.applies_to(self));
        let wanted =
            wanted.map(|header| RefOr::Ref(Ref::new(format!("#/components/parameters/{}", header.name()))));
        operation.parameters.get_or_insert_default().extend(wanted);
        if self.is_read {
            let unchanged =
                Response::new("You have this representation already: its ETag is in `If-None-Match`.");
            operation.responses.responses.insert("304".to_owned(), unchanged.into());
        }
        for (status, response) in &mut operation.responses.responses {
            if let RefOr::T(response) = response {
                self.complete_response(status, response);
            }
        }
        for refusal in REFUSALS.iter().filter(|refusal| (refusal.applies_to)(self)) {
            let response = Ref::from_response_name(refusal.name).into();
            operation.responses.responses.entry(refusal.status.to_string()).or_insert(response);
        }
    }

    fn complete_response(self, status: &str, response: &mut Response) {
        if let Some(refusal) = REFUSALS.iter().find(|refusal| refusal.status.to_string() == status) {
            *response = Refusal { description: &response.description, ..*refusal }.response();
            return;
        }
        if response.description.is_empty() {
            self.success(status).clone_into(&mut response.description);
        }
        for header in Header::ALL.into_iter().filter(|header| header.applies_to(self)) {
            response.headers.insert(header.name().to_owned(), header.reference());
        }
    }

    fn success(self, status: &str) -> &'static str {
        match status {
            "201" if self.is_command => "Created, and recorded at the position of the answer.",
            "201" => "Created.",
            _ if self.is_command => "Recorded at the position of the answer, or nothing had to be changed.",
            _ if self.is_read => "The answer, as it was at the position in the header `Position`.",
            _ => "Done.",
        }
    }
}

/// An operation has the name of its action.
fn rule(operation: &Operation) -> Rule {
    let name = operation.operation_id.as_deref().unwrap_or_default();
    name.parse::<Action>().expect("routes are made of actions").rule()
}

fn answers_accepted(response: &RefOr<Response>) -> bool {
    let RefOr::T(response) = response else { return false };
    response.content.values().any(|content| {
        matches!(content, RefOr::T(content)
            if matches!(&content.schema, Some(RefOr::Ref(schema)) if schema.ref_location.ends_with("/Accepted")))
    })
}

fn is_in_query(parameter: &RefOr<Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == utoipa::openapi::path::ParameterIn::Query)
}

/// The content of a block depends on its type.
fn tell_blocks_apart(described: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = described else { return };
    let is_typed = matches!(object.properties.get("type"), Some(RefOr::Ref(r#type)) if r#type.ref_location.ends_with("/BlockType"));
    if is_typed && object.required.iter().any(|name| name == "content") {
        *described = Schema::OneOf(schema::of_each_type(object)).into();
    }
}

fn token() -> SecurityScheme {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    let description = "An access token, as `POST /api/v1/auth/login` answers it. It is valid for 15 minutes; \
                       `POST /api/v1/auth/refresh` answers the next one.";
    SecurityScheme::Http(bearer.description(Some(description)).build())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use shared::domain::access::{Action, Way};

    fn document() -> Value {
        serde_json::to_value(crate::api::document()).expect("plain data")
    }

    /// Method, path and name of every operation.
    fn operations(document: &Value) -> Vec<(String, String, String)> {
        let paths = document["paths"].as_object().expect("paths").iter();
        let each = paths.flat_map(|(path, item)| {
            item.as_object().expect("operations").iter().map(move |(method, operation)| {
                let name = operation["operationId"].as_str().expect("a name").to_owned();
                (method.clone(), path.clone(), name)
            })
        });
        each.collect()
    }

    #[test]
    fn every_action_that_has_a_route_is_served_once() {
        let mut served: Vec<String> = operations(&document()).into_iter().map(|(.., name)| name).collect();
        let routes = Action::ALL.iter().filter(|action| action.way() == Way::Route);
        let mut due: Vec<&str> = routes.map(AsRef::as_ref).collect();
        served.sort_unstable();
        due.sort_unstable();
        assert_eq!(served, due);
    }

    #[test]
    fn every_route_with_an_id_is_about_a_thing() {
        for (method, path, name) in operations(&document()) {
            let rule = name.parse::<Action>().expect("the name of an action").rule();
            assert!(!path.contains('{') || !rule.on.is_empty(), "{method} {path}");
        }
    }

    /// Every `$ref` in a part of the document.
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    found.insert(reference.clone());
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("all references are within the document");
            assert!(document.pointer(pointer).is_some(), "{reference} does not exist");
        }
    }

    #[test]
    fn every_component_is_used_by_an_operation() {
        let document = document();
        let (mut reached, mut next) = (BTreeSet::new(), BTreeSet::new());
        references(&document["paths"], &mut next);
        while let Some(reference) = next.pop_first() {
            let part = document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
            if reached.insert(reference) {
                references(part, &mut next);
            }
        }
        for kind in ["schemas", "responses", "parameters", "headers"] {
            for name in document["components"][kind].as_object().expect("there are some").keys() {
                let reference = format!("#/components/{kind}/{name}");
                assert!(reached.contains(&reference), "{reference} is used by nothing");
            }
        }
    }

    #[test]
    fn every_answer_says_what_it_means_and_every_refusal_is_a_problem() {
        let document = document();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                for (status, response) in operation["responses"].as_object().expect("answers") {
                    let response = match response["$ref"].as_str() {
                        Some(reference) => {
                            document.pointer(reference.trim_start_matches('#')).expect("exists")
                        }
                        None => response,
                    };
                    let at = format!("{method} {path} {status}: {response}");
                    assert!(response["description"].as_str().is_some_and(|text| text.len() > 4), "{at}");
                    assert!(response["headers"]["X-Request-Id"].is_object(), "{at}");
                    if status.starts_with(['4', '5']) {
                        let types: Vec<_> =
                            response["content"].as_object().expect("a problem").keys().collect();
                        assert_eq!(types, ["application/problem+json"], "{at}");
                    }
                }
            }
        }
    }
}
