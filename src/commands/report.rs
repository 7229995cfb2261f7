//! `ccrun report`: shows the usage recorded on this machine, for which no backend is needed, or in a team's store.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use jiff::Zoned;
use jiff::tz::TimeZone;
use rusqlite::Connection;

use super::selection::selection;
use super::{budget, colour, complain, print, profile, source};
use crate::claude::known_sessions::known_sessions;
use crate::cli::{self, ReportFormat, ReportId, ReportOne, Shown};
use crate::report::ledger::LedgerSource;
use crate::report::range::{Current, End, moment};
use crate::report::render::{self, Format, Look};
use crate::report::{
    Column, Condition, Coverage, Extent, Query, Range, Source, SourceError, Standing, Story, StoryOf, Table, overview,
    suggestions,
};
use crate::state::Places;
use crate::system::opener;
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal;
use crate::terminal::printable::{printable, visible};
use crate::workspace::repository::checkout;
use crate::workspace::{Config, Workspace};
use crate::{ledger, store};

/// The exit code for a query that cannot be answered.
pub(super) const USAGE: u8 = 2;

pub(super) fn run(options: &cli::Report, process: &ProcessEnvironment) -> Result<ExitCode> {
    if options.json_schema {
        print(&render::schema())?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(ReportOne::Week(week)) = &options.one
        && week.json_schema
    {
        print(&render::week_schema())?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = process.started_at.to_zoned(TimeZone::system());
    let (workspace, config) = Workspace::gather(process)?;
    if !options.which.is_default()
        && let Err(faults) = workspace.resolve(&selection(options.which.clone().into(), process), &config)
    {
        return Ok(profile::invalid(&faults, process));
    }
    let of_profile = (&workspace, &config);
    if let Some(from) = from(options) {
        let (source, place) = match source::open(from, options.which.clone(), of_profile, process, now.timestamp()) {
            Ok(opened) => opened,
            Err(code) => return Ok(code),
        };
        let asked = Asked { source: &*source, place: Some(&place), ledger: None, budgets: Vec::new() };
        return show(options, asked, of_profile, process, &now);
    }
    let connection = up_to_date(&workspace.places)?;
    let budgets = if shows_budgets(options) {
        budget::of_report(&connection, options.which.clone(), of_profile, &now, process)?
    } else {
        Vec::new()
    };
    let source = LedgerSource::new(&connection).context("cannot read the ledger")?;
    show(options, Asked { source: &source, place: None, ledger: Some(&source), budgets }, of_profile, process, &now)
}

/// The team's store to read instead of the ledger.
fn from(options: &cli::Report) -> Option<&str> {
    match &options.one {
        None => options.from.as_deref(),
        Some(ReportOne::Week(week)) => week.from.as_deref(),
        Some(ReportOne::Session(one) | ReportOne::Prompt(one)) => one.from.as_deref(),
    }
}

/// Budgets stand beside a week and an overview of everything.
fn shows_budgets(options: &cli::Report) -> bool {
    let cli::Report { by, filter, since, until, today, week, month, year, .. } = options;
    let is_whole = by.is_empty() && filter.is_empty() && since.is_none() && until.is_none();
    match &options.one {
        None => is_whole && !(*today || *week || *month || *year),
        Some(one) => matches!(one, ReportOne::Week(_)),
    }
}

/// What is asked, and what only the ledger adds.
pub(super) struct Asked<'a> {
    pub(super) source: &'a dyn Source,
    /// The place of a team's store.
    pub(super) place: Option<&'a str>,
    pub(super) ledger: Option<&'a LedgerSource<'a>>,
    pub(super) budgets: Vec<Standing>,
}

impl Asked<'_> {
    /// Asks the source. Shows progress if that takes long, which only a team's store does.
    pub(super) fn ask<T>(&self, ask: impl FnOnce(&dyn Source) -> T) -> T {
        match self.place {
            Some(place) => source::with_progress(place, || ask(self.source)),
            None => ask(self.source),
        }
    }

    /// How much of what Claude Code did is in the ledger. Of a part that a filter chooses nothing is known, and neither
    /// is it of a team.
    pub(super) fn coverage(
        &self,
        filter: &[Condition],
        range: Range,
        claude: &Path,
    ) -> Result<Option<Coverage>, SourceError> {
        let Some(ledger) = self.ledger.filter(|_| filter.is_empty()) else { return Ok(None) };
        ledger.coverage(&known_sessions(claude, range.since, range.until))
    }
}

fn show(
    options: &cli::Report,
    mut asked: Asked<'_>,
    (workspace, config): (&Workspace, &Config),
    process: &ProcessEnvironment,
    now: &Zoned,
) -> Result<ExitCode> {
    let places = &workspace.places;
    let look = |shown: &Shown| look(shown, process, &places.home, now);
    match &options.one {
        None => {}
        Some(ReportOne::Week(week)) => return super::week::run(week, &asked, places, config.report, process, now),
        Some(ReportOne::Session(one)) => return stories(&asked, StoryOf::Session, one, &look(&one.shown), process),
        Some(ReportOne::Prompt(one)) => return stories(&asked, StoryOf::Prompt, one, &look(&one.shown), process),
    }
    let query = match query(options, process, &places.home, now) {
        Ok(query) => query,
        Err(fault) => {
            complain(&fault);
            return Ok(ExitCode::from(USAGE));
        }
    };
    let coverage = asked.coverage(&query.filter, query.range, &places.claude)?;
    let budgets = std::mem::take(&mut asked.budgets);
    let (format, look) = (format(&options.shown), look(&options.shown));
    match asked.ask(|source| answer(source, &query, (coverage, budgets), format, &look, now)) {
        Ok(text) => write(&text, &options.shown, process),
        Err(error) => failed(error),
    }
}

/// Reports why there is no answer: what is wrong with the query, or with a team's store.
pub(super) fn failed(error: SourceError) -> Result<ExitCode> {
    if error.is_of_query() {
        complain(&error.to_string());
        return Ok(ExitCode::from(USAGE));
    }
    Err(error.into())
}

/// The ledger with the latest usage, which is still in the sessions' logs.
fn up_to_date(places: &Places) -> Result<Connection> {
    match ledger::fold_tails(places) {
        Ok(missing) => missing.iter().for_each(|session| {
            complain(&format!("the latest usage of session {} is missing", printable(session)));
        }),
        Err(error) => complain(&format!("the latest usage of running sessions is missing: {error}")),
    }
    if let Some(newer) = newer_ledger(places) {
        complain(&format!("`{newer}` was written by a newer ccrun and is not shown: update ccrun"));
    }
    // An empty ledger is reported like any other.
    Ok(match store::open_to_read(&places.ledger())? {
        Some(connection) => connection,
        None => ledger::empty()?,
    })
}

/// Shows a session or a prompt if there is exactly one of that id.
fn stories(
    asked: &Asked<'_>,
    of: StoryOf,
    id: &ReportId,
    look: &Look,
    process: &ProcessEnvironment,
) -> Result<ExitCode> {
    match asked.ask(|source| source.stories(of, &id.id)) {
        Ok(found) => match found.as_slice() {
            [story] => write(&render::story(story, format(&id.shown), look), &id.shown, process),
            stories => Ok(ambiguous(stories, &id.id, of.name())),
        },
        Err(error) => failed(error),
    }
}

/// Says how much is missing: a table begins with it if that is much, and else a terminal is told; JSON has a note.
fn cover(table: &mut Table, coverage: Option<Coverage>, is_table: bool) {
    table.coverage = coverage;
    let Some(coverage) = coverage else { return };
    match coverage.note() {
        Some(note) if !is_table => table.notes.push(note),
        Some(note) if coverage.warning().is_none() && std::io::stderr().is_terminal() => complain(&note),
        _ => {}
    }
}

/// The ledger of a later major version, which has a file of its own.
fn newer_ledger(places: &Places) -> Option<String> {
    (2..10).map(|major| format!("ledger-{major}.db")).find(|name| places.ledger().with_file_name(name).exists())
}

fn answer(
    source: &dyn Source,
    query: &Query,
    (coverage, budgets): (Option<Coverage>, Vec<Standing>),
    format: Format,
    look: &Look,
    now: &Zoned,
) -> Result<String, SourceError> {
    let is_table = format == Format::Table;
    let (text, is_empty) = if query.by.is_empty() {
        let extent = match format {
            Format::Table => Extent::Recent,
            Format::Html => Extent::Page,
            _ => Extent::Whole,
        };
        let mut overview = overview(source, query, now, extent)?;
        cover(&mut overview.total, coverage, is_table);
        overview.budgets = budgets;
        (render::overview(&overview, query, format, look), overview.is_empty())
    } else {
        let mut table = source.answer(query)?;
        cover(&mut table, coverage, is_table);
        (render::table(&table, query, format, look), table.total.is_empty())
    };
    let is_narrowed = !query.filter.is_empty() || query.range != Range::default() || !query.by.is_empty();
    if !is_table || !is_empty || !is_narrowed {
        return Ok(text);
    }
    let found = suggestions(source, &query.filter)?;
    let nothing = "no usage matches\n".to_owned();
    Ok(found.into_iter().fold(nothing, |text, line| text + &visible(&line) + "\n"))
}

/// The query, or what is wrong with it.
fn query(options: &cli::Report, process: &ProcessEnvironment, home: &Path, now: &Zoned) -> Result<Query, String> {
    let mut query = Query::new(now.time_zone().clone());
    for name in &options.by {
        let dimension = name.parse()?;
        if query.by.contains(&dimension) {
            return Err(format!("`--by` names `{name}` twice"));
        }
        query.by.push(dimension);
    }
    if query.by.len() > 2 {
        return Err("`--by` takes one or two dimensions".to_owned());
    }
    query.filter = seen(&options.filter, process, home);
    if !options.columns.is_empty() {
        query.columns = options.columns.iter().map(|name| name.parse()).collect::<Result<Vec<&Column>, _>>()?;
    }
    query.sort = options.sort.as_ref().map(|name| name.parse()).transpose()?;
    query.top = options.top.and_then(|top| usize::try_from(top).ok());
    query.range = range(options, now)?;
    query.asked_at = Some(now.timestamp());
    Ok(query)
}

/// Conditions with the projects that they mean here.
pub(super) fn seen(filter: &[Condition], process: &ProcessEnvironment, home: &Path) -> Vec<Condition> {
    let root_of = |path: &Path| checkout(path).root;
    filter.iter().cloned().map(|condition| condition.seen_from(&process.directory, home, root_of)).collect()
}

fn range(options: &cli::Report, now: &Zoned) -> Result<Range, String> {
    let periods = [
        (options.today, Current::Today),
        (options.week, Current::Week),
        (options.month, Current::Month),
        (options.year, Current::Year),
    ];
    let period = periods.iter().find(|(is_asked, _)| *is_asked);
    let begins = period.map(|(_, period)| period.begins(now).0.timestamp().as_millisecond());
    let at = |text: &Option<String>, end, name: &str| {
        text.as_ref().map(|text| moment(text, end, now).map_err(|fault| format!("{name}: {fault}"))).transpose()
    };
    let since = at(&options.since, End::Since, "--since")?.or(begins);
    let until = at(&options.until, End::Until, "--until")?;
    if since.zip(until).is_some_and(|(since, until)| until <= since) {
        return Err("`--until` is before the start of the range".to_owned());
    }
    Ok(Range { since, until })
}

pub(super) fn format(shown: &Shown) -> Format {
    match shown.format {
        _ if shown.json => Format::Json,
        Some(ReportFormat::Json) => Format::Json,
        Some(ReportFormat::Csv) => Format::Csv,
        Some(ReportFormat::Markdown) => Format::Markdown,
        Some(ReportFormat::Html) => Format::Html,
        None if shown.open => Format::Html,
        Some(ReportFormat::Table) | None => Format::Table,
    }
}

pub(super) fn look(shown: &Shown, process: &ProcessEnvironment, home: &Path, now: &Zoned) -> Look {
    let stdout = std::io::stdout();
    let to_terminal = shown.output.is_none() && !shown.open;
    let width = terminal::width(&stdout);
    Look {
        width: width.filter(|_| to_terminal),
        colour: to_terminal && colour(&stdout, process),
        home: home.to_owned(),
        zone: now.time_zone().clone(),
    }
}

/// Prints the text, or writes it to a file, which can be opened.
pub(super) fn write(text: &str, shown: &Shown, process: &ProcessEnvironment) -> Result<ExitCode> {
    let file = match &shown.output {
        None if !shown.open => {
            print(text)?;
            return Ok(ExitCode::SUCCESS);
        }
        None => temporary(text, format(shown))?,
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
            process.directory.join(path)
        }
    };
    if shown.open && !opener::open(&file, process) {
        complain(&format!("nothing here opens the report: it is in `{}`", visible(&file.display().to_string())));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a file for the user alone, which stays until the system clears its directory of temporary files.
fn temporary(text: &str, format: Format) -> Result<PathBuf> {
    let suffix = match format {
        Format::Table => ".txt",
        Format::Json => ".json",
        Format::Csv => ".csv",
        Format::Markdown => ".md",
        Format::Html => ".html",
    };
    let made = tempfile::Builder::new().prefix("ccrun-report-").suffix(suffix).tempfile();
    let mut file = made.context("cannot create a temporary file")?;
    file.write_all(text.as_bytes()).context("cannot write a temporary file")?;
    Ok(file.keep().context("cannot keep a temporary file")?.1)
}

/// Reports that no id, or more than one, begins like this.
fn ambiguous(stories: &[Story], id: &str, kind: &str) -> ExitCode {
    if stories.is_empty() {
        complain(&format!("no {kind} begins with `{}`: see `ccrun report --by {kind}`", printable(id)));
    } else {
        let names = stories.iter().map(|story| printable(story.prompt.as_ref().unwrap_or(&story.session)));
        let names = names.collect::<Vec<_>>().join(", ");
        complain(&format!("`{}` is the beginning of several ids: {names}", printable(id)));
    }
    ExitCode::from(USAGE)
}
