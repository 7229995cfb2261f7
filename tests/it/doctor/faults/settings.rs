//! Faults of Claude Code's own settings and of the gateway in them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use super::{Fault, all_are_named, closed_port, user_settings};

/// A loopback server that sends the same answer to every request.
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

const FAULTS: &[Fault] = &[
    Fault {
        name: "settings that are no JSON",
        inject: |sandbox| user_settings(sandbox, "{\"env\": "),
        options: &[],
        id: "settings.files",
        level: "warning",
        says: &["`~/.claude/settings.json`: the file is not valid JSON (line 1, column 8)"],
        fix: "correct it",
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
        says: &["project/.claude/settings.json:2 turns telemetry off in this project: OTEL_LOGS_EXPORTER is `none`"],
        fix: "remove it",
    },
    Fault {
        name: "a helper that is left over",
        inject: |sandbox| user_settings(sandbox, "{\"otelHeadersHelper\": \"/opt/old-headers\"}"),
        options: &[],
        id: "settings.helper",
        level: "warning",
        says: &["~/.claude/settings.json:1 sets an `otelHeadersHelper`, which ccrun's sessions ignore"],
        fix: "remove it",
    },
    Fault {
        name: "all users sign in through the apps gateway",
        inject: |sandbox| {
            sandbox.write("home/.claude/remote-settings.json", "{\"forceLoginMethod\": \"gateway\"}");
        },
        options: &[],
        id: "settings.login",
        level: "failed",
        says: &["~/.claude/remote-settings.json:1 makes all users sign in through the apps gateway"],
        fix: "have the gateway forward it",
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
        says: &["~/.claude/remote-settings.json:2 sets OTEL_EXPORTER_OTLP_ENDPOINT for all users and overrides ccrun"],
        fix: "ask the administrator of this machine's Claude Code",
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
        says: &["remote-settings.json:1 sets model for all users and overrides the profile"],
        fix: "set the same value in the profile",
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
        fix: "keep only one of them",
    },
    Fault {
        name: "a gateway that is down",
        inject: |sandbox| {
            sandbox.set("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:{}", closed_port()));
        },
        options: &[],
        id: "settings.gateway",
        level: "failed",
        says: &["does not answer: ", "refused the connection", "set by ANTHROPIC_BASE_URL in the environment"],
        fix: "check that it is up and that the URL is correct",
    },
    Fault {
        name: "a gateway that refuses the key",
        inject: |sandbox| {
            let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 26\r\nConnection: close\r\n\r\nno such key: sk-of-no-one!";
            sandbox.set("TEAM_KEY", "sk-of-no-one!");
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
        fix: "set it to a valid key",
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
        says: &["redirects: 308 permanent redirect"],
        fix: "use the final URL",
    },
];

#[test]
fn claudes_settings() {
    all_are_named(FAULTS);
}
