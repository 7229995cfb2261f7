//! Each fault for real, and what is said of it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use super::{claude, diagnosed, healthy};
use crate::support::sandbox::Sandbox;

/// A fault: its name for whoever reads a failure, what makes it, the options that doctor gets, and what it has to say.
struct Fault {
    name: &'static str,
    inject: fn(&mut Sandbox),
    options: &'static [&'static str],
    id: &'static str,
    level: &'static str,
    says: &'static [&'static str],
    fix: &'static str,
}

/// Makes each fault in a system that is healthy otherwise.
#[track_caller]
fn all_are_named(faults: &[Fault]) {
    for fault in faults {
        let mut sandbox = healthy();
        (fault.inject)(&mut sandbox);
        let output = sandbox.run(["doctor", "--json"].iter().chain(fault.options));
        let said = std::panic::catch_unwind(|| diagnosed(&output, fault.id, fault.level, fault.says, fault.fix));
        assert!(said.is_ok(), "the fault is: {}", fault.name);
    }
}

/// A profile `team` with a destination to which nothing is sent, and this besides.
fn team(sandbox: &Sandbox, rest: &str) {
    sandbox.profile("team", format!("[destination.backend]\nendpoint = \"http://127.0.0.1:9\"\n{rest}"));
}

fn header(sandbox: &Sandbox, source: &str) {
    team(sandbox, &format!("headers.Authorization = {source}\n"));
}

fn user_settings(sandbox: &Sandbox, json: &str) {
    sandbox.write("home/.claude/settings.json", json);
}

/// A server on loopback that answers everything with this.
fn server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap() == 0 {
                    break;
                }
                head.extend(byte);
            }
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    url
}

/// A port of this machine at which nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn the_program() {
    let faults = [
        Fault {
            name: "Claude Code is not installed",
            inject: |sandbox| std::fs::remove_file(sandbox.home().with_file_name("bin/claude")).unwrap(),
            options: &[],
            id: "program.found",
            level: "failed",
            says: &["there is no Claude Code: no `claude` is on PATH"],
            fix: "install Claude Code",
        },
        Fault {
            name: "the only claude is a script that runs ccrun",
            inject: |sandbox| claude(sandbox, "exec ccrun claude \"$@\""),
            options: &[],
            id: "program.found",
            level: "failed",
            says: &["/bin/claude`, runs ccrun again, without end"],
            fix: "CCRUN_CLAUDE",
        },
        Fault {
            name: "CCRUN_CLAUDE names nothing",
            inject: |sandbox| {
                sandbox.set("CCRUN_CLAUDE", "/nowhere/claude");
            },
            options: &[],
            id: "program.found",
            level: "failed",
            says: &["CCRUN_CLAUDE is `/nowhere/claude`: there is no such file"],
            fix: "set CCRUN_CLAUDE to the absolute path",
        },
        Fault {
            name: "CCRUN_CLAUDE names ccrun",
            inject: |sandbox| {
                let ccrun = sandbox.home().with_file_name("bin").join("ccrun").display().to_string();
                sandbox.set("CCRUN_CLAUDE", ccrun);
            },
            options: &[],
            id: "program.found",
            level: "failed",
            says: &["that is ccrun itself"],
            fix: "set CCRUN_CLAUDE to the absolute path",
        },
        Fault {
            name: "a version without --settings",
            inject: |sandbox| claude(sandbox, "echo '1.0.51 (Claude Code)'"),
            options: &[],
            id: "program.version",
            level: "failed",
            says: &["its version, 1.0.51, is too old", "does not know `--settings`"],
            fix: "`claude update`",
        },
        Fault {
            name: "a version that loses events",
            inject: |sandbox| claude(sandbox, "echo '2.1.100 (Claude Code)'"),
            options: &[],
            id: "program.version",
            level: "warning",
            says: &["2.1.100", "loses the events of a session's first moments"],
            fix: "`claude update`",
        },
        Fault {
            name: "a program that fails",
            inject: |sandbox| claude(sandbox, "echo 'cannot find module' >&2; exit 3"),
            options: &[],
            id: "program.version",
            level: "failed",
            says: &["--version` ended with exit status: 3: cannot find module"],
            fix: "run it by hand",
        },
        Fault {
            name: "a program that hangs",
            inject: |sandbox| claude(sandbox, "exec sleep 600"),
            options: &[],
            id: "program.version",
            level: "failed",
            says: &["--version` took longer than"],
            fix: "run it by hand",
        },
        Fault {
            name: "something else of that name",
            inject: |sandbox| claude(sandbox, "echo 'Claude the printer'"),
            options: &[],
            id: "program.version",
            level: "warning",
            says: &["names no version", "it says: Claude the printer"],
            fix: "is that Claude Code?",
        },
        Fault {
            name: "npm's, without node",
            inject: |sandbox| {
                sandbox.program("claude", "#!/usr/bin/env node\nprocess.exit(0)\n");
                let bin = sandbox.home().with_file_name("bin").display().to_string();
                sandbox.set("PATH", bin);
            },
            options: &[],
            id: "program.node",
            level: "failed",
            says: &["/bin/claude` is a script for `node`, which is not on PATH"],
            fix: "install Node.js",
        },
        Fault {
            name: "the old installer's alias",
            inject: |sandbox| {
                sandbox.write("home/.bashrc", "# mine\nalias claude=\"$HOME/.claude/local/claude\"\n");
            },
            options: &[],
            id: "program.alias",
            level: "warning",
            says: &["~/.bashrc:2 makes `claude` mean the Claude Code of the old installer"],
            fix: "alias claude='ccrun claude'",
        },
        Fault {
            name: "a second Claude Code",
            inject: |sandbox| drop(sandbox.write("home/.claude/local/claude", "#!/bin/sh\n")),
            options: &[],
            id: "program.alias",
            level: "warning",
            says: &["there is a second Claude Code, of the old installer: `~/.claude/local/claude`"],
            fix: "remove the other",
        },
    ];
    all_are_named(&faults);
}

#[test]
fn the_profile() {
    let faults = [
        Fault {
            name: "no such profile",
            inject: |_| {},
            options: &["-p", "taem"],
            id: "profile.valid",
            level: "failed",
            says: &["telemetry is off", "`taem`"],
            fix: "",
        },
        Fault {
            name: "no TOML",
            inject: |sandbox| drop(sandbox.profile("team", "[signals\n")),
            options: &["-p", "team"],
            id: "profile.valid",
            level: "failed",
            says: &["telemetry is off: ~/.config/ccrun/profiles/team.toml:1:9: ", "[signals"],
            fix: "`ccrun profile check` looks again",
        },
        Fault {
            name: "a key that there is not",
            inject: |sandbox| drop(sandbox.profile("team", "[signals]\nmetric = false\n")),
            options: &["-p", "team"],
            id: "profile.valid",
            level: "failed",
            says: &["team.toml:2:1: ", "`metric`", "metric = false"],
            fix: "did you mean `metrics`?",
        },
        Fault {
            name: "a variable that has no value",
            inject: |sandbox| drop(sandbox.profile("team", "[vars]\nregion = { env = \"REGION\" }\n")),
            options: &["-p", "team"],
            id: "profile.valid",
            level: "failed",
            says: &["team.toml:2:10: `vars.region`: the variable REGION is not set"],
            fix: "set REGION, or say it by `--var region=VALUE`",
        },
        Fault {
            name: "a broken config.toml",
            inject: |sandbox| drop(sandbox.write("home/.config/ccrun/config.toml", "profil = \"team\"\n")),
            options: &[],
            id: "profile.valid",
            level: "failed",
            says: &["~/.config/ccrun/config.toml:1:1: "],
            fix: "did you mean `profile`?",
        },
        Fault {
            name: "off for a while, and forgotten",
            inject: |sandbox| {
                sandbox.set("CCRUN_OFF", "1");
            },
            options: &[],
            id: "profile.off",
            level: "failed",
            says: &["ccrun is switched off by CCRUN_OFF"],
            fix: "unset CCRUN_OFF",
        },
        Fault {
            name: "off in config.toml",
            inject: |sandbox| drop(sandbox.write("home/.config/ccrun/config.toml", "off = true\n")),
            options: &[],
            id: "profile.off",
            level: "failed",
            says: &["ccrun is switched off by `off` in config.toml"],
            fix: "take `off = true` out",
        },
        Fault {
            name: "a project's file that nobody trusts",
            inject: |sandbox| drop(sandbox.write("project/.ccrun.toml", "[team]\nid = \"platform\"\n")),
            options: &[],
            id: "profile.project",
            level: "warning",
            says: &["the project's file", ".ccrun.toml` is not trusted and ignored"],
            fix: "`ccrun trust`",
        },
        Fault {
            name: "a project's file that has changed",
            inject: |sandbox| {
                sandbox.write("project/.ccrun.toml", "[team]\nid = \"platform\"\n");
                assert!(sandbox.run(["trust", "--yes"]).status.success());
                sandbox.write("project/.ccrun.toml", "[team]\nid = \"other\"\n");
            },
            options: &[],
            id: "profile.project",
            level: "warning",
            says: &["has changed since it was trusted and is ignored"],
            fix: "`ccrun trust`",
        },
        Fault {
            name: "a mistyped variable in [env]",
            inject: |sandbox| {
                sandbox.profile("team", "[env]\nOTEL_EXPORTER_OLTP_ENDPOINT = \"https://h\"\n");
            },
            options: &["-p", "team"],
            id: "profile.typo",
            level: "warning",
            says: &["team.toml:2:31: OTEL_EXPORTER_OLTP_ENDPOINT means nothing to anybody"],
            fix: "did you mean OTEL_EXPORTER_OTLP_ENDPOINT?",
        },
        Fault {
            name: "the port of the other protocol",
            inject: |sandbox| {
                sandbox.profile("team", "[destination.backend]\nendpoint = \"http://127.0.0.1:4317\"\n");
            },
            options: &["-p", "team"],
            id: "profile.port",
            level: "warning",
            says: &["`backend` is spoken to as HTTP, and its port is gRPC's by custom", "team.toml:2:12"],
            fix: "port 4318, or `protocol = \"grpc\"`",
        },
        Fault {
            name: "what was set up before cannot all be taken over",
            inject: |sandbox| {
                sandbox.set("CLAUDE_CODE_ENABLE_TELEMETRY", "1").set("OTEL_METRICS_EXPORTER", "prometheus");
            },
            options: &[],
            id: "profile.inherited",
            level: "warning",
            says: &["the `prometheus` exporter (OTEL_METRICS_EXPORTER in the environment) is left out"],
            fix: "--from-env",
        },
    ];
    all_are_named(&faults);
}

/// A token that has said what it says until then.
fn jwt(exp: i64) -> String {
    let claims = BASE64_URL_SAFE_NO_PAD.encode(format!("{{\"exp\": {exp}}}"));
    format!("\"Bearer eyJhbGciOiJub25lIn0.{claims}.c2ln\"")
}

#[test]
fn the_credentials() {
    let faults = [
        Fault {
            name: "a variable that is not set",
            inject: |sandbox| header(sandbox, "{ env = \"TEAM_TOKEN\" }"),
            options: &["-p", "team"],
            id: "credentials.headers",
            level: "failed",
            says: &["what is for `backend` waits", "header `authorization`: the variable TEAM_TOKEN is not set"],
            fix: "set TEAM_TOKEN where ccrun is started",
        },
        Fault {
            name: "a file that is not there",
            inject: |sandbox| header(sandbox, "{ file = \"~/.secrets/token\" }"),
            options: &["-p", "team"],
            id: "credentials.headers",
            level: "failed",
            says: &["the file ~/.secrets/token cannot be read: No such file"],
            fix: "write the value to `~/.secrets/token`",
        },
        Fault {
            name: "a command that fails",
            inject: |sandbox| header(sandbox, "{ command = [\"sh\", \"-c\", \"echo not logged in >&2; exit 4\"] }"),
            options: &["-p", "team"],
            id: "credentials.headers",
            level: "failed",
            says: &["the command `sh` ended with exit status: 4: not logged in"],
            fix: "run the command `sh` by hand",
        },
        Fault {
            name: "a command that prints what is for all headers",
            inject: |sandbox| header(sandbox, "{ command = [\"echo\", \"{\\\"Authorization\\\": \\\"x\\\"}\"] }"),
            options: &["-p", "team"],
            id: "credentials.headers",
            level: "failed",
            says: &["the command `echo` printed a JSON object, which is an answer for `headers_helper`"],
            fix: "mend what it says",
        },
        Fault {
            name: "a command that hangs",
            inject: |sandbox| header(sandbox, "{ command = [\"sleep\", \"600\"] }"),
            options: &["-p", "team"],
            id: "credentials.headers",
            level: "failed",
            says: &["the command `sleep` took longer than"],
            fix: "run the command `sleep` by hand",
        },
        Fault {
            name: "a helper that prints no JSON",
            inject: |sandbox| team(sandbox, "headers_helper = { command = [\"echo\", \"Authorization: x\"] }\n"),
            options: &["-p", "team"],
            id: "credentials.headers",
            level: "failed",
            says: &["the command `echo` printed no JSON object of headers: line 1 column 1"],
            fix: "run it by hand",
        },
        Fault {
            name: "a helper whose answer has expired",
            inject: |sandbox| {
                let answer = r#"{"headers": {"a": "b"}, "expires_at": "2020-01-01T00:00:00Z"}"#;
                team(sandbox, &format!("headers_helper = {{ command = [\"echo\", '{answer}'] }}\n"));
            },
            options: &["-p", "team"],
            id: "credentials.expiry",
            level: "failed",
            says: &["the header `a` of `backend` has expired"],
            fix: "run it by hand",
        },
        Fault {
            name: "a token that has expired",
            inject: |sandbox| header(sandbox, &jwt(1_600_000_000)),
            options: &["-p", "team"],
            id: "credentials.expiry",
            level: "failed",
            says: &["the header `authorization` of `backend` has expired, ", " days ago"],
            fix: "put a new token where the profile takes it from",
        },
        Fault {
            name: "a token that expires soon",
            inject: |sandbox| header(sandbox, &jwt(jiff::Timestamp::now().as_second() + 3600)),
            options: &["-p", "team"],
            id: "credentials.expiry",
            level: "warning",
            says: &["the header `authorization` of `backend` expires in ", "and nobody fetches it anew"],
            fix: "take it from a command",
        },
        Fault {
            name: "a secret of the program's that is not there",
            inject: |sandbox| drop(sandbox.profile("team", "[env]\nKEY = { env = \"TEAM_KEY\" }\n")),
            options: &["-p", "team"],
            id: "credentials.variables",
            level: "failed",
            says: &["telemetry is off: there is no value for `env.KEY`: the variable TEAM_KEY is not set"],
            fix: "set TEAM_KEY",
        },
        Fault {
            name: "no keyring at all",
            inject: |sandbox| header(sandbox, "{ keyring = \"team/key\" }"),
            options: &["-p", "team"],
            id: "credentials.keyring",
            level: "failed",
            says: &["the keyring cannot be asked for, there is no session bus"],
            fix: "start a keyring",
        },
    ];
    all_are_named(&faults);
}

#[test]
fn claudes_settings() {
    let faults = [
        Fault {
            name: "settings that are no JSON",
            inject: |sandbox| user_settings(sandbox, "{\"env\": "),
            options: &[],
            id: "settings.files",
            level: "warning",
            says: &["`~/.claude/settings.json`: the file holds no JSON (line 1, column 8)"],
            fix: "mend it",
        },
        Fault {
            name: "settings that beat the profile's variables",
            inject: |sandbox| {
                sandbox.profile("team", "[env]\nANTHROPIC_MODEL = \"opus\"\n");
                user_settings(sandbox, "{\n  \"env\": {\n    \"ANTHROPIC_MODEL\": \"sonnet\"\n  }\n}\n");
            },
            options: &["-p", "team"],
            id: "settings.stronger",
            level: "warning",
            says: &["Claude Code takes ANTHROPIC_MODEL from ~/.claude/settings.json:3, not from the profile"],
            fix: "`[settings.env]`",
        },
        Fault {
            name: "a repository that opts out",
            inject: |sandbox| {
                let settings = "{\n\"env\": {\"OTEL_LOGS_EXPORTER\": \"none\"}}";
                sandbox.write("project/.claude/settings.json", settings);
            },
            options: &[],
            id: "settings.project",
            level: "warning",
            says: &[
                "project/.claude/settings.json:2 turns telemetry off in this project: OTEL_LOGS_EXPORTER is `none`",
            ],
            fix: "take it out",
        },
        Fault {
            name: "a helper that is left over",
            inject: |sandbox| user_settings(sandbox, "{\"otelHeadersHelper\": \"/opt/old-headers\"}"),
            options: &[],
            id: "settings.helper",
            level: "warning",
            says: &["~/.claude/settings.json:1 names an `otelHeadersHelper`, which ccrun's sessions do without"],
            fix: "take it out",
        },
        Fault {
            name: "everybody signs in by the apps gateway",
            inject: |sandbox| {
                sandbox.write("home/.claude/remote-settings.json", "{\"forceLoginMethod\": \"gateway\"}");
            },
            options: &[],
            id: "settings.login",
            level: "failed",
            says: &["~/.claude/remote-settings.json:1 has everybody sign in by the apps gateway"],
            fix: "have the gateway pass it on",
        },
        Fault {
            name: "an administrator's server sends telemetry elsewhere",
            inject: |sandbox| {
                let settings = "{\"env\": {\n\"OTEL_EXPORTER_OTLP_ENDPOINT\": \"https://h\"}}";
                sandbox.write("home/.claude/remote-settings.json", settings);
            },
            options: &[],
            id: "settings.managed",
            level: "failed",
            says: &["~/.claude/remote-settings.json:2 sets OTEL_EXPORTER_OTLP_ENDPOINT for everybody, and beats ccrun"],
            fix: "ask whoever manages this machine's Claude Code",
        },
        Fault {
            name: "an administrator's server has another model",
            inject: |sandbox| {
                sandbox.write("home/.claude/remote-settings.json", "{\"model\": \"opus\"}");
                sandbox.profile("team", "[settings]\nmodel = \"sonnet\"\n");
            },
            options: &["-p", "team"],
            id: "settings.managed",
            level: "warning",
            says: &["remote-settings.json:1 sets model for everybody, and beats the profile"],
            fix: "have the profile say the same",
        },
        Fault {
            name: "two providers",
            inject: |sandbox| {
                sandbox.set("CLAUDE_CODE_USE_BEDROCK", "1");
                user_settings(sandbox, "{\"env\": {\"CLAUDE_CODE_USE_VERTEX\": \"1\"}}");
            },
            options: &[],
            id: "settings.providers",
            level: "failed",
            says: &["CLAUDE_CODE_USE_BEDROCK in the environment, CLAUDE_CODE_USE_VERTEX in ~/.claude/settings.json:1"],
            fix: "leave one of them on",
        },
        Fault {
            name: "a gateway that is down",
            inject: |sandbox| {
                sandbox.set("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:{}", closed_port()));
            },
            options: &[],
            id: "settings.gateway",
            level: "failed",
            says: &["does not answer: ", "refused the connection", "named by ANTHROPIC_BASE_URL in the environment"],
            fix: "is it up, and the URL right?",
        },
        Fault {
            name: "a gateway that refuses the key",
            inject: |sandbox| {
                let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 26\r\nConnection: close\r\n\r\nno such key: sk-of-nobody!";
                sandbox.set("TEAM_KEY", "sk-of-nobody!");
                let url = server(answer);
                sandbox.profile(
                    "team",
                    format!("[env]\nANTHROPIC_BASE_URL = \"{url}\"\nANTHROPIC_AUTH_TOKEN = {{ env = \"TEAM_KEY\" }}\n"),
                );
            },
            options: &["-p", "team"],
            id: "settings.gateway",
            level: "failed",
            says: &[
                "does not accept the key (ANTHROPIC_AUTH_TOKEN in ~/.config/ccrun/profiles/team.toml:3:24): 401 unauthorized",
                "it says: no such key: <hidden>",
            ],
            fix: "put a valid key there",
        },
        Fault {
            name: "a gateway that has moved",
            inject: |sandbox| {
                let answer =
                    "HTTP/1.1 308 Permanent Redirect\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                sandbox.set("ANTHROPIC_BASE_URL", server(answer));
            },
            options: &[],
            id: "settings.gateway",
            level: "warning",
            says: &["sends elsewhere: 308 permanent redirect"],
            fix: "write the URL that it means",
        },
    ];
    all_are_named(&faults);
}

#[test]
fn the_environment() {
    let faults = [
        Fault {
            name: "OLTP",
            inject: |sandbox| {
                sandbox.set("OTEL_EXPORTER_OLTP_PROTOCOL", "grpc");
            },
            options: &[],
            id: "environment.typo",
            level: "warning",
            says: &["OTEL_EXPORTER_OLTP_PROTOCOL in the environment means nothing to anybody"],
            fix: "did you mean OTEL_EXPORTER_OTLP_PROTOCOL?",
        },
        Fault {
            name: "a letter too few, in Claude's settings",
            inject: |sandbox| user_settings(sandbox, "{\"env\": {\"OTEL_METRIC_EXPORTER\": \"otlp\"}}"),
            options: &[],
            id: "environment.typo",
            level: "warning",
            says: &["OTEL_METRIC_EXPORTER in ~/.claude/settings.json:1 means nothing to anybody"],
            fix: "did you mean OTEL_METRICS_EXPORTER?",
        },
        Fault {
            name: "an endpoint that the profile passes over",
            inject: |sandbox| {
                sandbox.set("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://logs.example/v1/logs");
            },
            options: &["-p", "local"],
            id: "environment.stray",
            level: "warning",
            says: &[
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT in the environment: the profile `local` says where telemetry goes",
            ],
            fix: "unset it",
        },
        Fault {
            name: "http for a protocol",
            inject: |sandbox| {
                sandbox.set("OTEL_EXPORTER_OTLP_PROTOCOL", "http");
            },
            options: &[],
            id: "environment.protocol",
            level: "warning",
            says: &["OTEL_EXPORTER_OTLP_PROTOCOL in the environment is `http`, which is no protocol"],
            fix: "`http/protobuf`",
        },
        Fault {
            name: "4317 spoken to as HTTP",
            inject: |sandbox| {
                let settings = "{\"env\": {\"OTEL_EXPORTER_OTLP_ENDPOINT\": \"https://h.invalid:4317\",\n\
                    \"OTEL_EXPORTER_OTLP_PROTOCOL\": \"http/protobuf\"}}";
                user_settings(sandbox, settings);
            },
            options: &["-p", "local"],
            id: "environment.port",
            level: "warning",
            says: &[
                "~/.claude/settings.json:1 is spoken to as HTTP, and its port is gRPC's",
                "settings.json:2 says so",
            ],
            fix: "port 4318",
        },
        Fault {
            name: "4318 spoken to as gRPC",
            inject: |sandbox| {
                let settings = "{\"env\": {\"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT\": \"https://h.invalid:4318\",\n\
                    \"OTEL_EXPORTER_OTLP_PROTOCOL\": \"grpc\"}}";
                user_settings(sandbox, settings);
            },
            options: &["-p", "local"],
            id: "environment.port",
            level: "warning",
            says: &["is spoken to as gRPC, and its port is HTTP's"],
            fix: "port 4317",
        },
        Fault {
            name: "the console exporter",
            inject: |sandbox| {
                sandbox.set("OTEL_LOGS_EXPORTER", "otlp,console");
            },
            options: &[],
            id: "environment.console",
            level: "warning",
            says: &["OTEL_LOGS_EXPORTER in the environment has the `console` exporter, which writes over"],
            fix: "`otlp` instead",
        },
        Fault {
            name: "a proxy that catches loopback",
            inject: |sandbox| {
                sandbox.set("http_proxy", "http://me:hunter2@proxy.example:3128");
            },
            options: &[],
            id: "environment.proxy",
            level: "warning",
            says: &["http_proxy would catch what is sent to 127.0.0.1, which NO_PROXY does not except"],
            fix: "NO_PROXY=localhost,127.0.0.1",
        },
        Fault {
            name: "the environment of a session that has ended",
            inject: |sandbox| {
                let endpoint = format!("http://127.0.0.1:{}/0123456789abcdef0123456789abcdef", closed_port());
                sandbox.set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).set("CCRUN_SESSION", "0123456789abcdef");
            },
            options: &[],
            id: "environment.stale",
            level: "warning",
            says: &["is that of a session of ccrun's which has ended"],
            fix: "open a new terminal",
        },
        Fault {
            name: "a collector of one's own that is down",
            inject: |sandbox| {
                let endpoint = format!("http://localhost:{}", closed_port());
                user_settings(sandbox, &format!("{{\"env\": {{\"OTEL_EXPORTER_OTLP_ENDPOINT\": \"{endpoint}\"}}}}"));
            },
            options: &[],
            id: "environment.stale",
            level: "warning",
            says: &[
                "nobody listens at localhost:",
                "which OTEL_EXPORTER_OTLP_ENDPOINT in ~/.claude/settings.json:1 names",
            ],
            fix: "start what should listen there",
        },
    ];
    all_are_named(&faults);
}

#[test]
fn a_limit_of_open_files() {
    let sandbox = healthy();
    let output = sandbox.command("sh").args(["-c", "ulimit -n 64; exec ccrun doctor --json"]).output().unwrap();
    diagnosed(
        &output,
        "machine.files",
        "warning",
        &["a process may open 64 files only"],
        "have the limit raised from 64",
    );
}
