//! Serves the stand-in model until its standard input closes. The first line of output is its URL.

use std::io::{self, BufRead, Write};

use ccrun::doctor::live::model::{Model, Script, Usage};
use clap::Parser;

/// A stand-in model for Claude Code's `ANTHROPIC_BASE_URL`; it runs until standard input closes
#[derive(Parser)]
struct Options {
    /// Text of the answers
    #[arg(long, default_value = "Hi! I am a stand-in for the model.")]
    text: String,
    /// Ask the Bash tool to run this command first
    #[arg(long, value_name = "COMMAND")]
    bash: Option<String>,
    /// Stall after the first line or in the middle of the text, until a line arrives on standard input
    #[arg(long)]
    stall: bool,
    /// Print the prompts to standard error, one a line, when standard input closes
    #[arg(long)]
    log: bool,
    /// Input tokens in the usage of each answer
    #[arg(long, value_name = "TOKENS", default_value_t = 1200)]
    input: u64,
    /// Output tokens in the usage of each answer
    #[arg(long, value_name = "TOKENS", default_value_t = 40)]
    output: u64,
    /// Tokens read from the cache in the usage of each answer
    #[arg(long, value_name = "TOKENS", default_value_t = 300)]
    cache_read: u64,
    /// Tokens written to the cache in the usage of each answer
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
    if options.log {
        script = script.recording();
    }
    let model = Model::start(script)?;
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
