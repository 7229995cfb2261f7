//! Changes a request between receiving and storing, in one pass over its wire form: rejects whole resources, stamps
//! resources, removes content without a switch, and redacts attributes.
//!
//! Decoding and re-encoding would lose the fields of newer senders, which prost drops. Here everything that no rule
//! names stays as received, byte for byte and in order, including unknown fields. The tables in `shape` fix the depth
//! of the pass, however deeply a sender nests messages.

mod attribute;
mod content;
mod own_hooks;
mod redact;
mod shape;
mod stamp;

use std::borrow::Cow;

use attribute::{key_of, put_with_text, text_of, text_of_value};
use content::{PLACEHOLDER, PREFIX, Unwanted};
pub use content::{Switch, Withheld};
pub use own_hooks::OwnHooks;
use redact::Fate;
pub use redact::{HashKey, Redact};
use shape::{Kind, SCOPE_SHAPE, Shape};
pub use stamp::Stamp;
use stamp::{below, resource_attributes};

use super::schema::every::{RECORD, RESOURCE, RESOURCE_ITEM, SCOPE, SCOPE_ITEM};
use super::schema::{log_record, resource, scope, span, span_event, status};
use super::split::count_in_resource;
use super::wire::{Field, Malformed, fields, put_changed, put_message};
use super::{Pattern, Signal};

/// How many bytes a request may grow by. Four MiB are enough for thousands of resources, and Claude Code sends one.
/// Without a limit, 64 MiB of empty resources of two bytes each would become gigabytes.
const MAX_GROWTH: usize = 4 << 20;

/// The initial capacity for growth, in bytes. It is more than a typical stamp adds to the one resource that Claude Code
/// sends. Without it the whole request would be copied again, into twice its size.
const USUAL_GROWTH: usize = 1 << 10;

/// The resource attribute with the service's name.
const SERVICE_NAME: &[u8] = b"service.name";

/// The attribute with the name of a Claude Code event.
const NAME_ATTRIBUTE: &[u8] = b"event.name";

/// The attribute with the tool of a Claude Code span.
const TOOL_NAME: &[u8] = b"tool_name";

/// The prefix of Claude Code's instrumentation scopes.
const CLAUDE_SCOPE: &[u8] = b"com.anthropic.claude_code";

/// The default name of Claude Code's services.
const CLAUDE_SERVICE: &[u8] = b"claude-code";

/// The rules for every request.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    accept: Vec<Pattern>,
    stamp: Stamp,
    withheld: Withheld,
    redact: Redact,
    own_hooks: OwnHooks,
}

impl Rules {
    /// Accepts telemetry of services that match a pattern in `accept`; one without a name matches only `*`. The
    /// attributes of the stamp are added before redaction, so that they are redacted as well.
    pub fn new(accept: Vec<Pattern>, stamp: Stamp, withheld: Withheld, redact: Redact) -> Self {
        Self { accept, stamp: stamp.redacted(&redact), withheld, redact, own_hooks: OwnHooks::default() }
    }

    /// The same without events that are about these hooks alone.
    #[must_use]
    pub fn without_hooks(self, own_hooks: OwnHooks) -> Self {
        Self { own_hooks, ..self }
    }
}

/// The result of rewriting a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The request to store.
    pub body: Vec<u8>,
    /// How many records, points or spans were rejected.
    pub refused: u64,
}

/// Applies rules to an `Export…ServiceRequest` in protobuf.
///
/// New attributes of a resource follow its other fields. A `ResourceX` without a resource gets one.
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
            refused += count_in_resource(signal, field.bytes()?)?;
        }
    }
    Ok(Rewritten { body: out, refused })
}

struct Rewriter<'a> {
    rules: &'a Rules,
    signal: Signal,
    /// The maximum length of the result.
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

    /// A `ResourceX`. If the resource is in several pieces, additions go to the last one.
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
            if field.number != resource::ATTRIBUTES {
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
        let Rules { withheld, redact, own_hooks, .. } = self.rules;
        let has_hooks = self.signal == Signal::Logs && !own_hooks.events.is_empty();
        let claude = (has_hooks || !withheld.is_nothing()) && (claude || is_claude(item)?);
        if redact.is_nothing() && !claude {
            out.extend_from_slice(item);
            return Ok(());
        }
        let (record, tool) = (shape::record(self.signal), claude.then_some(&b""[..]));
        for field in fields(item) {
            let field = field?;
            match field.number {
                SCOPE => put_changed(out, &field, |out| self.message(out, field.bytes()?, &SCOPE_SHAPE, None))?,
                RECORD if has_hooks && claude && own_hooks.has(field.bytes()?)? => {}
                RECORD => put_changed(out, &field, |out| self.message(out, field.bytes()?, record, tool))?,
                _ => out.extend_from_slice(field.raw),
            }
        }
        Ok(())
    }

    /// A message with attributes, and further messages with attributes below it. `around` is set for messages of Claude
    /// Code: the tool of the enclosing message, or empty.
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
                    Kind::Status => put_status(out, field.bytes()?, &unwanted),
                    _ => self.message(out, field.bytes()?, shape, around.map(|_| &*tool)),
                })?;
            } else if !(without_body && field.number == log_record::BODY) {
                out.extend_from_slice(field.raw);
            }
        }
        Ok(())
    }

    /// An attribute, unless it is removed.
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
fn put_status(out: &mut Vec<u8>, status: &[u8], unwanted: &Unwanted<'_>) -> Result<(), Malformed> {
    for field in fields(status) {
        let field = field?;
        if !(field.number == status::MESSAGE && unwanted.has_status_message()) {
            out.extend_from_slice(field.raw);
        }
    }
    Ok(())
}

/// The names of a message.
#[derive(Default)]
struct Named<'a> {
    /// All names. Depending on the version, an event's name is in an attribute, the record or the body. Content by any
    /// of the names is content.
    names: Vec<Cow<'a, [u8]>>,
    /// The text in the body of a log record.
    body: Option<Cow<'a, [u8]>>,
    /// The tool that a span concerns, or empty.
    tool: Cow<'a, [u8]>,
}

impl<'a> Named<'a> {
    fn of(message: &'a [u8], kind: Kind, around: &[u8]) -> Result<Self, Malformed> {
        let number = match kind {
            Kind::Event => log_record::EVENT_NAME,
            Kind::Span => span::NAME,
            Kind::SpanEvent => span_event::NAME,
            Kind::Status | Kind::Other => return Ok(Self::default()),
        };
        let (mut names, mut name, mut body, mut tool) = (Vec::with_capacity(3), None, None, Cow::default());
        for field in fields(message) {
            let field = field?;
            let is_event = kind == Kind::Event;
            if field.number == number {
                name = Some(Cow::Borrowed(field.bytes()?));
            } else if is_event && field.number == log_record::BODY {
                body = text_of_value(field.bytes()?)?.or(body);
            } else if is_event && field.number == log_record::ATTRIBUTES && key_of(field.bytes()?)? == NAME_ATTRIBUTE {
                names.push(text_of(field.bytes()?)?);
            } else if kind == Kind::Span && field.number == span::ATTRIBUTES && key_of(field.bytes()?)? == TOOL_NAME {
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

/// Whether a predicate holds for any name that a resource gives its service.
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

/// Whether a `ScopeX` has one of Claude Code's scopes.
fn is_claude(item: &[u8]) -> Result<bool, Malformed> {
    let mut is_claude = false;
    for scope in below(item, SCOPE) {
        for name in below(scope?, scope::NAME) {
            is_claude = name?.starts_with(CLAUDE_SCOPE);
        }
    }
    Ok(is_claude)
}

#[cfg(test)]
mod tests;
