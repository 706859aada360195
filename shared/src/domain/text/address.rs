//! Addresses of people and of pages: strict forms, as every program that reads a generous one reads it differently.

use std::net::Ipv4Addr;

use email_address::{EmailAddress, Options};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::TextError;
use super::chars::{is_mark, is_word, misleads};
use super::line::line;

/// An e-mail address: a local part of words with single dots between them, and the name of a host.
pub(super) fn email(text: &str) -> Result<String, TextError> {
    let text = line(text, 3, 254)?;
    let options = Options::default().without_display_text().without_domain_literal();
    let well_formed = EmailAddress::parse_with_options(&text, options)
        .is_ok_and(|address| is_plain(address.local_part()) && is_host(address.domain()));
    if well_formed {
        Ok(text)
    } else {
        Err(TextError::Form("must be an e-mail address, like ada@example.org"))
    }
}

/// A web address: `http://` or `https://`, a host, perhaps a port, and the rest.
pub(super) fn web(text: &str) -> Result<String, TextError> {
    let text = line(text, 8, 2_000)?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else { return Err(TextError::Form("must start with https:// or http://")) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
    let is_port =
        port.len() <= 5 && port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if is_port && (is_host(host) || host.parse::<Ipv4Addr>().is_ok()) && !rest.chars().any(misleads) {
        Ok(text)
    } else {
        Err(TextError::Form("must be a web address, like https://example.org/ada.png"))
    }
}

/// Whether a local part is neither quoted nor has symbols beyond ASCII.
fn is_plain(local: &str) -> bool {
    !local.starts_with(is_mark) && local.chars().all(|c| c.is_ascii() && c != '"' || is_word(c))
}

/// Whether it is the name of a host, in ASCII or in its own script (Unicode Technical Standard 46, with the rules STD3 and
/// the lengths of DNS). One whose last label is a number would be read as the address of a machine.
fn is_host(host: &str) -> bool {
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    host.chars().all(|c| is_word(c) || matches!(c, '-' | '.'))
        && !host.rsplit('.').next().is_none_or(is_number)
        && Uts46::new()
            .to_ascii(host.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
            .is_ok()
}
