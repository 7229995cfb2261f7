#!/usr/bin/env python3
"""Writes transcripts into a directory, as Claude Code 2.1.332 does, and prints how many requests they tell of.

Usage: transcripts.py DIRECTORY COUNT MEGABYTES
"""

import datetime
import json
import os
import random
import sys
import uuid

WORDS = "the quick brown fox jumps over a lazy dog and reads a long file of notes about it "
MODEL = "claude-opus-5-5"
START = datetime.datetime(2026, 9, 1, 8, tzinfo=datetime.timezone.utc)
DOLLARS = 4e-6  # an input token; others cost in proportion


class Writer:
    """Writes the sessions, the same ones every time."""

    def __init__(self, directory):
        self.directory = directory
        self.random = random.Random(7)
        self.requests = 0

    def uuid(self):
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def session(self, number, size):
        session, project = self.uuid(), f"project-{number % 17}"
        folder = os.path.join(self.directory, "projects", f"-projects-{project}")
        os.makedirs(folder, exist_ok=True)
        at = START + datetime.timedelta(minutes=self.random.randrange(85 * 24 * 60))
        total, written = [0] * 4, 0
        with open(os.path.join(folder, session + ".jsonl"), "w", encoding="utf-8") as file:

            def put(**row):
                nonlocal written
                line = json.dumps(row, separators=(",", ":")) + "\n"
                written += file.write(line)

            def common():
                stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
                return {"isSidechain": False, "timestamp": stamp, "userType": "external", "entrypoint": "cli",
                        "cwd": "/projects/" + project, "sessionId": session, "version": "2.1.332", "gitBranch": "main"}

            def words(most):
                return WORDS * self.random.randrange(1, most)

            put(type="mode", mode="normal", sessionId=session)
            while written < size - 3000:
                prompt = self.uuid()
                put(parentUuid=None, promptId=prompt, type="user", message={"role": "user", "content": words(5)},
                    uuid=self.uuid(), **common())
                put(type="api-request-shape", sessionId=session, shapeHash=self.uuid(),
                    shape={"system": WORDS * 60, "tools": [{"name": "Bash", "description": WORDS * 30}] * 4})
                for _ in range(self.random.randrange(1, 6)):
                    at += datetime.timedelta(seconds=self.random.randrange(3, 90))
                    self.requests += 1
                    tokens = [self.random.randrange(3, 2000), self.random.randrange(20, 1500),
                              self.random.randrange(10_000, 150_000), self.random.randrange(9000)]
                    total = [sum(pair) for pair in zip(total, tokens)]
                    usage = {"input_tokens": tokens[0], "cache_creation_input_tokens": tokens[3],
                             "cache_read_input_tokens": tokens[2], "output_tokens": tokens[1],
                             "cache_creation": {"ephemeral_1h_input_tokens": 0,
                                                "ephemeral_5m_input_tokens": tokens[3]},
                             "service_tier": "standard", "speed": "standard"}
                    tool = f"toolu_{self.requests:09}"
                    blocks = [{"type": "text", "text": words(9)},
                              {"type": "tool_use", "id": tool, "name": "Bash", "input": {"command": WORDS}}]
                    for block in blocks:
                        message = {"id": f"msg_{self.requests:09}", "type": "message", "role": "assistant",
                                   "model": MODEL, "content": [block], "stop_reason": "tool_use", "usage": usage}
                        put(parentUuid=self.uuid(), message=message, requestId=f"req_{self.requests:09}",
                            type="assistant", uuid=self.uuid(), effort="medium", **common())
                    result = {"tool_use_id": tool, "type": "tool_result", "content": words(150), "is_error": False}
                    put(parentUuid=self.uuid(), promptId=prompt, type="user",
                        message={"role": "user", "content": [result]}, uuid=self.uuid(),
                        toolUseResult={"stdout": words(100)}, **common())
                put(parentUuid=self.uuid(), attachment={"type": "prompt_snapshot", "systemPrompt": [WORDS * 80]},
                    type="attachment", uuid=self.uuid(), **common())
            cost = round((total[0] + 5 * total[1] + 0.1 * total[2] + 1.25 * total[3]) * DOLLARS, 9)
            model = {"inputTokens": total[0], "outputTokens": total[1], "cacheReadInputTokens": total[2],
                     "cacheCreationInputTokens": total[3], "cacheCreationEphemeral1hInputTokens": 0, "costUSD": cost}
            put(type="cost-state", sessionId=session, totalCostUSD=cost, startTime=int(START.timestamp() * 1000),
                modelUsage={MODEL: model}, hasUnknownModelCost=False)
        # When the client wrote its last row: the import reads sessions in this order.
        os.utime(file.name, (at.timestamp(), at.timestamp()))


def main():
    directory, count, megabytes = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    writer = Writer(directory)
    for number in range(count):
        writer.session(number, megabytes * 1e6 / count)
    print(writer.requests)


main()
