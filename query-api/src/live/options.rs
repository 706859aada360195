//! The gateway's settings for operators.

use axum::http::uri::Authority;

use super::Settings;

/// How the gateway is told what to let in.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Other origins whose pages may open sockets here, such as `https://app.example.org`, separated by commas. Pages of
    /// Daybook's own address always may.
    #[arg(long, env = "DAYBOOK_ORIGINS", default_value = "", hide_default_value = true, value_parser = origins)]
    origins: Origins,
    /// How many sockets may be open at once. At most half as many as the process may have open files (`ulimit -n`).
    #[arg(long, env = "DAYBOOK_SOCKETS", default_value_t = Settings::default().sockets)]
    sockets: usize,
}

/// As clap takes them, which would make a list of a plain `Vec`.
#[derive(Clone, Debug)]
struct Origins(Vec<String>);

impl Options {
    /// Everything else as it is by default.
    pub fn settings(&self) -> Settings {
        Settings { origins: self.origins.0.clone(), sockets: self.sockets, ..Settings::default() }
    }
}

fn origins(text: &str) -> Result<Origins, String> {
    let named = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    named.map(origin).collect::<Result<_, _>>().map(Origins)
}

/// An origin as browsers send it (RFC 6454, section 6.2): in lower case, without the port that goes without saying.
fn origin(text: &str) -> Result<String, String> {
    let wrong = || {
        format!(
            "{text} is not an origin such as https://app.example.org or http://localhost:3000, without a path"
        )
    };
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
        let taken = |text| origins(text).map(|origins| origins.0);
        assert_eq!(taken(""), Ok(Vec::new()));
        assert_eq!(taken("http://a, https://b,"), Ok(vec!["http://a".to_owned(), "https://b".to_owned()]));
        assert!(taken("http://a,b").is_err());
    }
}
