//! What each process adds around its routes, once: request ids, limits, 404 and 405, health, metrics, documentation.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;
use utoipa::openapi::OpenApi;

use super::extract::BODY_LIMIT;
use super::origins::Origins;
use super::request_id::{REQUEST_ID, without_unusable_ids};
use super::{docs, home, trace};
use crate::process::problem::{self, Problem, ProblemType};

/// How long a health question may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether a process can do its work. Each part that is not ready says so in a sentence.
pub trait Health: Send + Sync + 'static {
    /// An empty list when ready.
    fn complaints(&self) -> impl Future<Output = Vec<String>> + Send;
}

/// Adds everything around the API routes of a process.
#[expect(clippy::disallowed_methods, reason = "every process has these, outside of the API")]
pub fn middleware(api: Router, openapi: OpenApi, origins: &Origins, health: impl Health) -> Router {
    let metrics = metrics_handle();
    let health = Arc::new(health);
    let ready = get(move |State(health): State<Arc<_>>| ready(health)).with_state(health);
    let router = api
        .merge(home::routes())
        .merge(docs::routes(openapi))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", ready)
        .route("/metrics", get(|| async { metrics.render() }))
        .merge(problem::routes())
        .fallback(|| async {
            Problem::new(ProblemType::NotFound, "There is nothing at this address. /docs lists all routes.")
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                ProblemType::MethodNotAllowed,
                "This address does not accept this method. /docs lists all routes.",
            )
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::custom(|panic: Box<dyn std::any::Any + Send>| {
            let cause = panic
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| panic.downcast_ref::<String>().cloned());
            Problem::internal(cause.unwrap_or_else(|| "a panic".to_owned())).into_response()
        }))
        // Without it a cache may keep a 404 (RFC 9110, section 15.1). Routes whose answers may be kept say so themselves.
        .layer(SetResponseHeaderLayer::if_not_present(CACHE_CONTROL, HeaderValue::from_static("no-store")));
    origins
        .admit_to(router)
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(trace::span)
                .on_request(())
                .on_response(trace::answered)
                .on_failure(()),
        )
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(MapRequestLayer::new(without_unusable_ids))
}

async fn ready(health: Arc<impl Health>) -> Response {
    let complaints = tokio::time::timeout(HEALTH_TIMEOUT, health.complaints())
        .await
        .unwrap_or_else(|_| vec!["The services did not answer in time.".to_owned()]);
    let status = if complaints.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": complaints.is_empty(), "complaints": complaints}))).into_response()
}

/// The process's metrics; the first call starts recording.
fn metrics_handle() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        PrometheusBuilder::new()
            .install_recorder()
            .expect("only this function installs a recorder, and it runs once")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::{HeaderMap, Method, Request, header};
    use serde_json::Value;
    use tower::ServiceExt;
    use utoipa::openapi::OpenApiBuilder;

    use crate::process::http::{CORRELATION_ID, Json};

    struct Well;

    impl Health for Well {
        async fn complaints(&self) -> Vec<String> {
            Vec::new()
        }
    }

    /// A process whose one route says which ids a request has.
    #[expect(clippy::disallowed_methods, reason = "no API")]
    async fn ask(origins: &str, request: axum::http::request::Builder) -> (u16, HeaderMap, String) {
        let ids = async |headers: HeaderMap| {
            let text = |name| headers.get(name).map(|value| value.to_str().expect("text").to_owned());
            axum::Json(json!([text(REQUEST_ID), text(CORRELATION_ID)]))
        };
        let kept = async || ([(CACHE_CONTROL, "private, no-cache")], "kept");
        let api = Router::new()
            .route("/ids", get(ids).post(ids))
            .route("/kept", get(kept))
            .route("/sent", axum::routing::patch(async |_: Json<Value>| ()));
        let origins: Origins = origins.parse().expect("origins");
        let router = middleware(api, OpenApiBuilder::new().build(), &origins, Well);
        let response =
            router.oneshot(request.body(Body::empty()).expect("a request")).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body");
        (parts.status.as_u16(), parts.headers, String::from_utf8(bytes.to_vec()).expect("text"))
    }

    fn listed(headers: &HeaderMap, name: header::HeaderName) -> Vec<String> {
        let lines =
            headers.get_all(name).iter().map(|line| line.to_str().expect("text").to_ascii_lowercase());
        let mut listed: Vec<_> = lines
            .flat_map(|line| line.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>())
            .collect();
        listed.sort();
        listed
    }

    fn allowed(headers: &HeaderMap) -> Vec<&str> {
        let names = headers.keys().map(header::HeaderName::as_str);
        names.filter(|name| name.starts_with("access-control-")).collect()
    }

    #[tokio::test]
    async fn an_id_that_is_no_name_is_replaced_and_the_answer_says_by_which() {
        let long = "a".repeat(201);
        for unusable in ["", "a\tb", "\u{e4}", &long] {
            let request = Request::get("/ids").header(REQUEST_ID, unusable).header(CORRELATION_ID, unusable);
            let (status, headers, body) = ask("", request).await;
            let used = headers[REQUEST_ID].to_str().expect("text");
            assert_eq!((status, used.len()), (200, 36), "{unusable:?}");
            assert_eq!(body, json!([used, null]).to_string());
        }
        let request = Request::get("/ids").header(REQUEST_ID, "mine").header(CORRELATION_ID, "ours");
        let (_, headers, body) = ask("", request).await;
        assert_eq!(
            (&headers[REQUEST_ID], body.as_str()),
            (&"mine".parse().expect("text"), r#"["mine","ours"]"#)
        );
    }

    #[tokio::test]
    async fn a_page_of_a_listed_origin_may_use_the_api() {
        let origin = "https://app.example.org";
        let preflight = Request::options("/ids")
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "PATCH")
            .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,if-match");
        let (status, headers, _) = ask(&format!("http://other.example, {origin}"), preflight).await;
        assert_eq!(
            (status, &headers[header::ACCESS_CONTROL_ALLOW_ORIGIN]),
            (200, &origin.parse().expect("text"))
        );
        let methods = listed(&headers, header::ACCESS_CONTROL_ALLOW_METHODS);
        assert_eq!(methods, ["delete", "get", "head", "patch", "post", "put"]);
        let may_send = [
            "authorization",
            "content-type",
            "idempotency-key",
            "if-match",
            "if-none-match",
            "x-correlation-id",
            "x-request-id",
        ];
        assert_eq!(listed(&headers, header::ACCESS_CONTROL_ALLOW_HEADERS), may_send);
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));

        for path in ["/ids", "/nowhere"] {
            let (_, headers, _) = ask(origin, Request::get(path).header(header::ORIGIN, origin)).await;
            assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], origin);
            let may_read = listed(&headers, header::ACCESS_CONTROL_EXPOSE_HEADERS);
            assert_eq!(may_read, ["etag", "position", "retry-after", "x-request-id"]);
            assert!(listed(&headers, header::VARY).contains(&"origin".to_owned()));
        }
    }

    #[tokio::test]
    async fn no_other_origin_is_told_anything() {
        for (origins, origin) in [
            ("https://app.example.org", "https://evil.example"),
            ("https://app.example.org", "http://app.example.org"),
            ("https://app.example.org", "https://app.example.org.evil.example"),
            ("https://app.example.org", "null"),
            ("", "https://app.example.org"),
        ] {
            let asked = |method| Request::builder().method(method).uri("/ids").header(header::ORIGIN, origin);
            let (status, headers, _) = ask(origins, asked(Method::GET)).await;
            assert_eq!((status, allowed(&headers)), (200, Vec::new()), "{origin}");
            // The answer to a listed origin is another one.
            assert_eq!(headers.contains_key(header::VARY), !origins.is_empty());
            let preflight = asked(Method::OPTIONS).header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET");
            let (status, headers, _) = ask(origins, preflight).await;
            assert_eq!((status, allowed(&headers)), (405, Vec::new()), "{origin}");
        }
    }

    #[tokio::test]
    async fn nothing_is_kept_unless_its_route_says_so() {
        for (path, said) in [
            ("/ids", "no-store"),
            ("/nowhere", "no-store"),
            ("/livez", "no-store"),
            ("/kept", "private, no-cache"),
            ("/docs/", "public, max-age=3600"),
            ("/api/openapi.json", "no-store"),
        ] {
            let (_, headers, _) = ask("", Request::get(path)).await;
            assert_eq!(headers[CACHE_CONTROL], said, "{path}");
        }
    }

    #[tokio::test]
    async fn the_root_answers_people_with_a_page_and_programs_with_json() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        let (status, headers, page) = ask("", Request::get("/").header(header::ACCEPT, browser)).await;
        assert_eq!(
            (status, &headers[header::CONTENT_TYPE]),
            (200, &"text/html; charset=utf-8".parse().expect("text"))
        );
        assert_eq!(headers[header::VARY], "accept");
        let (_, style) = page.split_once("<style>").expect("one style");
        let (style, _) = style.split_once("</style>").expect("one style");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        let hash = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            <sha2::Sha256 as sha2::Digest>::digest(style),
        );
        assert!(policy.contains("default-src 'none'") && policy.contains(&hash), "{policy}");

        let (status, headers, body) = ask("", Request::get("/")).await;
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let expected = json!({
            "name": "daybook", "version": env!("CARGO_PKG_VERSION"), "docs": "/docs",
            "openapi": "/api/openapi.json", "api": "/api/v1"
        });
        assert_eq!((status, body, &headers[header::VARY]), (200, expected, &"accept".parse().expect("text")));

        let (status, headers, body) = ask("", Request::head("/").header(header::ACCEPT, browser)).await;
        assert_eq!((status, body.as_str()), (200, ""));
        assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    }

    #[tokio::test]
    async fn a_method_that_an_address_does_not_take_is_told_which_ones_it_takes() {
        for (path, allow) in [("/", "GET,HEAD"), ("/ids", "GET,HEAD,POST"), ("/sent", "PATCH")] {
            let (status, headers, body) = ask("", Request::delete(path)).await;
            assert_eq!((status, &headers[header::ALLOW]), (405, &allow.parse().expect("text")), "{path}");
            assert!(body.contains("method-not-allowed"), "{body}");
        }
    }
}
