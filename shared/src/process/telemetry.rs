//! Logs and traces: sentences with fields, as lines for people or JSON for machines, and a span for each request.

use std::io::IsTerminal;
use std::time::Duration;

use axum::http::Uri;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// The target of the spans that are traced: one a request.
pub(crate) const REQUESTS: &str = "daybook::requests";

/// How long a process waits for its last traces to be sent when it ends.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What to log and trace, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Logs {
    /// How much to log, such as `info` or `debug,sqlx=warn`.
    #[arg(long, env = "DAYBOOK_LOG", default_value = "info,async_nats=warn,sqlx=warn", global = true)]
    pub log: String,
    /// The format of the log. Default: text from `daybook`, JSON from the services.
    #[arg(long, env = "DAYBOOK_LOG_FORMAT", value_enum, global = true)]
    pub log_format: Option<Format>,
    /// The address of an OpenTelemetry collector that receives a span for each request (OTLP, protobuf over HTTP), such as
    /// `http://localhost:4318`.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = collector, global = true)]
    pub otlp_endpoint: Option<String>,
}

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// Traces that may still be on their way.
#[must_use = "the last traces are sent by `finish`"]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Logs {
    /// Starts logging to standard error, as `by_default` unless the operator said how; and tracing as `service`, if
    /// there is whom to send traces to.
    pub fn start(&self, service: &'static str, by_default: Format) -> Telemetry {
        let mut layers = vec![self.lines(by_default)];
        let traces = self.otlp_endpoint.as_deref().map(|collector| traces(service, collector)).transpose();
        if let Ok(Some(provider)) = &traces {
            opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
            let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("daybook"));
            layers.push(layer.with_filter(filter_fn(|metadata| metadata.target() == REQUESTS)).boxed());
        }
        tracing_subscriber::registry().with(layers).init();
        Telemetry(traces.unwrap_or_else(|cause| {
            tracing::error!(%cause, "Requests are not traced, because the exporter could not be created");
            None
        }))
    }

    fn lines(&self, by_default: Format) -> Box<dyn Layer<Registry> + Send + Sync> {
        let filter = EnvFilter::try_new(&self.log).unwrap_or_else(|_| EnvFilter::new("info"));
        let lines = fmt::layer().with_writer(std::io::stderr);
        match self.log_format.unwrap_or(by_default) {
            Format::Text => {
                lines.compact().with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed()
            }
            Format::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
        }
    }
}

impl Telemetry {
    /// Sends what is left.
    pub fn finish(self) {
        let Some(provider) = self.0 else { return };
        // The exporter has a thread of its own, which is waited for.
        if let Err(cause) = tokio::task::block_in_place(|| provider.shutdown_with_timeout(LAST_WORDS)) {
            tracing::warn!(%cause, "The last traces could not be sent");
        }
    }
}

fn traces(service: &'static str, collector: &str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", collector.trim_end_matches('/')))
        .build()?;
    let resource = Resource::builder().with_service_name(service).build();
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

/// A collector runs next to the service, so the exporter has no TLS.
fn collector(text: &str) -> Result<String, String> {
    let address: Uri = text.parse().map_err(|error| format!("{error}"))?;
    match address.scheme_str() {
        Some("http") => Ok(text.to_owned()),
        _ => Err("name a collector that speaks plain HTTP, such as http://localhost:4318".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::collector;

    #[test]
    fn a_collector_speaks_plain_http() {
        assert_eq!(collector("http://localhost:4318").as_deref(), Ok("http://localhost:4318"));
        for wrong in ["https://localhost:4318", "localhost:4317", ""] {
            assert!(collector(wrong).is_err(), "{wrong}");
        }
    }
}
