#!/usr/bin/env python3
"""Runs README.md: every command of its ```sh blocks, word for word and in order, in a scratch
folder, against real programs in a real small campaign. The bare-machine block is scripts/bare-machine's.

  readme_test.py --bin BUILD_BIN_FOLDER [--keep FOLDER]

A command that stays (serve, teach) gets a shell and a terminal of its own, as README says; the test
goes on when it has printed what a person would wait for. All of it happens in a network of its own
where the kernel allows one, as README uses the default ports.
"""

import argparse
import ctypes
import fcntl
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# What stays, and what to wait for before the next command.
STAYS = {
    "crowdteachd serve": r"^listening on ",
    "crowdteach teach": r"^no campaign is running yet; waiting for one$",
}
COMMAND_SECONDS = 240
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def own_network():
    """Moves into a network with nothing but a loopback; False where the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNET) != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            return False
        pathlib.Path("/proc/self/setgroups").write_text("deny")
        pathlib.Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        pathlib.Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anything:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(anything, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(anything, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
    return True


def commands_of(readme):
    """The commands of the sh blocks, continued lines joined."""
    text = re.sub(r"<!-- bare-machine -->.*?<!-- /bare-machine -->", "", readme, flags=re.DOTALL)
    commands = []
    for block in re.findall(r"^```sh\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
        lines = block.replace("\\\n", " ").splitlines()
        commands += [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return commands


class Session:
    """The commands so far: files in `folder`, exports in `preamble`, and who still runs."""

    def __init__(self, folder, environment):
        self.folder = folder
        self.environment = environment
        self.preamble = "set -euo pipefail\n"
        self.staying = []  # (command, process, log)

    def start(self, command, log, stdin):
        return subprocess.Popen(["bash", "-c", self.preamble + command], cwd=self.folder,
                                env=self.environment, stdin=stdin, stdout=log,
                                stderr=subprocess.STDOUT, start_new_session=True)

    def run(self, command, number):
        log_path = self.folder / f"{number:02d}.log"
        print(f"$ {command}", flush=True)
        if command.startswith("export "):
            self.preamble += command + "\n"
            return
        for prefix, awaited in STAYS.items():
            if command.startswith(prefix):
                self.stay(command, log_path, awaited)
                return
        with open(log_path, "wb") as log:
            process = self.start(command, log, subprocess.DEVNULL)
            try:
                code = process.wait(COMMAND_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                self.fail(command, log_path, f"still running after {COMMAND_SECONDS} s")
        output = log_path.read_text()
        print(output, end="", flush=True)
        if code != 0:
            self.fail(command, log_path, f"exit code {code}")

    def stay(self, command, log_path, awaited):
        # A terminal on which somebody has typed y, as teach asks for consent.
        master, terminal = pty.openpty()
        with open(log_path, "wb") as log:
            process = self.start(command, log, terminal)
        os.close(terminal)
        os.write(master, b"y\n")
        self.staying.append((command, process, log_path, master))
        deadline = time.monotonic() + COMMAND_SECONDS
        while not re.search(awaited, log_path.read_text(), re.MULTILINE):
            if process.poll() is not None:
                self.fail(command, log_path, f"ended with exit code {process.returncode}")
            if time.monotonic() > deadline:
                self.fail(command, log_path, f"did not print {awaited!r}")
            time.sleep(0.05)

    def finish(self):
        """What stays ends by itself when the campaign is over; the coordinator, when it is told."""
        for command, process, log_path, _ in reversed(self.staying):
            if command.startswith("crowdteachd"):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                code = process.wait(60)
            except subprocess.TimeoutExpired:
                self.fail(command, log_path, "did not end")
            print(f"# {command}\n{log_path.read_text()}", end="", flush=True)
            if code != 0:
                self.fail(command, log_path, f"exit code {code}")

    def stop(self):
        for _, process, _, master in self.staying:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            os.close(master)

    def fail(self, command, log_path, why):
        sys.exit(f"readme_test: {why}: {command}\n{log_path.read_text()[-4000:]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()

    commands = commands_of((ROOT / "README.md").read_text())
    for program in ("crowdteach teach", "crowdteach launch", "crowdteachd serve",
                    "crowdteach-audit verify"):
        if not any(command.startswith(program) for command in commands):
            sys.exit(f"readme_test: README.md shows no `{program}`")
    if not own_network():
        print("readme_test: no network of its own here; the default ports must be free")

    folder = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="readme_test."))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "build/release").mkdir(parents=True)
    (folder / "build/release/bin").symlink_to(options.bin.resolve())
    (folder / "examples").symlink_to(ROOT / "examples")
    # Debian's own programs: its python3 is the one with PyTorch.
    environment = {"HOME": str(folder), "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    session = Session(folder, environment)
    try:
        for number, command in enumerate(commands, 1):
            session.run(command, number)
        session.finish()
    finally:
        session.stop()
        if not options.keep:
            shutil.rmtree(folder)
    print(f"readme_test: {len(commands)} commands")


if __name__ == "__main__":
    main()
