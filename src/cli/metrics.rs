//! Options of `ccrun metrics`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::report::metrics::LABELS;

/// `ccrun metrics`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun metrics                          serve http://127.0.0.1:9464/metrics
  ccrun metrics --label team,project
  ccrun metrics --listen 0.0.0.0:9464 --token-file metrics.token
  ccrun metrics --textfile usage.prom    write once, for node_exporter

The counters have all usage that `ccrun report` has, of any number of sessions.
They have labels for the model, the tool and the type alone, unless --label adds
more. Without a token, it listens on loopback only, where every user of this
machine can read it. docs/metrics.md has the metrics, a configuration for
Prometheus, and services for systemd and launchd.")]
pub struct Metrics {
    /// Where to listen; any address but a loopback one needs --token-file
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9464", value_parser = address,
          conflicts_with = "textfile")]
    pub listen: SocketAddr,
    /// Serve only those who send the token in this file, which only you may read
    #[arg(long, value_name = "FILE", conflicts_with = "textfile")]
    pub token_file: Option<PathBuf>,
    /// Add a label; each value of it makes series of its own
    #[arg(long = "label", value_name = "LABEL[,LABEL]...", value_delimiter = ',', num_args = 1, value_parser = labels())]
    pub labels: Vec<String>,
    /// Write the metrics to a file for the node exporter, and exit
    #[arg(long, value_name = "FILE.prom", value_parser = textfile)]
    pub textfile: Option<PathBuf>,
}

fn labels() -> PossibleValuesParser {
    let value = |(dimension, label): (crate::report::Dimension, &str)| {
        PossibleValue::new(dimension.name()).help(format!("{}, as `{label}`", dimension.about()))
    };
    PossibleValuesParser::new(LABELS.map(value))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    if let Some(port) = local {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| "write it as ADDRESS:PORT, such as 127.0.0.1:9464 or [::1]:9464".to_owned())
}

fn textfile(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if path.extension().is_some_and(|extension| extension == "prom") {
        return Ok(path.to_owned());
    }
    Err("node_exporter reads only files whose name ends with .prom".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port() {
        for (text, expected) in
            [("127.0.0.1:9464", "127.0.0.1:9464"), ("localhost:1", "127.0.0.1:1"), ("[::1]:9464", "[::1]:9464")]
        {
            assert_eq!(address(text).map(|address| address.to_string()).as_deref(), Ok(expected));
        }
        for text in ["127.0.0.1", "9464", ":9464", "example.org:9464", "127.0.0.1:94640", "localhost:"] {
            assert!(address(text).unwrap_err().contains("ADDRESS:PORT"), "{text}");
        }
        assert!(textfile("a/usage.prom").is_ok() && textfile("usage.txt").is_err() && textfile(".prom").is_err());
    }
}
