#!/usr/bin/env python3
"""Writes the demonstration's summary.json from what crowdteach-audit says of its export, after
flipping one byte of a copy of the bundle and asking the auditor about that, too."""

import argparse
import json
import pathlib
import random
import subprocess
import sys

BEHAVIOURS = {
    "honest-1": "honest",
    "honest-2": "honest",
    "honest-3": "honest",
    "noisy": "60 % of labels wrong",
    "free-rider": "zero updates",
    "saboteur": "sign flipped",
}


def ask(audit, *arguments):
    """The auditor's JSON answer and its exit code."""
    done = subprocess.run([audit, *arguments, "--format", "json"], capture_output=True, text=True)
    if not done.stdout:
        sys.exit(f"demo_summary: {audit} {' '.join(arguments)}: {done.stderr.strip()}")
    return json.loads(done.stdout), done.returncode


def flip_one_byte(bundle, copy, seed):
    """Flips one bit of one byte of a copy of the bundle; returns where."""
    content = bytearray(bundle.read_bytes())
    place = random.Random(seed).randrange(len(content))
    content[place] ^= 1 << random.Random(seed + 1).randrange(8)
    copy.write_bytes(content)
    return place


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--audit", required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()

    key = str(options.out / "log.vkey")
    export = options.out / "export"
    verdict, _ = ask(options.audit, "verify", str(export), "--key", key)
    shown, _ = ask(options.audit, "show", str(export), "--key", key)
    campaign = shown["campaigns"][0]

    place = flip_one_byte(export / "log.bundle", options.out / "tampered.bundle", options.seed)
    tampered, code = ask(options.audit, "verify", str(options.out / "tampered.bundle"), "--key", key)
    fault = tampered.get("fault") or {}
    detected = code == 6 and tampered["audit"] == "disproved"
    part = f" ({fault['part']})" if fault.get("part") else ""
    print(f"byte {place}: {'found' if detected else 'NOT FOUND'}: "
          f"{fault.get('region', '')}{part}: {fault.get('reason', '')}")

    teachers = [
        {
            "name": teacher["name"],
            "behaviour": BEHAVIOURS.get(teacher["name"], "unknown"),
            "examples": teacher["examples"],
            "score_nats": teacher["score_nats"],
            "stderr_nats": teacher["stderr_nats"],
            "reward_credits": teacher["reward_credits"],
            "stake_credits": teacher["stake_credits"],
        }
        for teacher in campaign["teachers"]
    ]
    summary = {
        "rounds": campaign["settled_rounds"],
        "accuracy": campaign["accuracy"],
        "loss": campaign["loss"],
        "teachers": teachers,
        "value_nats": campaign["value_nats"],
        "model_digest": campaign["model_digest"],
        "checkpoint": verdict["checkpoint"],
        "audit": verdict["audit"],
        "tamper": {
            "detected": detected,
            "region": fault.get("region", ""),
            "reason": fault.get("reason", ""),
        },
    }
    (options.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    if verdict["audit"] != "ok" or not detected:
        sys.exit(1)


if __name__ == "__main__":
    main()
