//! What an operator may set of the gateway.

use axum::http::Uri;

use super::Settings;

/// How the gateway is told what to let in.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Other sites whose pages may open sockets here, such as `https://app.example.org`; several with commas between.
    /// Pages of Daybook's own address always may.
    #[arg(long, env = "DAYBOOK_ORIGINS", value_delimiter = ',', value_parser = origin)]
    origins: Vec<String>,
    /// The most sockets open at once. At most half as many as the process may have files open (`ulimit -n`).
    #[arg(long, env = "DAYBOOK_SOCKETS", default_value_t = Settings::default().sockets)]
    sockets: usize,
}

impl Options {
    /// Everything else as it is by default.
    pub fn settings(&self) -> Settings {
        Settings { origins: self.origins.clone(), sockets: self.sockets, ..Settings::default() }
    }
}

/// An origin as browsers send it (RFC 6454, section 6.2): in lower case, without the port that goes without saying.
fn origin(text: &str) -> Result<String, String> {
    let wrong = || "write it as in https://app.example.org or http://localhost:3000, with no path".to_owned();
    let uri: Uri = text.trim().parse().map_err(|_| wrong())?;
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else { return Err(wrong()) };
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(wrong()),
    };
    let userless = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    if !userless || uri.path() != "/" || uri.query().is_some() || text.trim().ends_with('/') {
        return Err(wrong());
    }
    let port = uri.port_u16().filter(|port| *port != default);
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{scheme}://{}{port}", host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_taken_as_browsers_send_them() {
        for (given, taken) in [
            ("https://app.example.org", "https://app.example.org"),
            ("HTTPS://App.Example.org:443", "https://app.example.org"),
            (" http://localhost:3000", "http://localhost:3000"),
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
            "https://user@app.example.org",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
