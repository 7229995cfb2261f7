//! The real Claude Code in a sandbox with a stand-in model. It needs no account and only loopback.

use std::ffi::OsStr;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command, Output};

use serde_json::{Value, json};

use super::sandbox::{Sandbox, wait_until};
use ccrun::doctor::live::model::{Model, Script, Usage};

/// An invented key.
const KEY: &str = "sk-ant-invented-by-a-test";

/// Token counts that are all different and whose sums are different, so that a test cannot confuse them.
pub const USAGE: Usage = Usage { input: 1_003, output: 217, cache_read: 50_021, cache_creation: 4_007 };

/// A sandbox with `claude` on its PATH.
pub struct Client {
    sandbox: Sandbox,
    pub model: Model,
}

impl Client {
    /// Starts a model that answers as the script says.
    pub fn new(script: Script) -> Self {
        Self::with(Sandbox::new(), script)
    }

    /// Does the same in a given sandbox.
    pub fn with(mut sandbox: Sandbox, script: Script) -> Self {
        let program = std::env::var("TEST_CLAUDE").expect("TEST_CLAUDE is the path of the real Claude Code");
        sandbox.link("claude", program);
        let model = Model::start(script.recording()).unwrap();
        sandbox.set("ANTHROPIC_BASE_URL", model.url()).set("ANTHROPIC_API_KEY", KEY);
        sandbox.set("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1").set("DISABLE_AUTOUPDATER", "1");
        Self { sandbox, model }
    }

    /// `ccrun [OPTION]… claude [ARGUMENT]…`, as users type it.
    pub fn claude<S: AsRef<OsStr>>(&self, options: &[&str], arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.ccrun(options);
        command.arg("claude").args(arguments);
        command
    }

    /// Asks a question with `claude -p`, and returns the output.
    pub fn ask(&self, options: &[&str], question: &str) -> Output {
        finish(self.claude(options, ["-p", question]).spawn().unwrap())
    }

    /// Starts `claude -p` with permission to use Bash, and waits until its turn hangs in the middle of the model's
    /// answer.
    pub fn stall(&self, options: &[&str], question: &str) -> Child {
        let before = self.model.stalled();
        let child = self.claude(options, ["-p", question, "--allowedTools", "Bash"]).spawn().unwrap();
        wait_until("the answer to stall", || self.model.stalled() > before);
        child
    }

    /// Answers the questions of the first start on a terminal: theme, key and folder trust.
    pub fn settle_in(&self) {
        let key = &KEY[KEY.len() - 20..];
        let project = self.project().canonicalize().unwrap();
        let answers = json!({
            "hasCompletedOnboarding": true,
            "customApiKeyResponses": {"approved": [key]},
            "projects": {project.to_str().unwrap(): {"hasTrustDialogAccepted": true}},
        });
        self.write("home/.claude.json", answers.to_string());
    }

    /// A program with its arguments in a mount namespace where `/etc/claude-code` has these files.
    pub fn managed(&self, files: &[(&str, Value)], words: &[&str]) -> Command {
        for (name, content) in files {
            self.write(format!("managed/{name}"), content.to_string());
        }
        let (layer, source) = (self.home().with_file_name("layer"), self.home().with_file_name("managed"));
        std::fs::create_dir_all(&layer).unwrap();
        let script = format!(
            "set -e; mount -t tmpfs tmpfs {layer}; mkdir {layer}/upper {layer}/work
             mount -t overlay -o lowerdir=/etc,upperdir={layer}/upper,workdir={layer}/work overlay /etc
             mkdir /etc/claude-code; cp -r {}/. /etc/claude-code; exec \"$@\"",
            source.display(),
            layer = layer.display(),
        );
        let mut command = self.command("unshare");
        command.args(["-m", "sh", "-c", &script, "sh"]).args(words);
        command
    }

    /// The number of requests to the model, including background requests.
    pub fn questions(&self) -> usize {
        self.model.requests().iter().filter(|request| request.target.starts_with("/v1/messages?")).count()
    }

    /// All prompts to the model as one text.
    pub fn prompts(&self) -> Vec<String> {
        let requests = self.model.requests();
        let messages = requests.iter().filter_map(|request| request.body["messages"].as_array()).flatten();
        let blocks = messages.filter(|message| message["role"] == "user").flat_map(|message| {
            let content = &message["content"];
            let blocks = content.as_array().into_iter().flatten().filter_map(|block| block["text"].as_str());
            content.as_str().into_iter().chain(blocks)
        });
        blocks.map(str::to_owned).collect()
    }
}

impl Deref for Client {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Sandbox {
        &mut self.sandbox
    }
}

/// Whether [`Client::managed`] works on this machine. If not, the output says that the test was skipped.
#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
pub fn can_be_managed() -> bool {
    let unshared = Command::new("unshare").args(["-m", "true"]).output();
    let can = unshared.as_ref().is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("skipped: cannot create a mount namespace: {unshared:?}");
    }
    can
}

/// The pid of a child as a signed integer, as everything except std has it.
pub fn pid(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap()
}

/// Waits for a program to exit. Its output must fit a pipe, 64 KiB.
pub fn finish(mut child: Child) -> Output {
    wait_until("the program to exit", || child.try_wait().unwrap().is_some());
    child.wait_with_output().unwrap()
}
