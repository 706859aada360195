//! What form a request's body may have: JSON in UTF-8, not compressed. Anything else is 415, with a header that says
//! what would be taken (RFC 9110, section 15.5.16; RFC 5789, section 3.1).

use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, Method};
use axum::response::{IntoResponse, Response};

use crate::process::problem::{Problem, ProblemType};

const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const JSON: &str = "application/json";
/// RFC 7396. A PATCH here is one: absent leaves an attribute, null clears it.
const MERGE_PATCH: &str = "application/merge-patch+json";

const JSON_ONLY: &[&str] = &[JSON];
const JSON_OR_PATCH: &[&str] = &[JSON, MERGE_PATCH];

/// What about a body's form is not accepted.
#[derive(Clone, Debug)]
pub(super) enum Unsupported {
    /// It is compressed.
    Coding,
    /// It is something else than JSON.
    MediaType {
        /// The header that names the accepted types.
        header: HeaderName,
        accepted: &'static [&'static str],
    },
    /// It is not in UTF-8.
    Charset,
}

impl IntoResponse for Unsupported {
    fn into_response(self) -> Response {
        match self {
            Self::Coding => {
                let detail = "A body must not be compressed: send it without Content-Encoding.";
                let problem = Problem::new(ProblemType::ContentEncodingUnsupported, detail);
                ([(ACCEPT_ENCODING, "identity")], problem).into_response()
            }
            Self::MediaType { header, accepted } => {
                let types = accepted.join(" or ");
                let detail = format!("Send the body as JSON, with the header Content-Type: {types}.");
                ([(header, accepted.join(", "))], Problem::new(ProblemType::NotJson, detail)).into_response()
            }
            Self::Charset => {
                let detail =
                    "JSON is always in UTF-8 (RFC 8259, section 8.1): send it so, and leave charset out.";
                Problem::new(ProblemType::CharsetUnsupported, detail).into_response()
            }
        }
    }
}

/// Refuses a body that says it is no plain JSON.
pub(super) fn check(method: &Method, headers: &HeaderMap) -> Result<(), Unsupported> {
    if !is_plain(headers) {
        return Err(Unsupported::Coding);
    }
    let (header, accepted) =
        if method == Method::PATCH { (ACCEPT_PATCH, JSON_OR_PATCH) } else { (ACCEPT, JSON_ONLY) };
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !accepted.iter().any(|media| media.eq_ignore_ascii_case(essence.trim())) {
        return Err(Unsupported::MediaType { header, accepted });
    }
    if is_utf8(parameters) { Ok(()) } else { Err(Unsupported::Charset) }
}

fn is_plain(headers: &HeaderMap) -> bool {
    let codings =
        headers.get_all(CONTENT_ENCODING).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    codings
        .map(<[u8]>::trim_ascii)
        .all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
}

/// Whether the parameters of a media type name no other charset. Those of JSON have no meaning otherwise.
fn is_utf8(parameters: &str) -> bool {
    let named = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let mut charsets = named.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    charsets.all(|(_, charset)| {
        let charset = charset.trim().trim_matches('"');
        ["utf-8", "utf8"].iter().any(|utf8| utf8.eq_ignore_ascii_case(charset))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(method: &Method, headers: &[(HeaderName, &'static str)]) -> Result<(), Unsupported> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value")));
        check(method, &headers.collect())
    }

    #[test]
    fn json_in_utf_8_is_taken_and_a_merge_patch_where_something_is_patched() {
        for media in [
            "application/json",
            "Application/JSON ; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/json; profile=x",
        ] {
            for method in [Method::POST, Method::PATCH] {
                assert!(sent(&method, &[(CONTENT_TYPE, media)]).is_ok(), "{method} {media}");
            }
        }
        let merge_patch = [(CONTENT_TYPE, "application/merge-patch+json; charset=utf-8")];
        assert!(sent(&Method::PATCH, &merge_patch).is_ok());
        let refused = sent(&Method::POST, &merge_patch).expect_err("nothing is patched").into_response();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()[ACCEPT]),
            (415, &JSON.parse().expect("text"))
        );
    }

    #[test]
    fn another_media_type_is_told_which_ones_are_taken() {
        for media in ["text/plain", "application/jsonx", "application/json-patch+json", "", "json", "*/*"] {
            let refused = sent(&Method::PATCH, &[(CONTENT_TYPE, media)]).expect_err(media).into_response();
            assert_eq!(refused.status().as_u16(), 415, "{media}");
            assert_eq!(refused.headers()[ACCEPT_PATCH], "application/json, application/merge-patch+json");
            // It would say that compression was the reason.
            assert!(!refused.headers().contains_key(ACCEPT_ENCODING));
        }
        assert!(sent(&Method::POST, &[]).is_err());
    }

    #[test]
    fn another_charset_is_refused() {
        for charset in ["iso-8859-1", "\"utf-16\"", "", "utf-8; charset=latin1"] {
            let media = format!("application/json; charset={charset}");
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, media.parse().expect("a value"))]);
            let refused = check(&Method::POST, &headers).expect_err(charset).into_response();
            assert_eq!(refused.status().as_u16(), 415, "{charset}");
        }
    }

    #[test]
    fn a_compressed_body_is_told_to_come_as_it_is() {
        for codings in [&["gzip"][..], &["br"], &["identity, gzip"], &["identity", "x-gzip"]] {
            let codings = codings.iter().map(|coding| (CONTENT_ENCODING, *coding));
            let headers: Vec<_> = codings.chain([(CONTENT_TYPE, JSON)]).collect();
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(name, value.parse().expect("a value"));
            }
            let refused = check(&Method::POST, &map).expect_err("compressed").into_response();
            assert_eq!(
                (refused.status().as_u16(), &refused.headers()[ACCEPT_ENCODING]),
                (415, &"identity".parse().expect("text"))
            );
        }
        for plain in ["", "identity", "Identity, identity"] {
            assert!(
                sent(&Method::POST, &[(CONTENT_ENCODING, plain), (CONTENT_TYPE, JSON)]).is_ok(),
                "{plain}"
            );
        }
    }
}
