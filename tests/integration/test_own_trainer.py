"""The C++ interface from an installed package, and a trainer that is one's own program."""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

import support
from support import FASHION_MNIST, IO, OK, ROOT, USAGE, CrowdTest, children_of, wait_for

BUILD = pathlib.Path(os.environ.get("CROWDTEACH_BUILD") or ROOT / "build/release")
OWN_TRAINER = ROOT / "examples/own_trainer"
SOFTMAX = json.dumps(str(OWN_TRAINER / "model.toml"))


class Installed(CrowdTest):
    """Programs, library and header as `cmake --install` leaves them, and nothing else of ours."""

    teacher_uses = 1

    def setUp(self):
        super().setUp()
        self.prefix = self.dir / "usr"
        self.cmake("--install", BUILD, "--prefix", self.prefix)
        self.addCleanup(setattr, support, "BIN", support.BIN)
        support.BIN = self.prefix / "bin"

    def cmake(self, *arguments):
        done = subprocess.run(["cmake", *map(str, arguments)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_library_shows_only_its_header(self):
        (library,) = self.prefix.rglob("libcrowdteach.so.*.*")
        symbols = subprocess.run(["nm", "-DC", "--defined-only", library], check=True,
                                 capture_output=True, text=True).stdout
        shown = [line.split(maxsplit=2)[2].split("@")[0] for line in symbols.splitlines()
                 if " A " not in line]
        self.assertIn("crowdteach::Teacher::~Teacher()", shown)
        for name in shown:
            self.assertRegex(name, r"^crowdteach::Teacher::")
            self.assertNotIn("Impl::", name)
        (header,) = self.prefix.rglob("*.h")
        self.assertEqual(header.relative_to(self.prefix), pathlib.Path("include/crowdteach/teacher.h"))
        includes = re.findall(r"^#include <(.*)>$", header.read_text(), re.M)
        self.assertEqual([name for name in includes if "/" in name],
                         ["absl/status/status.h", "absl/status/statusor.h"])
        self.assertNotIn('#include "', header.read_text())

    def test_a_program_of_ones_own_earns(self):
        self.cmake("-S", OWN_TRAINER, "-B", self.dir / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        self.cmake("--build", self.dir / "build")
        self.set_up_people()
        self.launch(rounds=2, teachers=1, quorum=1, model=SOFTMAX)
        hand = support.Process("hand", [self.dir / "build/own_trainer", self.teacher_invite,
                                        self.dir / "hand", FASHION_MNIST], self.dir / "hand.log")
        self._processes.append(hand)
        self.watch()
        self.until_phase("ended", patience_s=300)
        self.close()
        self.assertEqual(hand.wait(), OK, hand.log())
        for one in self.audited()["campaigns"][0]["rounds"]:
            (seat,) = one["teachers"]
            self.assertTrue(seat["included"])
            self.assertGreater(seat["score_nats"], 0)
        self.assertEqual(len(re.findall(r"^round \d: \+\d\.\d{4} nats$", hand.log(), re.M)), 2)


class OwnProgram(CrowdTest):
    teacher_uses = 2

    def program(self, text, name="train.sh"):
        """The path of a new shell script."""
        path = self.dir / name
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
        return path

    def teach_with(self, name, command, *arguments, examples=300, **options):
        counted = ["--examples", examples] if examples else []
        return self.spawn(name, "crowdteach", "teach", "--home", self.dir / name, "--invite",
                          self.teacher_invite, "--name", name, "--yes", "--trainer", command,
                          *counted, *arguments, **options)

    def test_what_is_wrong_is_said_before_joining(self):
        self.teacher_invite = self.dir / "none.invite"
        for command, arguments, code, words in [
                ("./no-such-program {out}", [], IO, "no program"),
                (str(ROOT / "README.md"), [], IO, "chmod +x"),
                ("sh {output}", [], USAGE, "{output}"),
                ("sh -c 'x", [], USAGE, "no partner"),
                ("sh x > y", [], USAGE, "is for a shell"),
                ("sh", ["--limit", 5, "--data", FASHION_MNIST], USAGE, "built-in trainer"),
                ("sh", ["--trainer-timeout", "5"], USAGE, "duration")]:
            with self.subTest(command):
                ada = self.teach_with("ada", command, *arguments)
                self.assertEqual(ada.wait(), code, ada.log())
                self.assert_refused(ada.log(), words)
        ada = self.teach_with("ada", "sh", examples=None)
        self.assertEqual(ada.wait(), USAGE, ada.log())
        self.assertIn("--examples N", ada.log())
        self.assertFalse((self.dir / "ada").exists())

    def test_a_failed_round_is_sat_out_and_the_next_one_tried(self):
        self.set_up_people()
        self.launch(rounds=2, teachers=2, quorum=1, commit='"20s"', model=SOFTMAX)
        script = self.program(
            'echo "round $CROWDTEACH_ROUND"\n'
            '[ "$1" = 1 ] && { echo "out of memory"; exit 7; }\n'
            'echo "progress 1/1 loss 0.5"; cp "$2" "$3"\n')
        bob = self.teach_with("bob", f"{script} {{round}} {{base}} {{out}}")
        ada = self.teach("ada")
        self.watch()
        self.until_phase("ended", patience_s=300)
        self.close()
        for teacher in (ada, bob):
            self.assertEqual(teacher.wait(), OK, teacher.log())
        self.assert_refused(bob.log(), "round   1  sat out: the trainer failed: it ended with exit "
                            "status 7\n | round 1\n | out of memory", "round   2  | round 2",
                            "round   2  trained, mean loss 0.5000")
        first, second = self.audited()["campaigns"][0]["rounds"]
        seats = [{seat["name"]: seat for seat in one["teachers"]} for one in (first, second)]
        self.assertFalse(seats[0]["bob"]["included"])
        self.assertTrue(seats[1]["bob"]["included"])
        self.assertEqual(seats[1]["bob"]["score_nats"], 0)  # what it copied taught nothing

    def test_stopped_while_its_program_hangs(self):
        self.set_up_people()
        self.launch(rounds=1, teachers=1, quorum=1, model=SOFTMAX)
        bob = self.teach_with("bob", f"{self.program('echo hanging; sleep 1000')}")
        wait_for(lambda: "| hanging" in bob.log(), "hanging program")
        (child,) = children_of(bob.pid)
        bob.signal(support.signal.SIGINT)
        self.assertEqual(bob.wait(), OK, bob.log())
        self.assertIn("left; nothing is lost", bob.log())
        self.assertFalse(pathlib.Path(f"/proc/{child}").exists())
        self.assertEqual(list((self.dir / "bob").glob("scratch")), [])
        # The same home with another program goes on in the same round.
        bob = self.teach_with("bob", f"{self.program('cp $1 $2')} {{base}} {{out}}")
        self.watch()
        self.until_phase("ended", patience_s=300)
        self.close()
        self.assertEqual(bob.wait(), OK, bob.log())
        self.assertTrue(self.audited()["campaigns"][0]["rounds"][0]["teachers"][0]["included"])


if __name__ == "__main__":
    unittest.main()
