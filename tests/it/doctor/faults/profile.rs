//! Faults of the profile.

use super::{Fault, all_are_named, team};

const FAULTS: &[Fault] = &[
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
        fix: "run `ccrun profile check team`",
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
        fix: "set REGION, or use `--var region=VALUE`",
    },
    Fault {
        name: "a broken config.toml",
        inject: |sandbox| drop(sandbox.write("home/.config/ccrun/config.toml", "off = 1\n")),
        options: &[],
        id: "profile.valid",
        level: "failed",
        says: &["~/.config/ccrun/config.toml:1:7: "],
        fix: "run `ccrun profile check`",
    },
    Fault {
        name: "an unknown key of config.toml",
        inject: |sandbox| drop(sandbox.write("home/.config/ccrun/config.toml", "profil = \"team\"\n")),
        options: &[],
        id: "profile.configuration",
        level: "warning",
        says: &["~/.config/ccrun/config.toml:1:1: unknown key `profil` (did you mean `profile`?)"],
        fix: "correct the name",
    },
    Fault {
        name: "a mistyped variable of ours",
        inject: |sandbox| {
            sandbox.set("CCRUN_PROFIL", "team");
        },
        options: &[],
        id: "profile.configuration",
        level: "warning",
        says: &["unknown variable CCRUN_PROFIL: did you mean CCRUN_PROFILE?"],
        fix: "correct the name",
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
        says: &["ccrun is switched off by `off` in ~/.config/ccrun/config.toml"],
        fix: "remove `off = true`",
    },
    Fault {
        name: "an untrusted project file",
        inject: |sandbox| drop(sandbox.write("project/.ccrun.toml", "[team]\nid = \"platform\"\n")),
        options: &[],
        id: "profile.project",
        level: "warning",
        says: &["the project's file", ".ccrun.toml` is not trusted, so it is ignored"],
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
        says: &["has changed since it was trusted, so it is ignored"],
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
        says: &["team.toml:2:31: OTEL_EXPORTER_OLTP_ENDPOINT is not a known variable"],
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
        says: &["`backend` is used with HTTP, but its port is usually gRPC's", "team.toml:2:12"],
        fix: "use port 4318, or set `protocol = \"grpc\"`",
    },
    Fault {
        name: "no collector, and what only a collector does",
        inject: |sandbox| {
            let rest = "[collector]\nmode = \"direct\"\n[redact]\ndrop = [\"user.email\"]\n";
            team(sandbox, rest);
        },
        options: &["-p", "team"],
        id: "profile.direct",
        level: "failed",
        says: &["telemetry is off: without a collector, "],
        fix: "`mode = \"session\"`",
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

#[test]
fn the_profile() {
    all_are_named(FAULTS);
}
