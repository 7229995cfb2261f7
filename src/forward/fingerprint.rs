//! Whose data a delivery is: where it goes and whose credentials it takes, without saying either.

use ring::hmac;

use crate::profile::Destination;
use crate::setting::Setting;

/// Endpoint, protocol, header sources and client certificate of a destination under the installation's key, as HMAC-SHA-256.
///
/// What an ended session left is delivered only to a destination of the same fingerprint: one that was changed since
/// may be somebody else's.
pub fn fingerprint(key: &[u8; 32], destination: &Destination, setting: &Setting) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    let mut add = |text: &str| {
        // The length first, so that no two lists of texts look the same.
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    };
    add(&destination.endpoint);
    add(&format!("{:?}", destination.protocol));
    for (name, sources) in &destination.headers {
        add(name);
        for source in sources {
            add(&source.identity(&|name| setting.variable(name)));
        }
    }
    if let Some(helper) = &destination.headers_helper {
        add(&format!("{:?}", helper.argv));
    }
    if let Some(cert) = &destination.tls.cert {
        add(&format!("certificate {}", cert.display()));
    }
    context.sign().as_ref().to_vec()
}
