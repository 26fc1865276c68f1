"""Drives the real programs: a coordinator, an owner, a watching auditor and teachers, as processes
on 127.0.0.1 over TLS, in a temporary directory that goes away with the test.

CROWDTEACH_BIN names the folder of the programs (default: build/release/bin).
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CROWDTEACH_BIN") or ROOT / "build/release/bin").resolve()
FASHION_MNIST = pathlib.Path("/usr/share/datasets/fashion-mnist")
CAMPAIGN = ROOT / "examples/fashion-mnist/campaign.toml"
MLP = ROOT / "examples/models/mlp/model.toml"

# Exit codes (proto/base/exit_codes.h).
OK, USAGE, UNREACHABLE, REFUSED, IO, DISPROVED, FORKED, INTERRUPTED = 0, 2, 3, 4, 5, 6, 8, 130

PATIENCE_S = 90.0  # for anything that must happen; a busy machine is slow


def wait_for(condition, what, patience_s=PATIENCE_S):
    """Calls `condition` until it is true, and returns its value."""
    deadline = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"within {patience_s:g} s there was no {what}")
        time.sleep(0.02)


def children_of(pid):
    """Process ids of the direct children."""
    tasks = pathlib.Path(f"/proc/{pid}/task")
    found = []
    for children in tasks.glob("*/children"):
        found += [int(child) for child in children.read_text().split()]
    return found


def workers_of(pid):
    """Process ids of the crowdteach-worker children."""
    found = []
    for child in children_of(pid):
        try:
            if b"crowdteach-worker" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
        except OSError:
            pass  # it ended meanwhile
    return found


class Process:
    """A running program whose output goes to a file."""

    def __init__(self, name, arguments, log, stdin=subprocess.DEVNULL):
        self.name, self.log_path = name, log
        with open(log, "ab") as output:
            self.popen = subprocess.Popen(
                [str(a) for a in arguments], stdin=stdin, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True)
        self.pid = self.popen.pid

    def signal(self, number):
        self.popen.send_signal(number)

    def stop(self):
        """SIGSTOP; returns when it stands still."""
        self.signal(signal.SIGSTOP)
        wait_for(lambda: self.state() in "tT", f"stop of {self.name}")

    def resume(self):
        self.signal(signal.SIGCONT)

    def state(self):
        stat = pathlib.Path(f"/proc/{self.pid}/stat").read_text()
        return stat[stat.rindex(")") + 2]

    def kill9(self):
        """SIGKILL, and waits until it is gone."""
        self.signal(signal.SIGKILL)
        self.popen.wait()

    def wait(self, patience_s=PATIENCE_S):
        """Its exit code."""
        try:
            return self.popen.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {patience_s:g} s") from None

    def log(self):
        return self.log_path.read_text(errors="replace")

    def end(self):
        """Kills it with its children, if any still live."""
        for kill in (lambda: os.killpg(self.pid, signal.SIGKILL), self.popen.kill):
            try:
                kill()
            except ProcessLookupError:
                pass
        self.popen.wait()


class Views:
    """What `crowdteach watch --format json` shows, one view a line."""

    def __init__(self, arguments, log):
        with open(log, "ab") as errors:
            self.popen = subprocess.Popen(
                [str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=errors, start_new_session=True)
        self.all = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self.popen.stdout:
            with self._changed:
                self.all.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def until(self, condition, what, patience_s=PATIENCE_S):
        """The latest view as soon as `condition` holds of it."""
        deadline = time.monotonic() + patience_s
        with self._changed:
            while not (self.all and condition(self.all[-1])):
                last = json.dumps(self.all[-1]) if self.all else "none"
                if self._ended:
                    raise AssertionError(f"watch ended before {what}; its last view: {last}")
                if not self._changed.wait(max(0, deadline - time.monotonic())):
                    raise AssertionError(f"within {patience_s:g} s no {what}; last view: {last}")
            return self.all[-1]

    def end(self):
        self.popen.kill()
        self.popen.wait()
        self._thread.join()
        self.popen.stdout.close()


def teacher_in(view, name):
    for teacher in view["teachers"]:
        if teacher["name"] == name:
            return teacher
    return None


def status_is(name, status):
    """A condition on a view."""
    return lambda view: (teacher_in(view, name) or {}).get("status") == status


class CrowdTest(unittest.TestCase):
    """A test with a coordinator of its own, started on demand."""

    teacher_uses = 6
    stake_grant = 2000

    def setUp(self):
        if not (FASHION_MNIST / "t10k-images-idx3-ubyte.gz").exists():
            self.fail(f"{FASHION_MNIST} lacks the data set; run: scripts/setup --test")
        folder = tempfile.TemporaryDirectory(prefix="crowdteach-it-")
        self.addCleanup(folder.cleanup)
        self._folder = folder.name
        self.dir = pathlib.Path(folder.name)
        self.coordinator = None
        self.views = None
        self.ports = ("127.0.0.1:0", "127.0.0.1:0")
        self._processes = []
        self.addCleanup(self._end_all)

    def _end_all(self):
        if self.views is not None:
            self.views.end()
        for process in self._processes:
            process.end()
        if self._failed():
            for log in sorted(pathlib.Path(self._folder).rglob("*.log")):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}", file=sys.stderr)

    def _failed(self):
        outcome = self._outcome
        if hasattr(outcome, "errors"):  # before Python 3.11
            return any(error for _, error in outcome.errors)
        return any(test is self for test, _ in outcome.result.failures + outcome.result.errors)

    # ---- programs

    def command(self, program, *arguments):
        """How a program is run; tests with several machines say where."""
        return [BIN / program, *arguments]

    def spawn(self, name, program, *arguments, **options):
        process = Process(name, self.command(program, *arguments), self.dir / f"{name}.log",
                          **options)
        self._processes.append(process)
        return process

    def run_program(self, program, *arguments, expect=OK, patience_s=PATIENCE_S):
        """Runs to the end; returns standard output and error together."""
        done = subprocess.run(
            [str(a) for a in self.command(program, *arguments)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=patience_s)
        self.assertEqual(done.returncode, expect, f"{program} {arguments}:\n{done.stdout}")
        return done.stdout

    def assert_refused(self, output, *words):
        """Each of `words` stands in the message."""
        for word in words:
            self.assertIn(word, output)

    # ---- the coordinator

    @property
    def home(self):
        return self.dir / "coordinator"

    def start_coordinator(self, *options):
        """Starts it; again on the same ports if it ran before."""
        (self.home / "addresses").unlink(missing_ok=True)
        self.coordinator = self.spawn(
            "coordinator", "crowdteachd", "serve", "--home", self.home,
            "--listen", self.ports[0], "--web-listen", self.ports[1], *options)

        def listening():
            if self.coordinator.popen.poll() is not None:
                raise AssertionError(f"the coordinator ended:\n{self.coordinator.log()}")
            return (self.home / "addresses").exists()

        wait_for(listening, "listening coordinator")
        text = (self.home / "addresses").read_text()
        self.ports = tuple(re.search(f"^{kind}=(?:https://)?(.*)$", text, re.M).group(1)
                           for kind in ("grpc", "web"))

    def restart_coordinator(self):
        self.coordinator.kill9()
        self.start_coordinator()
        self.watch()

    def operator(self, command, *arguments, **options):
        return self.run_program("crowdteachd", command, "--home", self.home, *arguments, **options)

    def issue(self, to, amount):
        self.operator("issue", "--to", to, "--amount", amount, "--reference", "test")

    def invite(self, role, *, uses=1, expires="1d", stake=0, name=None):
        """The path of a new invite."""
        path = self.dir / f"{name or role}.invite"
        path.unlink(missing_ok=True)
        self.operator("invite", "--role", role, "--uses", uses, "--expires", expires,
                      "--stake", stake, "-o", path)
        return path

    # ---- people

    def crowdteach(self, command, who, *arguments, **options):
        return self.run_program("crowdteach", command, "--home", self.dir / who, *arguments,
                                **options)

    def join(self, who, invite, **options):
        return self.crowdteach("join", who, "--invite", invite, "--name", who, **options)

    def credits_of(self, who):
        """Its free credits, as the coordinator tells it."""
        return int(re.search(r": (\d+) credits free", self.crowdteach("join", who)).group(1))

    def set_up_people(self, budget=30000):
        """A coordinator, an owner with its budget, an auditor, an invite for teachers."""
        self.start_coordinator()
        if self.stake_grant:
            self.issue("operator", self.stake_grant * self.teacher_uses)
        self.teacher_invite = self.invite("teacher", uses=self.teacher_uses, stake=self.stake_grant)
        self.join("owner", self.invite("owner"))
        self.join("watcher", self.invite("auditor"))
        if budget:
            self.issue("owner", budget)

    def launch(self, file=CAMPAIGN, *, expect=OK, seed=7, **terms):
        """Opens a campaign; underscores in terms stand for dashes, two of them for a dot."""
        chosen = {} if file != CAMPAIGN else {
            "model": json.dumps(str(MLP)), "validation.limit": 200, "dispute": '"100ms"',
            "local.steps": 10}
        chosen.update({key.replace("__", ".").replace("_", "-"): value
                       for key, value in terms.items()})
        sets = [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]
        return self.crowdteach("launch", "owner", file, "--seed", seed, *sets, expect=expect)

    def teach(self, name, *arguments, data=f"{FASHION_MNIST}:t10k", limit=300, shard=None,
              agree=True, **process):
        """A teacher at work. Called again with the same name, it comes back to its home."""
        options = ["--yes"] if agree else []
        if limit:
            options += ["--limit", limit]
        if shard:
            options += ["--shard", shard]
        return self.spawn(
            name, "crowdteach", "teach", "--home", self.dir / name, "--invite",
            self.teacher_invite, "--name", name, "--data", data, "--seed", 7, *options,
            *arguments, **process)

    def watch(self, who="watcher"):
        """Follows the campaign from now on in self.views; past views are kept."""
        past = []
        if self.views is not None:
            self.views.end()
            past = self.views.all
        self.views = Views(self.command("crowdteach", "watch", "--home", self.dir / who,
                                        "--format", "json"), self.dir / "watch.log")
        self.past_views = getattr(self, "past_views", []) + past

    def every_view(self):
        return getattr(self, "past_views", []) + self.views.all

    def until(self, condition, what, **options):
        return self.views.until(condition, what, **options)

    def until_phase(self, phase, **options):
        return self.until(lambda view: view["phase"] == phase, phase, **options)

    def close(self):
        """The owner settles; returns its free credits."""
        output = self.crowdteach("close", "owner", "--until", "refunded")
        return int(re.search(r": (\d+) credits free", output).group(1))

    # ---- the books

    def export(self, name="export"):
        folder = self.dir / name
        self.operator("export", "-o", folder, "--artifacts")
        return folder

    @property
    def vkey(self):
        """From the invite, as an auditor gets it."""
        return self.invite_field(self.teacher_invite, "log_vkey")

    @staticmethod
    def invite_field(path, key):
        return re.search(f'^{key} = "(.*)"$', path.read_text(), re.M).group(1)

    def audit(self, folder):
        """Verifies an export; the answer as JSON."""
        return json.loads(self.run_program("crowdteach-audit", "verify", folder, "--key", self.vkey,
                                           "--format", "json"))

    def audited(self, name="export"):
        """Exports, verifies with artifacts, and lists: what `crowdteach-audit show` says."""
        folder = self.export(name)
        self.assertEqual(self.audit(folder)["audit"], "ok")
        return json.loads(self.run_program("crowdteach-audit", "show", folder, "--key", self.vkey,
                                           "--format", "json"))
