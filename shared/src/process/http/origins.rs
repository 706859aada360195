//! Which other sites' pages may use the API in a browser, and how browsers are told (CORS, in the Fetch standard).

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, ORIGIN, RETRY_AFTER, VARY,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::routing::Route;
use tower::layer::layer_fn;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::request_id::{CORRELATION_ID, IDEMPOTENCY_KEY, REQUEST_ID};

/// How far in the log an answer is true.
const POSITION: HeaderName = HeaderName::from_static("position");
/// For how long a browser need not ask again what it may send.
const PREFLIGHT_LASTS: Duration = Duration::from_hours(1);

/// Sites whose pages may use the API, besides those of Daybook's own address.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Origins {
    /// Other sites whose pages may use the API and open sockets, such as `https://app.example.org`; several with commas
    /// between. Pages of Daybook's own address always may.
    #[arg(long = "origins", env = "DAYBOOK_ORIGINS", default_value = "", hide_default_value = true, value_parser = origins)]
    listed: Listed,
}

/// As clap takes them, which would make a list of a plain `Vec`.
#[derive(Clone, Debug, Default)]
struct Listed(Arc<[String]>);

impl Origins {
    /// Whether an origin, as browsers send it, is one of these.
    pub fn contain(&self, origin: &str) -> bool {
        self.listed.0.iter().any(|listed| listed == origin)
    }

    fn are_named_by(&self, headers: &HeaderMap) -> bool {
        headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).is_some_and(|origin| self.contain(origin))
    }

    /// Adds CORS headers to answers to these origins, and answers their preflight requests. Requests from elsewhere reach
    /// the router unchanged. Cookies are not allowed: a page sends its access token.
    pub(super) fn admit_to(&self, router: Router) -> Router {
        if self.listed.0.is_empty() {
            return router;
        }
        let (origins, cors) = (self.clone(), cors());
        router.layer(layer_fn(move |plain: Route| {
            let (origins, shared) = (origins.clone(), cors.layer(plain.clone()));
            service_fn(move |request: Request| {
                let (plain, shared) = (plain.clone(), shared.clone());
                let is_listed = origins.are_named_by(request.headers());
                async move {
                    if is_listed {
                        return shared.oneshot(request).await;
                    }
                    let mut response = plain.oneshot(request).await?;
                    response.headers_mut().append(VARY, HeaderValue::from_name(ORIGIN));
                    Ok(response)
                }
            })
        }))
    }
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self { listed: origins(text)? })
    }
}

/// What a page of a listed origin may send, and what it may read of an answer. It is used for listed origins only.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
            IF_NONE_MATCH,
            IDEMPOTENCY_KEY,
            REQUEST_ID,
            CORRELATION_ID,
        ])
        .expose_headers([ETAG, POSITION, RETRY_AFTER, REQUEST_ID])
        .max_age(PREFLIGHT_LASTS)
}

fn origins(text: &str) -> Result<Listed, String> {
    let named = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    named.map(origin).collect::<Result<_, _>>().map(Listed)
}

/// An origin as browsers send it (RFC 6454, section 6.2): in lower case, without the port that goes without saying.
fn origin(text: &str) -> Result<String, String> {
    let wrong =
        || format!("{text} is to be as in https://app.example.org or http://localhost:3000, with no path");
    let text = text.to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://").ok_or_else(wrong)?;
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return Err(wrong()),
    };
    let authority: Authority = authority.parse().map_err(|_| wrong())?;
    let host = authority.host();
    let port = authority.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    // Neither a user, nor a port that is no number, nor a wildcard, which nothing would match.
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte));
    if !plain || authority.as_str() != format!("{host}{port}") {
        return Err(wrong());
    }
    let port = if port == default { "" } else { &port };
    Ok(format!("{scheme}://{host}{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_taken_as_browsers_send_them() {
        for (given, taken) in [
            ("https://app.example.org", "https://app.example.org"),
            ("HTTPS://App.Example.org:443", "https://app.example.org"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:80", "http://[::1]"),
            ("https://app.example.org:80", "https://app.example.org:80"),
        ] {
            assert_eq!(origin(given).as_deref(), Ok(taken), "{given}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for wrong in [
            "",
            "*",
            "null",
            "app.example.org",
            "ftp://app.example.org",
            "https://app.example.org/",
            "https://app.example.org/app",
            "https://app.example.org?x",
            "https://app.example.org#x",
            "https://user@app.example.org",
            "https://app.example.org:8o80",
            "https://app.example.org:99999",
            "https://app.example.org:",
            "https://*.example.org",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn several_stand_between_commas_and_none_is_none() {
        let taken = |text| origins(text).map(|origins| origins.0.to_vec());
        assert_eq!(taken(""), Ok(Vec::new()));
        assert_eq!(taken("http://a, https://b,"), Ok(vec!["http://a".to_owned(), "https://b".to_owned()]));
        assert!(taken("http://a,b").is_err());
    }
}
