//! What is done to a request between receiving and storing, in one pass over its wire form: whole resources are
//! refused, resources are stamped, content that nobody let out is taken out, attributes are redacted.
//!
//! Decoding and encoding again would lose the fields of newer senders, which prost drops. Here whatever is not named by
//! a rule stays as it came, byte for byte and in its order, unknown fields included. How deep the pass goes is fixed by
//! the tables in `shape`, whatever a sender nests.

mod attribute;
mod content;
mod redact;
mod shape;
mod stamp;

use std::borrow::Cow;

use attribute::{key_of, put_with_text, text_of, text_of_value};
use content::{PLACEHOLDER, Unwanted};
pub use content::{Switch, Withheld};
use redact::Fate;
pub use redact::{HashKey, Redact};
use shape::{
    BODY, DATA, EVENT_ATTRIBUTES, EVENT_NAME, Kind, POINTS, RECORD, RESOURCE, RESOURCE_ATTRIBUTES, RESOURCE_ITEM,
    SCOPE, SCOPE_ITEM, SCOPE_NAME, SCOPE_SHAPE, SPAN_ATTRIBUTES, SPAN_EVENT_NAME, SPAN_NAME, STATUS_MESSAGE, Shape,
};
pub use stamp::Stamp;
use stamp::{below, resource_attributes};

use super::wire::{Field, Malformed, fields, put_changed, put_message};
use super::{Pattern, Signal};

/// How many bytes a request may grow by: four MiB are thousands of resources, where Claude Code sends one.
/// Without a bound, 64 MiB of empty resources of two bytes each would become gigabytes.
const MAX_GROWTH: usize = 4 << 20;

/// What a usual stamp adds to the one resource that Claude Code sends, in bytes, and more. Without room for it the whole
/// request is copied once more, into twice its size.
const USUAL_GROWTH: usize = 1 << 10;

/// The attribute by which a resource says which service it is.
const SERVICE_NAME: &[u8] = b"service.name";

/// The attribute by which Claude Code names an event.
const NAME_ATTRIBUTE: &[u8] = b"event.name";

/// The attribute by which Claude Code says of a span which tool it is about.
const TOOL_NAME: &[u8] = b"tool_name";

/// What Claude Code's instrumentation scopes begin with.
const CLAUDE_SCOPE: &[u8] = b"com.anthropic.claude_code";

/// What Claude Code's services are called, unless somebody names them otherwise.
const CLAUDE_SERVICE: &[u8] = b"claude-code";

/// What is done to every request.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    accept: Vec<Pattern>,
    stamp: Stamp,
    withheld: Withheld,
    redact: Redact,
}

impl Rules {
    /// Telemetry of services that one of `accept` matches is taken; one without a name matches `*` alone. It is given
    /// the attributes of the stamp, and redacted then, so that these are too.
    pub fn new(accept: Vec<Pattern>, stamp: Stamp, withheld: Withheld, redact: Redact) -> Self {
        Self { accept, stamp: stamp.redacted(&redact), withheld, redact }
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// What is to be stored.
    pub body: Vec<u8>,
    /// How many records, points or spans were refused.
    pub refused: u64,
}

/// Applies rules to an `Export…ServiceRequest` in protobuf.
///
/// A resource's new attributes go behind its other fields; a `ResourceX` without a resource is given one.
pub fn rewrite(signal: Signal, body: &[u8], rules: &Rules) -> Result<Rewritten, Malformed> {
    let rewriter = Rewriter { rules, signal, limit: body.len().saturating_add(MAX_GROWTH) };
    let mut out = Vec::with_capacity(body.len().saturating_add(USUAL_GROWTH));
    let mut refused = 0;
    for field in fields(body) {
        let field = field?;
        if field.number != RESOURCE_ITEM {
            out.extend_from_slice(field.raw);
        } else if rewriter.accepts(field.bytes()?)? {
            put_changed(&mut out, &field, |out| rewriter.item(out, field.bytes()?))?;
            rewriter.check(&out)?;
        } else {
            refused += count(signal, field.bytes()?)?;
        }
    }
    Ok(Rewritten { body: out, refused })
}

struct Rewriter<'a> {
    rules: &'a Rules,
    signal: Signal,
    /// How long the outcome may be.
    limit: usize,
}

impl Rewriter<'_> {
    fn check(&self, out: &[u8]) -> Result<(), Malformed> {
        if out.len() > self.limit { Err(Malformed::Swells) } else { Ok(()) }
    }

    fn accepts(&self, item: &[u8]) -> Result<bool, Malformed> {
        let accept = &self.rules.accept;
        if accept.iter().any(Pattern::is_any) {
            return Ok(true);
        }
        any_service(item, |service| accept.iter().any(|pattern| pattern.matches(service)))
    }

    /// A `ResourceX`. Of a resource in several pieces the last one gets what is added.
    fn item(&self, out: &mut Vec<u8>, item: &[u8]) -> Result<(), Malformed> {
        let additions = self.rules.stamp.additions(item)?;
        let pieces = below(item, RESOURCE).count();
        if pieces == 0 {
            put_message(out, RESOURCE, &additions);
        }
        let claude = any_service(item, |service| service.starts_with(CLAUDE_SERVICE))?;
        let mut piece = 0;
        for field in fields(item) {
            let field = field?;
            match field.number {
                RESOURCE => {
                    piece += 1;
                    let additions = if piece == pieces { &additions[..] } else { &[] };
                    put_changed(out, &field, |out| self.resource(out, field.bytes()?, additions))?;
                }
                SCOPE_ITEM => put_changed(out, &field, |out| self.scope_item(out, field.bytes()?, claude))?,
                _ => out.extend_from_slice(field.raw),
            }
        }
        Ok(())
    }

    fn resource(&self, out: &mut Vec<u8>, resource: &[u8], additions: &[u8]) -> Result<(), Malformed> {
        for field in fields(resource) {
            let field = field?;
            if field.number != RESOURCE_ATTRIBUTES {
                out.extend_from_slice(field.raw);
            } else if !self.rules.stamp.replaces(key_of(field.bytes()?)?) {
                self.attribute(out, &field, &Unwanted::NOTHING)?;
            }
        }
        out.extend_from_slice(additions);
        Ok(())
    }

    /// A `ScopeX`.
    fn scope_item(&self, out: &mut Vec<u8>, item: &[u8], claude: bool) -> Result<(), Malformed> {
        let Rules { withheld, redact, .. } = self.rules;
        let claude = !withheld.is_nothing() && (claude || is_claude(item)?);
        if redact.is_nothing() && !claude {
            out.extend_from_slice(item);
            return Ok(());
        }
        let (record, tool) = (shape::record(self.signal), claude.then_some(&b""[..]));
        for field in fields(item) {
            let field = field?;
            match field.number {
                SCOPE => put_changed(out, &field, |out| self.message(out, field.bytes()?, &SCOPE_SHAPE, None))?,
                RECORD => put_changed(out, &field, |out| self.message(out, field.bytes()?, record, tool))?,
                _ => out.extend_from_slice(field.raw),
            }
        }
        Ok(())
    }

    /// A message that has attributes, and further messages that have some. One of Claude Code's comes with the tool that
    /// the message around it is about, which may be none.
    fn message(
        &self,
        out: &mut Vec<u8>,
        message: &[u8],
        shape: &Shape,
        around: Option<&[u8]>,
    ) -> Result<(), Malformed> {
        let Named { names, body, tool } = match around {
            Some(around) => Named::of(message, shape.kind, around)?,
            None => Named::default(),
        };
        let unwanted = if around.is_some() { self.rules.withheld.from(shape.kind, &names) } else { Unwanted::NOTHING };
        let without_body = unwanted.has_body(body.as_deref());
        for field in fields(message) {
            let field = field?;
            let below = shape.below.iter().find(|(number, _)| *number == field.number);
            if shape.attributes == Some(field.number) {
                self.attribute(out, &field, &unwanted)?;
            } else if let Some((_, shape)) = below {
                put_changed(out, &field, |out| match shape.kind {
                    Kind::Status => status(out, field.bytes()?, &unwanted),
                    _ => self.message(out, field.bytes()?, shape, around.map(|_| &*tool)),
                })?;
            } else if !(without_body && field.number == BODY) {
                out.extend_from_slice(field.raw);
            }
        }
        Ok(())
    }

    /// An attribute, if there is to be anything left of it.
    fn attribute(&self, out: &mut Vec<u8>, field: &Field<'_>, unwanted: &Unwanted<'_>) -> Result<(), Malformed> {
        let attribute = field.bytes()?;
        let key = key_of(attribute)?;
        if unwanted.has(key) && *text_of(attribute)? != *PLACEHOLDER {
            return Ok(());
        }
        match self.rules.redact.fate(key) {
            Fate::Kept => out.extend_from_slice(field.raw),
            Fate::Dropped => {}
            Fate::Hashed(hash) => {
                let hashed = hash.hash(&text_of(attribute)?);
                put_changed(out, field, |out| put_with_text(out, attribute, &hashed))?;
                self.check(out)?;
            }
        }
        Ok(())
    }
}

/// The status of a span.
fn status(out: &mut Vec<u8>, status: &[u8], unwanted: &Unwanted<'_>) -> Result<(), Malformed> {
    for field in fields(status) {
        let field = field?;
        if !(field.number == STATUS_MESSAGE && unwanted.has_status_message()) {
            out.extend_from_slice(field.raw);
        }
    }
    Ok(())
}

/// What a message goes by.
#[derive(Default)]
struct Named<'a> {
    /// All its names. Versions differ in whether an event's stands in an attribute, the record or the body; what is
    /// content by one of them is content.
    names: Vec<Cow<'a, [u8]>>,
    /// What the body of a log record says.
    body: Option<Cow<'a, [u8]>>,
    /// Which tool a span is about, if it is about one.
    tool: Cow<'a, [u8]>,
}

impl<'a> Named<'a> {
    fn of(message: &'a [u8], kind: Kind, around: &[u8]) -> Result<Self, Malformed> {
        let number = match kind {
            Kind::Event => EVENT_NAME,
            Kind::Span => SPAN_NAME,
            Kind::SpanEvent => SPAN_EVENT_NAME,
            Kind::Status | Kind::Other => return Ok(Self::default()),
        };
        let (mut names, mut name, mut body, mut tool) = (Vec::with_capacity(3), None, None, Cow::default());
        for field in fields(message) {
            let field = field?;
            let is_event = kind == Kind::Event;
            if field.number == number {
                name = Some(Cow::Borrowed(field.bytes()?));
            } else if is_event && field.number == BODY {
                body = text_of_value(field.bytes()?)?.or(body);
            } else if is_event && field.number == EVENT_ATTRIBUTES && key_of(field.bytes()?)? == NAME_ATTRIBUTE {
                names.push(text_of(field.bytes()?)?);
            } else if kind == Kind::Span && field.number == SPAN_ATTRIBUTES && key_of(field.bytes()?)? == TOOL_NAME {
                tool = text_of(field.bytes()?)?;
            }
        }
        if kind == Kind::SpanEvent && !around.is_empty() {
            let name = name.as_deref().unwrap_or_default();
            names.push([around, b" ", name].concat().into());
        }
        names.extend(name);
        names.extend(body.clone());
        Ok(Self { names, body, tool })
    }
}

/// Whether something is true of a name that a resource gives its service.
fn any_service(item: &[u8], is_so: impl Fn(&[u8]) -> bool) -> Result<bool, Malformed> {
    let mut is_named = false;
    for attribute in resource_attributes(item) {
        let attribute = attribute?;
        if key_of(attribute)? == SERVICE_NAME {
            is_named = true;
            if is_so(&text_of(attribute)?) {
                return Ok(true);
            }
        }
    }
    Ok(!is_named && is_so(b""))
}

/// Whether a `ScopeX` is of one of Claude Code's scopes.
fn is_claude(item: &[u8]) -> Result<bool, Malformed> {
    let mut is_claude = false;
    for scope in below(item, SCOPE) {
        for name in below(scope?, SCOPE_NAME) {
            is_claude = name?.starts_with(CLAUDE_SCOPE);
        }
    }
    Ok(is_claude)
}

/// How many records, points or spans a `ResourceX` holds.
fn count(signal: Signal, item: &[u8]) -> Result<u64, Malformed> {
    let mut count = 0;
    for scope in below(item, SCOPE_ITEM) {
        for record in below(scope?, RECORD) {
            count += if signal == Signal::Metrics { points(record?)? } else { record.map(|_| 1)? };
        }
    }
    Ok(count)
}

fn points(metric: &[u8]) -> Result<u64, Malformed> {
    let mut count = 0;
    for number in DATA {
        for data in below(metric, number) {
            for point in below(data?, POINTS) {
                count += point.map(|_| 1)?;
            }
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests;
