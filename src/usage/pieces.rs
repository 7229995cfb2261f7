//! A large request as several small ones, so that what decodes them needs little memory at a time.
//!
//! All three signals agree in what matters here: field 1 of a request are its `ResourceX` messages, field 2 of these
//! their `ScopeX`, and of those field 1 is the scope and field 2 a record (opentelemetry-proto, `*_service.proto`).

use super::extract::NotOtlp;
use crate::otlp::{fields, put_message};

/// `resource_metrics`, `resource_logs`, `resource_spans` of a request.
const RESOURCE_ITEM: u32 = 1;
/// `scope_metrics`, `scope_logs`, `scope_spans` of one of those.
const SCOPE_ITEM: u32 = 2;
/// `scope` of one of those.
const SCOPE: u32 = 1;
/// `metrics`, `log_records`, `spans` beside it.
const RECORD: u32 = 2;

/// How many times as large as a piece a single record may be.
const LARGEST: usize = 4;

/// A part of a request.
pub(super) enum Piece<'a> {
    /// A request with one scope and some of its records; without the resource, which says nothing about usage.
    Request(&'a [u8]),
    /// A single record that is larger than a piece may be.
    TooLarge,
}

/// Gives a request's records in pieces of about `size` bytes, or of one record that is larger.
pub(super) fn pieces(
    body: &[u8],
    size: usize,
    mut each: impl FnMut(Piece<'_>) -> Result<(), NotOtlp>,
) -> Result<(), NotOtlp> {
    for resource in fields(body) {
        let resource = resource?;
        if resource.number != RESOURCE_ITEM {
            continue;
        }
        for scope in fields(resource.bytes()?) {
            let scope = scope?;
            if scope.number == SCOPE_ITEM {
                of_scope(scope.bytes()?, size, &mut each)?;
            }
        }
    }
    Ok(())
}

fn of_scope(item: &[u8], size: usize, each: &mut impl FnMut(Piece<'_>) -> Result<(), NotOtlp>) -> Result<(), NotOtlp> {
    let mut scope = Vec::new();
    for field in fields(item) {
        let field = field?;
        // A scope so large is none of Claude Code's, whose usage is looked for.
        if field.number == SCOPE && scope.len() + field.raw.len() <= size / 2 {
            scope.extend_from_slice(field.raw);
        }
    }
    let mut piece = scope.clone();
    for field in fields(item) {
        let field = field?;
        if field.number != RECORD {
            continue;
        }
        if field.bytes()?.len() > LARGEST * size {
            each(Piece::TooLarge)?;
            continue;
        }
        if piece.len() > scope.len() && piece.len() + field.raw.len() > size {
            each(Piece::Request(&request(&piece)))?;
            piece.truncate(scope.len());
        }
        piece.extend_from_slice(field.raw);
    }
    if piece.len() > scope.len() { each(Piece::Request(&request(&piece))) } else { Ok(()) }
}

/// A request of one `ScopeX`.
fn request(scope_item: &[u8]) -> Vec<u8> {
    let mut resource_item = Vec::with_capacity(scope_item.len() + 16);
    put_message(&mut resource_item, SCOPE_ITEM, scope_item);
    let mut request = Vec::with_capacity(resource_item.len() + 16);
    put_message(&mut request, RESOURCE_ITEM, &resource_item);
    request
}
