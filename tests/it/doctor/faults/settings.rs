//! Faults of Claude Code's own settings, and of the gateway that they name.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use super::{Fault, all_are_named, closed_port, user_settings};

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

const FAULTS: &[Fault] = &[
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
        says: &["project/.claude/settings.json:2 turns telemetry off in this project: OTEL_LOGS_EXPORTER is `none`"],
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

#[test]
fn claudes_settings() {
    all_are_named(FAULTS);
}
