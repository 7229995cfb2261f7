//! Serves the stand-in for the model until its standard input closes, and prints its URL as the first line.

#[path = "../tests/support/model.rs"]
mod model;

use std::io::{self, BufRead, Write};

use clap::Parser;
use model::{Model, Script, Usage};

/// A stand-in for the model, for Claude Code's `ANTHROPIC_BASE_URL`; it answers until standard input closes.
#[derive(Parser)]
struct Options {
    /// What it answers
    #[arg(long, default_value = "Hi! I am a stand-in for the model.")]
    text: String,
    /// First asks for this command to be run by the Bash tool
    #[arg(long, value_name = "COMMAND")]
    bash: Option<String>,
    /// Stops after the text's first line, or in its middle, until a line comes on standard input
    #[arg(long)]
    stall: bool,
    /// Prints what was asked to standard error, a line each, when standard input closes
    #[arg(long)]
    log: bool,
    /// Input tokens that each answer reports
    #[arg(long, value_name = "TOKENS", default_value_t = 1200)]
    input: u64,
    /// Output tokens that each answer reports
    #[arg(long, value_name = "TOKENS", default_value_t = 40)]
    output: u64,
    /// Tokens read from the cache that each answer reports
    #[arg(long, value_name = "TOKENS", default_value_t = 300)]
    cache_read: u64,
    /// Tokens written to the cache that each answer reports
    #[arg(long, value_name = "TOKENS", default_value_t = 50)]
    cache_creation: u64,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let mut script = Script::text(options.text).usage(Usage {
        input: options.input,
        output: options.output,
        cache_read: options.cache_read,
        cache_creation: options.cache_creation,
    });
    if let Some(command) = options.bash {
        script = script.bash(command);
    }
    if options.stall {
        script = script.stalling();
    }
    let model = Model::start(script);
    writeln!(io::stdout(), "{}", model.url())?;
    for line in io::stdin().lock().lines() {
        line?;
        model.release();
    }
    if options.log {
        for request in model.requests() {
            let tools = request.body["tools"].as_array().map_or(0, Vec::len);
            let (model, stream) = (&request.body["model"], &request.body["stream"]);
            writeln!(
                io::stderr(),
                "{} {} model={model} stream={stream} tools={tools}",
                request.method,
                request.target
            )?;
        }
    }
    Ok(())
}
