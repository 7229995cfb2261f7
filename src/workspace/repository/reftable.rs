//! Repositories that keep branches in tables (`git init --ref-format=reftable`). Their `HEAD` file is a stub, and its
//! value is in the newest table that contains it. The format is described in git's
//! `Documentation/technical/reftable.txt`.

use std::path::Path;

use super::small_file;
use crate::system::bounded;

/// How much of a table is read, in bytes: its first block, which contains `HEAD`, because it sorts before all `refs/`.
const MAXIMUM_BLOCK: u64 = 64 * 1024;

/// How many tables are read. Git merges them before there are so many.
const MAXIMUM_TABLES: usize = 64;

/// The reference that `HEAD` names in the tables of a git directory, if any.
pub(super) fn head(git: &Path) -> Option<String> {
    let directory = git.join("reftable");
    let list = small_file(&directory.join("tables.list"))?;
    let names: Vec<_> = list.lines().filter(|name| !name.is_empty() && !name.contains('/')).collect();
    // Later tables win.
    let tables = names.iter().rev().take(MAXIMUM_TABLES);
    let said = tables.map(|name| {
        let (block, _) = bounded::read_foreign_start(&directory.join(name), MAXIMUM_BLOCK).ok()?;
        find(&block, b"HEAD")
    });
    // An unreadable table may contain anything.
    let newest = said.into_iter().find_map(|said| said.unwrap_or(Some(Value::Other)))?;
    if let Value::Symbolic(name) = newest { Some(name) } else { None }
}

/// The value of a reference.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    /// Another reference.
    Symbolic(String),
    /// An object, or a deleted reference.
    Other,
}

/// Searches a table's first block for a reference. `None` if the block is invalid, `Some(None)` if the reference is not
/// there.
#[expect(clippy::option_option, reason = "a table that cannot be read is not one without the reference")]
fn find(block: &[u8], wanted: &[u8]) -> Option<Option<Value>> {
    let (header, id) = match block.get(..5)? {
        b"REFT\x01" => (24, 20),
        b"REFT\x02" => (28, if block.get(24..28)? == b"s256" { 32 } else { 20 }),
        _ => return None,
    };
    if *block.get(header)? != b'r' {
        return Some(None);
    }
    // The first block is counted from the start of the file.
    let length = usize::try_from(number(block.get(header + 1..header + 4)?)).ok()?;
    let restarts = usize::try_from(number(block.get(length.checked_sub(2)?..length)?)).ok()?;
    let end = length.checked_sub(2 + 3 * restarts)?;
    let mut reader = Reader { bytes: block.get(..end)?, at: header + 4 };
    let mut name = Vec::new();
    while reader.at < end {
        name.truncate(reader.varint()?);
        let word = reader.varint()?;
        name.extend_from_slice(reader.take(word >> 3)?);
        reader.varint()?;
        let value = match word & 7 {
            0 => Value::Other,
            1 => reader.take(id).map(|_| Value::Other)?,
            2 => reader.take(2 * id).map(|_| Value::Other)?,
            3 => {
                let length = reader.varint()?;
                Value::Symbolic(String::from_utf8(reader.take(length)?.to_vec()).ok()?)
            }
            _ => return None,
        };
        if name == wanted {
            return Some(Some(value));
        }
        if name.as_slice() > wanted {
            break;
        }
    }
    Some(None)
}

/// Big-endian.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    /// A number as git's packs write offsets: seven bits a byte, the highest first, and one added before each.
    fn varint(&mut self) -> Option<usize> {
        let mut byte = self.take(1)?[0];
        let mut number = usize::from(byte & 0x7f);
        while byte & 0x80 != 0 {
            byte = self.take(1)?[0];
            number = number.checked_add(1)?.checked_mul(128)? | usize::from(byte & 0x7f);
        }
        Some(number)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A table with these references, in their order.
    pub(in super::super) fn table(references: &[(&str, Option<&str>)]) -> Vec<u8> {
        let mut records = Vec::new();
        for (name, target) in references {
            records.push(0);
            varint(&mut records, name.len() << 3 | if target.is_some() { 3 } else { 1 });
            records.extend_from_slice(name.as_bytes());
            records.push(0);
            match target {
                Some(target) => {
                    varint(&mut records, target.len());
                    records.extend_from_slice(target.as_bytes());
                }
                None => records.extend_from_slice(&[7; 20]),
            }
        }
        let length = u32::try_from(24 + 4 + records.len() + 3 + 2).unwrap();
        let mut table = b"REFT\x01\x00\x10\x00".to_vec();
        table.extend_from_slice(&[0; 16]);
        table.push(b'r');
        table.extend_from_slice(&length.to_be_bytes()[1..]);
        table.extend(records);
        table.extend_from_slice(&[0, 0, 28, 0, 1]);
        table.resize(4096, 0);
        table
    }

    fn varint(bytes: &mut Vec<u8>, mut number: usize) {
        let mut reversed = vec![u8::try_from(number & 0x7f).unwrap()];
        number >>= 7;
        while number > 0 {
            number -= 1;
            reversed.push(0x80 | u8::try_from(number & 0x7f).unwrap());
            number >>= 7;
        }
        bytes.extend(reversed.iter().rev());
    }

    #[test]
    fn a_reference_is_found_before_those_that_follow() {
        let long = format!("refs/heads/{}", "x".repeat(300));
        let block = table(&[("AUTO_MERGE", None), ("HEAD", Some(&long)), ("refs/heads/x", None)]);
        assert_eq!(find(&block, b"HEAD"), Some(Some(Value::Symbolic(long))));
        assert_eq!(find(&block, b"refs/heads/x"), Some(Some(Value::Other)));
        assert_eq!(find(&block, b"FETCH_HEAD"), Some(None));
    }

    #[test]
    fn invalid_tables_are_ignored() {
        let whole = table(&[("HEAD", Some("refs/heads/main"))]);
        for end in 0..100 {
            find(&whole[..end], b"HEAD");
        }
        for at in 0..60 {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut broken = whole.clone();
                broken[at] = byte;
                find(&broken, b"HEAD");
            }
        }
        assert_eq!(find(b"REFT\x03", b"HEAD"), None);
    }
}
