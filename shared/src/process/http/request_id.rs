//! The names that clients give to what they do: `X-Request-Id`, `X-Correlation-Id` and `Idempotency-Key`.

use axum::http::{HeaderMap, HeaderName, Request};

/// Names one request; the answer says which name it has.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Names what one or several requests are a part of.
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// Names one command, so that sending it again does nothing more.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest name that is taken, in bytes.
pub const LONGEST_NAME: usize = 200;

/// The name that a header carries: 1 to 200 printable ASCII characters. Anything else is no name.
pub fn name<'a>(headers: &'a HeaderMap, header: &HeaderName) -> Option<&'a str> {
    let text = headers.get(header)?.to_str().ok()?;
    let is_printable = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    (is_printable && (1..=LONGEST_NAME).contains(&text.len())).then_some(text)
}

/// Removes unusable ids from a request, as if the client had sent none. They only serve to find the request in logs, so
/// they are no reason to refuse it.
pub(super) fn without_unusable_ids<B>(mut request: Request<B>) -> Request<B> {
    for header in [REQUEST_ID, CORRELATION_ID] {
        if name(request.headers(), &header).is_none() {
            request.headers_mut().remove(header);
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_name_has_one_to_two_hundred_printable_ascii_characters() {
        let named = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(value).expect("a header's value"));
            name(&headers, &REQUEST_ID).map(str::to_owned)
        };
        for value in ["a", "a b/c:{}~", &"a".repeat(LONGEST_NAME)] {
            assert_eq!(named(value.as_bytes()).as_deref(), Some(value));
        }
        for value in ["", "a\tb", "\u{e4}", &"a".repeat(LONGEST_NAME + 1)] {
            assert_eq!(named(value.as_bytes()), None, "{value:?}");
        }
        assert_eq!(name(&HeaderMap::new(), &REQUEST_ID), None);
    }
}
