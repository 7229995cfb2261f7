//! Arbitrary bytes as a request, rewritten by arbitrary rules: if prost reads the request before, it reads it after,
//! and nothing is left that the rules withhold.
#![no_main]

use ccrun::otlp::{HashKey, Pattern, Redact, Rules, Signal, Stamp, Switch, Withheld, count, rewrite};
use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

const SECRET: &str = "a secret";

/// The rules, one bit each.
#[derive(Clone, Copy)]
struct Chosen {
    claude_alone: bool,
    stamped: bool,
    withheld: bool,
    dropped: bool,
    hashed: bool,
    keyed: bool,
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, body)) = bytes.split_first() else { return };
    let [claude_alone, stamped, withheld, dropped, hashed, keyed] =
        [3, 6, 12, 24, 48, 96].map(|weight| first / weight % 2 == 1);
    let chosen = Chosen { claude_alone, stamped, withheld, dropped, hashed, keyed };
    match first % 3 {
        0 => check::<ExportTraceServiceRequest>(Signal::Traces, body, chosen),
        1 => check::<ExportMetricsServiceRequest>(Signal::Metrics, body, chosen),
        _ => check::<ExportLogsServiceRequest>(Signal::Logs, body, chosen),
    }
});

fn check<M: Request>(signal: Signal, body: &[u8], chosen: Chosen) {
    let rules = rules(chosen);
    let Ok(rewritten) = rewrite(signal, body, &rules) else { return };
    // Hashing a hash changes it again.
    if !chosen.hashed || !chosen.keyed {
        let again = rewrite(signal, &rewritten.body, &rules).unwrap();
        assert_eq!((again.body, again.refused), (rewritten.body.clone(), 0));
    }
    let Ok(before) = M::decode(body) else { return };
    if let Ok(counted) = count(signal, body) {
        assert_eq!(count(signal, &rewritten.body).unwrap() + rewritten.refused, counted);
    }
    let after = M::decode(&*rewritten.body).unwrap();
    let (before, after) = (before.resources(), after.resources());
    if !chosen.claude_alone {
        assert_eq!((after.len(), rewritten.refused), (before.len(), 0));
    }
    for resource in after {
        check_resource(&resource.unwrap_or_default(), chosen);
    }
}

fn rules(chosen: Chosen) -> Rules {
    let patterns = |names: &[&str]| names.iter().map(Pattern::new).collect();
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect();
    let mut stamp = Stamp::default();
    if chosen.stamped {
        stamp = Stamp { replace: pairs(&[("team.id", "platform")]), absent: pairs(&[("service.name", "own")]) };
    }
    let redact = Redact {
        drop: if chosen.dropped { patterns(&["user.*"]) } else { Vec::new() },
        hash: if chosen.hashed { patterns(&["session.id", "user.id"]) } else { Vec::new() },
        key: chosen.keyed.then(|| HashKey::of_secret(SECRET)),
    };
    let withheld = if chosen.withheld { Withheld::of(&Switch::ALL) } else { Withheld::default() };
    Rules::new(patterns(&[if chosen.claude_alone { "claude-code*" } else { "*" }]), stamp, withheld, redact)
}

fn check_resource(resource: &Resource, chosen: Chosen) {
    if chosen.stamped {
        assert_eq!(values(&resource.attributes, "team.id"), [Some(Value::StringValue("platform".to_owned()))]);
        assert!(!values(&resource.attributes, "service.name").is_empty());
    }
    if chosen.dropped {
        assert!(!resource.attributes.iter().any(|attribute| attribute.key.starts_with("user.")));
    }
    for value in values(&resource.attributes, "session.id").iter().filter(|_| chosen.hashed) {
        let Some(Value::StringValue(hash)) = value else { panic!("{value:?} is not a hash") };
        assert!(chosen.keyed && hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
    }
}

fn values(attributes: &[KeyValue], key: &str) -> Vec<Option<Value>> {
    let of_key = attributes.iter().filter(|attribute| attribute.key == key);
    of_key.map(|attribute| attribute.value.clone().and_then(|value| value.value)).collect()
}

trait Request: Message + Default {
    /// The resource of each of its items.
    fn resources(self) -> Vec<Option<Resource>>;
}

macro_rules! request {
    ($request:ty, $items:ident) => {
        impl Request for $request {
            fn resources(self) -> Vec<Option<Resource>> {
                self.$items.into_iter().map(|item| item.resource).collect()
            }
        }
    };
}
request!(ExportTraceServiceRequest, resource_spans);
request!(ExportMetricsServiceRequest, resource_metrics);
request!(ExportLogsServiceRequest, resource_logs);
