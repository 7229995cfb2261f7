//! The pure parts: rewriting, converting and reading a request, and resolving a profile.

#![expect(clippy::disallowed_methods, reason = "a benchmark takes any moment")]

#[path = "../examples/bench/bodies.rs"]
#[allow(dead_code, reason = "what the other benchmarks take of it")]
mod bodies;
#[path = "../examples/bench/rules.rs"]
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::hint::black_box;

use anyhow::Context;
use bodies::{Format, Size, Template};
use ccrun::otlp::{json_to_protobuf, protobuf_to_json, rewrite};
use ccrun::profile::Selection;
use ccrun::secret::Keyring;
use ccrun::state::Places;
use ccrun::usage::extract;
use ccrun::workspace::{Config, Workspace};
use criterion::{BenchmarkId, Criterion, Throughput};
use jiff::Timestamp;

/// The largest request in either form, in bytes.
const LIMIT: usize = 64 << 20;

fn main() -> anyhow::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    requests(&mut criterion)?;
    resolve(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn requests(criterion: &mut Criterion) -> anyhow::Result<()> {
    let rules = rules::usual();
    let mut group = criterion.benchmark_group("request");
    for (name, size) in [("0.7 KB", Size::Small), ("10.8 KB", Size::Usual), ("1.2 MB", Size::Large)] {
        let template = Template::events(size, Format::Protobuf)?;
        let (signal, body) = (template.signal, template.number(0)?);
        let json = protobuf_to_json(signal, &body, LIMIT)?;
        let now = Timestamp::now().as_millisecond();
        rewrite(signal, &body, &rules)?;
        json_to_protobuf(signal, &json, LIMIT)?;
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(BenchmarkId::new("rewrite", name), |bencher| {
            bencher.iter(|| rewrite(signal, black_box(&body), &rules));
        });
        group.bench_function(BenchmarkId::new("extract", name), |bencher| {
            bencher.iter(|| extract(signal, black_box(&body), now));
        });
        group.bench_function(BenchmarkId::new("from JSON", name), |bencher| {
            bencher.iter(|| json_to_protobuf(signal, black_box(&json), LIMIT));
        });
        group.bench_function(BenchmarkId::new("to JSON", name), |bencher| {
            bencher.iter(|| protobuf_to_json(signal, black_box(&body), LIMIT));
        });
    }
    group.finish();
    Ok(())
}

/// A built-in profile, a user's profile, and one that extends twenty others.
fn resolve(criterion: &mut Criterion) -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let config = home.path().join("config");
    std::fs::create_dir_all(config.join("profiles"))?;
    let mut names = String::new();
    for number in 0..20 {
        std::fs::write(config.join(format!("profiles/part-{number}.toml")), part(number))?;
        write!(names, "\"part-{number}\", ")?;
    }
    std::fs::write(config.join("profiles/one.toml"), part(20))?;
    std::fs::write(config.join("profiles/twenty.toml"), format!("extends = [{names}]\n{}", part(20)))?;
    let places = Places {
        home: home.path().to_owned(),
        config,
        system: home.path().join("nowhere"),
        state: home.path().join("state"),
        moved_from: None,
        claude: home.path().join(".claude"),
    };
    let workspace = Workspace {
        places,
        variables: BTreeMap::new(),
        withheld: BTreeSet::new(),
        project: None,
        keyring: Keyring::Desktop,
        ledger: ccrun::workspace::LedgerRules::default(),
    };
    let config = Config::default();
    let mut group = criterion.benchmark_group("resolve");
    for name in ["local", "one", "twenty"] {
        let selection = Selection { profiles: vec![name.to_owned()], ..Selection::default() };
        workspace.resolve(&selection, &config).ok().with_context(|| format!("profile {name} cannot be resolved"))?;
        group
            .bench_function(name, |bencher| bencher.iter(|| workspace.resolve(black_box(&selection), &config).is_ok()));
    }
    group.finish();
    Ok(())
}

/// A profile of a typical size.
fn part(number: usize) -> String {
    format!(
        "description = \"part {number} of a team's profile\"\n[vars]\nregion-{number} = \"eu\"\n\
         [team]\nid = \"platform-{number}\"\n[resource]\n\"part.number.{number}\" = \"${{region-{number}}}\"\n\
         [signals]\nmetric_interval = \"10s\"\n[content]\nuser_prompts = false\n[env]\nPART_{number} = \"{number}\"\n"
    )
}
