"""What people are told when something is wrong: every command in mistakes.md is run, in order, by
one cast of people with one coordinator, and must end with the exit code and the exact words
that stand there. What is written in ‹brackets› there varies from run to run.

    test_mistakes.py --write    puts today's words into mistakes.md, to be judged before a commit
"""

import contextlib
import fcntl
import http.server
import os
import pathlib
import re
import shlex
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import unittest

from support import BIN, CAMPAIGN, FASHION_MNIST, MLP, CrowdTest, teacher_in, wait_for

TABLE = pathlib.Path(__file__).with_name("mistakes.md")
PATIENCE_S = 20

# A table of four columns whose labels lie on a line, and a model of ten parameters for it.
TABULAR = """
input-shape  = [4]
feature-type = "float32"
mean         = 0.0
deviation    = 1.0
classes      = ["benign", "malignant"]
csv-label-column = "diagnosis"
"""
LINEAR = """
[model]
name = "linear"
input = [4]
loss = "cross-entropy"

[[layer]]
name = "fc"
type = "Linear"
in_features = 4
out_features = 2
"""
HEADER = "a,b,c,d,diagnosis"


def table_text(header=HEADER, rows=40, change=None):
    """A CSV file; `change` replaces one line, given as (number, text)."""
    lines = [header]
    for i in range(rows):
        values = [((i * 7 + k * 3) % 11) / 10 for k in range(4)]
        lines.append(",".join(map(str, values)) + ("," + ("benign", "malignant")[i % 2]))
    if change:
        lines[change[0] - 1] = change[1]
    return "\n".join(lines) + "\n"


class Row:
    """A mistake: `title`, `command`, `said` lines and `code`; `begin` and `end` are its lines."""

    def __init__(self, title, command, begin):
        self.title, self.command, self.begin = title, command, begin
        self.said, self.code, self.end = [], 0, begin


def read_table(text):
    rows, title, row = [], "", None
    for number, line in enumerate(text.splitlines()):
        if line.startswith("### "):
            title = line[4:]
        elif line.startswith("$ "):
            row = Row(title, line[2:], number)
            rows.append(row)
        elif line == "```":
            row = None
        elif row is not None and re.fullmatch(r"\[\d+\]", line):
            row.code, row.end = int(line[1:-1]), number
        elif row is not None:
            row.said.append(line)
            row.end = number
    return rows


class Mistakes(CrowdTest):
    stake_grant = 2000
    write = False

    # ---- the cast

    def put(self, name, text, mode=None):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        if mode:
            path.chmod(mode)
        return path

    def altered(self, source, name, key, value):
        text, count = re.subn(f"^{key} = .*$", lambda _: f"{key} = {value}",
                              (self.dir / source).read_text(), flags=re.M)
        self.assertEqual(count, 1)
        self.put(name, text)

    def prepare(self):
        self.words = {}
        self.start_coordinator()
        self.words["port"], self.words["web-port"] = (p.split(":")[1] for p in self.ports)
        self.issue("operator", 40000)
        self.make_invites()
        self.make_data()
        self.join("owner", self.dir / "owner.invite")
        self.join("ada", self.dir / "teacher.invite")
        self.join("poor-owner", self.dir / "owner.invite")
        self.issue("owner", 150000)
        self.make_campaigns()
        self.make_homes()

    def make_invites(self):
        self.invite("teacher", uses=16, stake=2000)
        self.invite("owner", uses=8)
        self.invite("auditor", uses=8)
        self.invite("teacher", uses=4, name="no-stake")
        self.join("first", self.invite("teacher", name="used"))
        self.invite("teacher", expires="1s", name="expired")
        good = (self.dir / "teacher.invite").read_text()
        self.put("half.invite", good[:len(good) // 2])
        self.put("v2.invite", good.replace("version = 1", "version = 2"))
        self.put("damaged.invite", good.replace("MII", "MIC", 1))
        self.altered("teacher.invite", "forged.invite", "token", '"' + "5a" * 32 + '"')
        closed = http.server.ThreadingHTTPServer(("127.0.0.1", 0), None)
        self.words["closed-port"] = str(closed.server_address[1])
        closed.server_close()
        plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler)
        threading.Thread(target=plain.serve_forever, daemon=True).start()
        self.addCleanup(plain.server_close)
        self.addCleanup(plain.shutdown)
        self.words["plain-port"] = str(plain.server_address[1])
        for name, port in (("away", "closed-port"), ("web", "web-port"), ("plain", "plain-port")):
            self.altered("teacher.invite", f"{name}.invite", "addresses",
                         f'["127.0.0.1:{self.words[port]}"]')
        for change in ("old-client", "new-client", "old-coordinator", "new-coordinator"):
            self.words[change] = self.start_proxy(change)
            self.altered("teacher.invite", f"{change}.invite", "addresses",
                         f'["127.0.0.1:{self.words[change]}"]')
        self.put("log.vkey", self.invite_field(self.dir / "teacher.invite", "log_vkey") + "\n")
        self.put("other.vkey",
                 "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n")
        self.altered("teacher.invite", "other-log.invite", "log_vkey",
                     f'"{(self.dir / "other.vkey").read_text().strip()}"')

    def make_data(self):
        self.put("good.csv", table_text())
        self.put("kind.csv", table_text(HEADER.replace("diagnosis", "kind")))
        self.put("semicolons.csv", table_text().replace(",", ";"))
        self.put("capital.csv", table_text(HEADER.replace("diagnosis", "Diagnosis")))
        self.put("no-c.csv", table_text("a,b,x,d,diagnosis"))
        self.put("label.csv", table_text(change=(7, "0.1,0.2,0.3,0.4,Benign")))
        self.put("nan.csv", table_text(change=(9, "0.1,nan,0.3,0.4,benign")))
        self.put("word.csv", table_text(change=(9, "0.1,high,0.3,0.4,benign")))
        self.put("short.csv", table_text(change=(12, "0.1,0.2,0.3,benign")))
        self.put("header.csv", HEADER + "\n")
        self.put("notes.docx", b"PK\3\4 not a table")
        images = (FASHION_MNIST / "t10k-images-idx3-ubyte.gz").read_bytes()
        labels = (FASHION_MNIST / "t10k-labels-idx1-ubyte.gz").read_bytes()
        self.put("cut/t10k-images-idx3-ubyte.gz", images[:100000])
        self.put("cut/t10k-labels-idx1-ubyte.gz", labels)
        self.put("lonely/t10k-images-idx3-ubyte.gz", images[:1000])
        (self.dir / "empty").mkdir()
        self.put("dying-worker", "#!/bin/sh\nkill -9 $$\n", 0o755)
        self.put("linear.toml", LINEAR)
        tabular = CAMPAIGN.read_text()
        tabular = re.sub(r"\[data\].*?(?=\[local\])", "[data]" + TABULAR + "\n", tabular, flags=re.S)
        tabular = re.sub(r"\[validation\].*", '[validation]\npath = "good.csv"\n', tabular, flags=re.S)
        tabular = tabular.replace("../models/cnn/model.toml", "linear.toml")
        tabular = tabular.replace('"fashion-mnist"', '"tables"').replace('dispute  = "10s"', 'dispute = "1d"')
        self.put("tables.toml", tabular)
        self.put("typo.toml", tabular.replace("quorum ", "qorum "))
        self.put("unit.toml", tabular.replace('"2m"', '"2"'))
        self.put("quote.toml", tabular.replace('"2m"', '"2m'))
        self.put("no-model.toml", tabular.replace("linear.toml", "linaer.toml"))
        self.put("wide.toml", LINEAR.replace("in_features = 4", "in_features = 5"))
        self.put("conv4d.toml", LINEAR.replace("Linear", "Conv4d"))
        self.put("huge.toml", LINEAR.replace("out_features = 2", "out_features = 4000000000"))
        self.crowd("crowdteach", "model", "--model", "linear.toml", "-o", "first", "--seed", 1)
        weights = bytearray((self.dir / "first/model.safetensors").read_bytes())
        weights[-4:] = struct.pack("<f", float("nan"))
        self.put("nan.safetensors", bytes(weights))
        self.put("cut.safetensors", bytes(weights[:-8]))
        self.crowd("crowdteach", "model", "--model", MLP, "-o", "mlp", "--seed", 1)

    def crowd(self, program, *arguments):
        done = subprocess.run([BIN / program, *map(str, arguments)], cwd=self.dir, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def launched(self, *sets):
        sets = [part for item in sets for part in ("--set", item)]
        out = self.crowd("crowdteach", "launch", "--home", "owner", "tables.toml", "--seed", 1, *sets)
        return re.search(r"campaign (\d+) is open", out).group(1)

    def make_campaigns(self):
        """One without a quorum, which has ended; one of tables and one of images that wait."""
        ended = self.launched('name="no quorum"', "rounds=1", "teachers=2", "quorum=2", 'commit="3s"',
                              "max-aborts=1")
        self.words["ended"] = ended
        self.teacher_invite = self.dir / "teacher.invite"
        data = {"data": self.dir / "good.csv", "limit": None}
        slow = self.teach("slow", "--campaign", ended, **data)
        self.join("watcher", self.dir / "auditor.invite")
        self.watch()
        self.until(lambda view: (teacher_in(view, "slow") or {}).get("connected"), "slow teacher")
        slow.stop()  # still connected, as a laptop that sleeps is
        left = self.teach("left", "--campaign", ended, "--leave-at-end", **data)
        self.assertEqual(left.wait(), 0, left.log())
        self.put("left.log", left.log())
        slow.end()
        self.teach_with_a_copied_key(data)
        self.words["tables"] = self.launched("rounds=1", "teachers=2", "quorum=2")
        image_sets = {"model": f'"{MLP}"', "validation.limit": 50, "rounds": 1, "teachers": 2,
                      "quorum": 2}
        out = self.crowd("crowdteach", "launch", "--home", "owner", CAMPAIGN, "--seed", 1, *[
            part for key, value in image_sets.items() for part in ("--set", f"{key}={value}")])
        self.words["images"] = re.search(r"campaign (\d+) is open", out).group(1)

    def teach_with_a_copied_key(self, data):
        """Two that teach with copies of one home; what the second of them is told."""
        options = ["--campaign", self.launched('name="twins"', "rounds=1", "teachers=2", "quorum=2")]
        self.join("twin", self.dir / "teacher.invite")
        shutil.copytree(self.dir / "twin", self.dir / "copy", ignore=shutil.ignore_patterns("lock"))
        self.watch()
        twins = [self.teach("twin", *options, "--leave-at-end", **data)]
        self.until(lambda view: (teacher_in(view, "twin") or {}).get("connected"), "first twin")
        twins.append(self.teach("copy", *options, "--leave-at-end", **data))
        wait_for(lambda: "teaching campaign" in twins[1].log(), "second twin")
        self.teach("other", *options, "--leave-at-end", **data)
        self.assertEqual(sorted(twin.wait() for twin in twins), [0, 6])
        loser = next(twin for twin in twins if twin.wait() == 6)
        # Which of the two it is, is chance.
        self.put("twin.log", loser.log().replace("/copy at", "/twin at"))

    def make_homes(self):
        self.put("open/key", b"1" * 32, 0o600)
        (self.dir / "open").chmod(0o755)
        self.put("photos/cat.jpg", b"\xff\xd8")
        (self.dir / "photos").chmod(0o700)
        (self.dir / "busy").mkdir(mode=0o700)
        lock = open(self.dir / "busy/lock", "w")
        self.addCleanup(lock.close)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.mount("full", "size=64k")
        self.mount("read-only", "ro")
        self.crowd("crowdteachd", "export", "--home", "coordinator", "-o", "export", "--artifacts")
        bundle = (self.dir / "export/log.bundle").read_bytes()
        self.put("cut.bundle", bundle[:len(bundle) // 2])
        self.put("v2.bundle", bundle.replace(b"bundle/v1", b"bundle/v2", 1))
        flipped = bytearray(bundle)
        flipped[len(bundle) // 2] ^= 1
        self.put("flipped.bundle", bytes(flipped))
        recorded = sorted((CAMPAIGN.parents[2] / "tests/recorded").glob("v[0-9]*"))[-1]
        shutil.copytree(recorded / "export", self.dir / "gaps")
        shutil.copy(recorded / "log.vkey", self.dir / "gaps.vkey")
        for artifact in (self.dir / "gaps/artifacts").iterdir():
            artifact.unlink()
        newer = self.dir / "newer"
        newer.mkdir(mode=0o700)
        for name in ("operator.key", "issuer.key", "log.key", "head"):
            shutil.copy(self.home / name, newer / name)
        source = sqlite3.connect(f"file:{self.home}/coordinator.db?mode=ro", uri=True)
        target = sqlite3.connect(newer / "coordinator.db")
        source.backup(target)
        target.execute("PRAGMA user_version=99")
        target.close()
        source.close()
        shutil.copytree(newer, self.dir / "keyless")
        (self.dir / "keyless/log.key").unlink()
        shutil.copytree(newer, self.dir / "foreign-db")
        (self.dir / "foreign-db/coordinator.db").write_bytes(b"This is a diary, not a database.\n" * 99)

    def start_proxy(self, change):
        """The port of a proxy that plays programs of another version (tests/support/proxy_main.cc)."""
        proxy = self.spawn(change, "crowdteach-test-proxy", self.ports[0], self.home / "tls", change,
                           stdin=subprocess.PIPE)
        return wait_for(lambda: proxy.log().strip(), f"proxy for {change}")

    def mount(self, name, options):
        """A small or read-only file system, where we may mount one."""
        path = self.dir / name
        path.mkdir(mode=0o700)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"{options},mode=0700", "tmpfs", path],
                              capture_output=True)
        if done.returncode == 0:
            self.addCleanup(subprocess.run, ["umount", "-l", path], check=True)
        else:
            self.unmounted = getattr(self, "unmounted", set()) | {name}

    # ---- a row

    def run_row(self, row):
        command = row.command
        for name, value in self.words.items():
            command = command.replace(f"‹{name}›", value)
        environment = dict(os.environ, PATH=f"{BIN}:/usr/bin:/bin", HOME=str(self.dir / "nobody"),
                           USER="eve", LC_ALL="C")
        begun = time.monotonic()
        done = subprocess.run(["timeout", "-k", "1", str(PATIENCE_S), "/bin/sh", "-c", command],
                              cwd=self.dir, env=environment, text=True, stdin=subprocess.DEVNULL,
                              capture_output=True)
        said = "\n".join(line for line in (done.stderr or done.stdout).splitlines()
                         if not re.match(r"\[\d{4}-", line))  # the coordinator's log
        return done.returncode, said, time.monotonic() - begun

    def patterns(self):
        """What a word in ‹brackets› stands for."""
        made = {name: re.escape(value) for name, value in self.words.items()}
        made.update({"n": r"\d+", "x": r"\d+\.\d+", "hash": "[0-9a-f]{8,64}", "log": "crowdteach-[0-9a-f]{16}",
                     "vkey": r"crowdteach-[0-9a-f]{16}\+[0-9a-f]{8}\+[\w+/=]+",
                     "time": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: UTC|Z)?",
                     "dir": re.escape(str(self.dir)), "source": re.escape(str(CAMPAIGN.parents[2])),
                     "…": ".*"})
        return made

    def matches(self, expected, said):
        made = self.patterns()
        pieces = re.split("‹([^›]*)›", expected)
        pattern = "".join(made[piece] if i % 2 else re.escape(piece)
                          for i, piece in enumerate(pieces))
        return re.fullmatch(pattern, said, re.S) is not None

    def generalised(self, said):
        """Today's words with what varies in brackets: most of it, the rest is for a person."""
        said = said.replace(str(self.dir), "‹dir›").replace(str(CAMPAIGN.parents[2]), "‹source›")
        made = self.patterns()
        for name in ("vkey", "log"):
            said = re.sub(made[name], f"‹{name}›", said)
        for name in sorted(self.words):
            before = ":" if "port" in name or "-c" in name else "campaign "
            said = re.sub(rf"{before}{self.words[name]}\b", f"{before}‹{name}›", said)
        said = re.sub(made["time"], "‹time›", said)
        said = re.sub(r"\b(account|invite|entry|already,) \d+", r"\1 ‹n›", said)
        return re.sub(r"\b[0-9a-f]{64}\b", "‹hash›", said)

    def test_mistakes(self):
        self.prepare()
        text = TABLE.read_text()
        rows = read_table(text)
        lines, failures, shift = text.splitlines(), [], 0
        for row in rows:
            if getattr(self, "unmounted", set()) & set(re.findall(r"[\w-]+", row.command)):
                continue
            code, said, seconds = self.run_row(row)
            expected = "\n".join(row.said)
            if code != row.code or not self.matches(expected, said):
                failures.append(f"{row.title}\n$ {row.command}\n{said}\n[{code}]\n"
                                f"should have been\n{expected}\n[{row.code}]")
                new = [*self.generalised(said).splitlines(), *([f"[{code}]"] if code else [])]
                if self.write:
                    lines[row.begin + 1 + shift:row.end + 1 + shift] = new
                    shift += len(new) - (row.end - row.begin)
            for word in ("StatusCode", "grpc", "UNAVAILABLE", "terminate called", "Stack"):
                self.assertNotIn(word, said, row.title)
            if os.environ.get("MISTAKES_TIMES"):
                print(f"{seconds:6.2f} s  {row.title}", file=sys.stderr)
        if self.write:
            TABLE.write_text("\n".join(lines) + "\n")
            return
        self.assertGreaterEqual(len(rows), 40)
        for program in ("crowdteach 0.0.1", "crowdteach 99.0.0"):  # the operator learns of it, too
            self.assertIn(f"turned away: {program} speaks", self.coordinator.log())
        self.assertFalse(failures, "\n\n".join(failures))


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


if __name__ == "__main__":
    if "--write" in sys.argv:
        sys.argv.remove("--write")
        Mistakes.write = True
    unittest.main()
