//! Whatever passes for a message: what prost reads, it reads stamped, too, and stamping it twice is stamping it once.
#![no_main]

use ccrun::otlp::{Stamp, splice_resource};
use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    let pair = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    let stamp = Stamp { replace: pair("team.id", "platform"), absent: pair("service.name", "own") };
    let Ok(stamped) = splice_resource(bytes, &stamp) else { return };
    assert_eq!(splice_resource(&stamped, &stamp).unwrap(), stamped);
    let Ok(before) = ExportLogsServiceRequest::decode(bytes) else { return };
    let after = ExportLogsServiceRequest::decode(&*stamped).unwrap();
    assert_eq!(after.resource_logs.len(), before.resource_logs.len());
    for (before, after) in before.resource_logs.iter().zip(&after.resource_logs) {
        assert_eq!(after.scope_logs.len(), before.scope_logs.len());
        let resource = after.resource.as_ref().unwrap();
        assert_eq!(values(resource, "team.id"), [Some(Value::StringValue("platform".to_owned()))]);
        assert!(!values(resource, "service.name").is_empty());
    }
});

fn values(resource: &Resource, key: &str) -> Vec<Option<Value>> {
    let of_key = resource.attributes.iter().filter(|attribute| attribute.key == key);
    of_key.map(|attribute| attribute.value.clone().and_then(|value| value.value)).collect()
}
