//! What tells a destination's sources from others', without saying what they are.

use ring::hmac;

use crate::profile::Destination;
use crate::setting::Setting;

/// Where a destination's headers come from, under the installation's key, as HMAC-SHA-256. Two destinations of one
/// helper have the same.
pub(super) fn identity(key: &[u8; 32], destination: &Destination, setting: &Setting) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    let mut add = |text: &str| {
        // The length first, so that no two lists of texts look the same.
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    };
    for (name, sources) in &destination.headers {
        add(name);
        for source in sources {
            add(&source.identity(&|name| setting.variable(name)));
        }
    }
    if let Some(helper) = &destination.headers_helper {
        add(&format!("{:?}", helper.argv));
    }
    context.sign().as_ref().to_vec()
}
