//! Where a value comes from: a literal, a source, or several sources of which the first that has the value is used.

use std::path::Path;
use std::time::Duration;

use super::url::{check_url, in_the_clear};
use super::{duration, path, text, texts, truth};
use crate::profile::diagnostic::Diagnostic;
use crate::profile::schema;
use crate::profile::tree::{Node, Value};
use crate::secret::{ClientCredentials, Command, Format, Source, command};

/// The sources of a value in order.
pub(super) fn sources(node: &Node, faults: &mut Vec<Diagnostic>) -> Vec<Source> {
    if let Value::List(items) = &node.value {
        return items.iter().flat_map(|item| sources(item, faults)).collect();
    }
    if let Some(literal) = node.text() {
        return vec![Source::Literal(literal.to_owned())];
    }
    let format = || text(Some(node), "format").map_or_else(Format::default, |format| Format(format.to_owned()));
    let named = |key: &str| text(Some(node), key).map(str::to_owned);
    let source = named("env").map(|name| Source::Env(name, format()));
    let source = source.or_else(|| named("keyring").map(|name| Source::Keyring(name, format())));
    let source = source.or_else(|| node.get("command").map(|_| Source::Command(command(node), format())));
    let source = source.or_else(|| oauth2(node.get("oauth2")?, faults));
    let source = source.or_else(|| {
        let basic = node.get("basic")?;
        let password = basic.get("password").map(|password| sources(password, faults)).unwrap_or_default();
        Some(Source::Basic(text(Some(basic), "user")?.to_owned(), password))
    });
    let source = source.or_else(|| Some(Source::File(node.get("file").and_then(path)?, format())));
    if source.is_none() {
        faults.push(Diagnostic::at(&node.origin, "the source is incomplete").secret());
    }
    source.into_iter().collect()
}

fn oauth2(table: &Node, faults: &mut Vec<Diagnostic>) -> Option<Source> {
    let token_url = table.get("token_url")?;
    let url = token_url.text()?;
    let fault = match check_url(url) {
        // An undefined variable is reported separately.
        _ if url.contains("${") => None,
        Err(reason) => Some(format!("bad token_url: {reason}")),
        Ok(_) if url.contains('#') => Some("bad token_url: it must not have a fragment".to_owned()),
        Ok(_) if in_the_clear(url) => Some("the client secret would be sent in plain text to another host".to_owned()),
        Ok(_) => None,
    };
    let fault = fault.map(|message| Diagnostic::at(&token_url.origin, message));
    faults.extend(
        fault.map(|fault| fault.help("write, for example, \"https://login.example.com/oauth2/token\"").secret()),
    );
    let client_secret = sources(table.get("client_secret")?, faults);
    Some(Source::Oauth2(ClientCredentials {
        token_url: url.to_owned(),
        client_id: text(Some(table), "client_id")?.to_owned(),
        client_secret,
        scopes: texts(Some(table), "scopes").unwrap_or_default(),
    }))
}

/// A helper command. A program with a slash in its name is resolved from the directory of its file.
pub(super) fn command(table: &Node) -> Command {
    let some = Some(table);
    let mut argv = texts(some, "command").unwrap_or_default();
    if let (Some(program), Some(node)) = (argv.first_mut(), table.get("command")) {
        let directory = Path::new(&node.origin.document.label).parent();
        *program = command::located(program, directory).to_string_lossy().into_owned();
    }
    Command {
        argv,
        ttl: text(some, "ttl").and_then(schema::duration),
        timeout: duration(some, "timeout", Duration::from_secs(30)),
        interactive: truth(some, "interactive", false),
    }
}
