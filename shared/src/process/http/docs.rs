//! `/docs`: the API's documentation in the browser, by Swagger UI (`assets/swagger-ui`), without the internet.

use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::OpenApi;

const PAGE: &str = r#"<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Daybook API</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css">
    <link rel="icon" type="image/png" href="/docs/favicon.png">
  </head>
  <body>
    <div id="api"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
"#;

const START: &str = r##"SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  persistAuthorization: false,
});
"##;

/// Swagger UI writes styles into elements and draws its icons from `data:` addresses.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The page, what it is made of, and the document that it shows.
#[expect(clippy::disallowed_methods, reason = "pages of every process, outside of the API")]
pub(super) fn routes(openapi: OpenApi) -> Router {
    let page =
        || get(|| async { ([(CONTENT_SECURITY_POLICY, POLICY)], asset("text/html; charset=utf-8", PAGE)) });
    Router::new()
        .route("/docs", page())
        .route("/docs/", page())
        .route("/docs/start.js", get(|| async { asset("text/javascript; charset=utf-8", START) }))
        .route(
            "/docs/swagger-ui-bundle.js",
            get(|| async {
                asset(
                    "text/javascript; charset=utf-8",
                    include_bytes!("../../../assets/swagger-ui/swagger-ui-bundle.js").as_slice(),
                )
            }),
        )
        .route(
            "/docs/swagger-ui.css",
            get(|| async {
                asset(
                    "text/css; charset=utf-8",
                    include_bytes!("../../../assets/swagger-ui/swagger-ui.css").as_slice(),
                )
            }),
        )
        .route(
            "/docs/favicon.png",
            get(|| async {
                asset("image/png", include_bytes!("../../../assets/swagger-ui/favicon-32x32.png").as_slice())
            }),
        )
        .route("/api/openapi.json", get(|| async { Json(openapi) }))
}

/// Another release has other files under the same names, so a browser asks again after an hour.
fn asset<B>(content_type: &'static str, body: B) -> ([(HeaderName, &'static str); 2], B) {
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "public, max-age=3600")], body)
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use sha2::{Digest, Sha256};
    use tower::ServiceExt;

    use super::*;

    async fn get(path: &str) -> (StatusCode, Vec<u8>) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = routes(OpenApi::default()).oneshot(request).await.unwrap();
        let status = answer.status();
        (status, to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn the_page_names_only_what_is_served_beside_it() {
        let named = PAGE.split('"').filter(|text| text.starts_with('/')).chain(["/api/openapi.json"]);
        for path in named {
            assert_eq!(get(path).await.0, StatusCode::OK, "{path}");
        }
        assert!(!PAGE.contains("http") && !START.contains("http"), "nothing is asked of another host");
    }

    #[tokio::test]
    async fn the_files_of_swagger_ui_are_those_that_were_released() {
        let released = include_str!("../../../assets/swagger-ui/README.md");
        for path in ["/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/favicon.png"] {
            let hash = hex::encode(Sha256::digest(get(path).await.1));
            assert!(released.contains(&hash), "{path} has the hash {hash}");
        }
    }
}
