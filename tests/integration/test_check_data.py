"""`crowdteach check-data`, and each format of data through a real campaign: arrays by NumPy, pictures
by Pillow, tables."""

import json
import os
import pathlib
import shlex
import subprocess
import tempfile
import unittest

from support import (BIN, CAMPAIGN, FASHION_MNIST, IO, OK, REFUSED, ROOT, UNREACHABLE, USAGE,
                     CrowdTest)

BREAST_CANCER = ROOT / "examples/breast-cancer"
COUNT = 120  # of images


def setUpModule():
    global DATA
    folder = tempfile.TemporaryDirectory(prefix="crowdteach-data-")
    unittest.addModuleCleanup(folder.cleanup)
    DATA = pathlib.Path(folder.name)
    made = subprocess.run(["/usr/bin/python3", pathlib.Path(__file__).parent / "make_data.py", DATA,
                           str(COUNT)], stderr=subprocess.PIPE, text=True)
    if made.returncode:
        raise AssertionError(f"{made.stderr}\nrun: scripts/setup --test")


def forms():
    """Every form of the same images, by its name."""
    return {"npy": f"{DATA}/x.npy,{DATA}/y.npy", "npz": DATA / "keras.npz",
            "test part of an npz": f"{DATA}/keras.npz:test", "pictures": DATA / "pictures"}


class Offline(CrowdTest):
    """Against an owner's file: no coordinator, no home."""

    def check(self, data, *arguments, file=CAMPAIGN, expect=OK):
        """The output, and the most memory it took, in MB."""
        log = self.dir / "check.log"
        with open(log, "wb") as output:
            child = subprocess.Popen(
                [str(part) for part in (BIN / "crowdteach", "check-data", "--home",
                                        self.dir / "nowhere", "--campaign-file", file, "--data",
                                        data, *arguments)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        text = log.read_text()
        self.assertEqual(child.returncode, expect, text)
        return text, usage.ru_maxrss / 1024

    def test_every_form_shows_the_same(self):
        reports = {}
        for name, data in {**forms(), "idx": f"{FASHION_MNIST}:t10k"}.items():
            with self.subTest(name):
                text, _ = self.check(data, "--format", "json", *(
                    ["--limit", COUNT] if name == "idx" else []))
                report = reports[name] = json.loads(text)
                self.assertTrue(report["ready"])
                self.assertEqual(report["examples"], COUNT)
                self.assertEqual(report["raw"]["least"], 0)
                self.assertEqual(report["raw"]["most"], 255)
                self.assertLess(abs(report["normalised"]["mean"]), 0.3)
                self.assertAlmostEqual(report["training"]["loss_nats"], 2.3, delta=0.3)
                self.assertEqual(report["training"]["round_steps"], 20)
                self.assertNotIn("next", report)
        self.assertEqual(reports["npy"]["raw"], reports["npz"]["raw"])
        self.assertEqual(reports["npy"]["classes"], reports["pictures"]["classes"])
        # One picture in five is a JPEG.
        self.assertAlmostEqual(reports["npy"]["raw"]["mean"], reports["pictures"]["raw"]["mean"],
                               delta=0.5)
        self.assertFalse((self.dir / "nowhere").exists())

    def test_a_table(self):
        text, _ = self.check(BREAST_CANCER / "train.csv", file=BREAST_CANCER / "campaign.toml")
        self.assertRegex(text, r"(?m)^  malignant +163  #+$")
        self.assertRegex(text, r"(?m)^  normalised +\S+ +\S+ +-?0\.0\S* +(1\.0|0\.99)\S*$")
        self.assertRegex(text, r"training works: loss 0\.\d+ nats at first \(fresh weights\)")
        self.assertNotIn("hint:", text)
        self.assertIn("ready: these data suit", text)

    def test_tables_that_do_not_fit(self):
        lines = (BREAST_CANCER / "train.csv").read_text().splitlines()
        table = self.dir / "table.csv"
        for change, words in (
                (lambda lines: [lines[0].replace("diagnosis", "outcome"), *lines[1:]],
                 [f"{table}:1", "no column", "diagnosis"]),
                (lambda lines: [*lines[:5], lines[5].replace("malignant", "Malignant"), *lines[6:]],
                 [f"{table}:6", "Malignant", "malignant", "benign", 'write it as "malignant"']),
                (lambda lines: [*lines[:9], "nan" + lines[9][lines[9].index(","):], *lines[10:]],
                 [f"{table}:10", "mean_radius", "not a finite number"]),
                (lambda lines: [*lines[:9], lines[9] + ",1", *lines[10:]],
                 [f"{table}:10", "more than 31 columns"])):
            table.write_text("\n".join(change(lines)) + "\n")
            text, _ = self.check(table, file=BREAST_CANCER / "campaign.toml", expect=USAGE)
            self.assert_refused(text, *words)

    def test_a_pipe_is_no_table(self):
        pipe = self.dir / "pipe.csv"
        os.mkfifo(pipe)
        text, _ = self.check(pipe, file=BREAST_CANCER / "campaign.toml", expect=USAGE)
        self.assert_refused(text, "pipe.csv is no regular file")

    def test_a_name_that_a_terminal_would_obey(self):
        text, _ = self.check(self.dir / "a\x1b[31mb.csv", file=BREAST_CANCER / "campaign.toml",
                             expect=IO)
        self.assertNotIn("\x1b", text)
        self.assert_refused(text, "a?[31mb.csv", "no such file")

    def test_values_in_another_unit(self):
        table = self.dir / "table.csv"
        lines = (BREAST_CANCER / "train.csv").read_text().splitlines()
        rows = [line.split(",") for line in lines[1:]]
        scaled = [",".join([str(float(row[0]) / 10), *row[1:]]) for row in rows]
        table.write_text("\n".join([lines[0], *scaled]) + "\n")
        text, _ = self.check(table, file=BREAST_CANCER / "campaign.toml")
        self.assertIn('hint: column "mean_radius": normalised, the mean is -3.5', text)
        self.assertIn("ready", text)

    def test_hostile_files_take_no_memory(self):
        hostile = DATA / "hostile"
        _, usual_mb = self.check(DATA / "keras.npz", "--format", "json")
        bombs = self.dir / "bombs/Bag"
        bombs.mkdir(parents=True)
        (bombs / "large.png").write_bytes((hostile / "large.png").read_bytes())
        cut = self.dir / "cut/Bag"
        cut.mkdir(parents=True)
        whole = next((DATA / "pictures/Bag").glob("*.png")).read_bytes()
        (cut / "cut.png").write_bytes(whole[:len(whole) // 2])
        for data, words, code in (
                (f"{hostile}/pickle.npy,{DATA}/y.npy", ["pickle.npy", "never read"], USAGE),
                (f"{hostile}/fortran.npy,{DATA}/y.npy", ["fortran.npy", "ascontiguousarray"], USAGE),
                (f"{hostile}/nan.npy,{DATA}/y.npy", ["nan.npy: [3, 2, 1]", "nan"], USAGE),
                (f"{DATA}/x.npy,{hostile}/labels.npy", ["labels.npy: [7]: label 10", "10 classes"],
                 USAGE),
                (f"{hostile}/huge.npy,{hostile}/huge_labels.npy",
                 ["huge.npy", "1000000000000 examples", "memory"], IO),
                (hostile / "bomb.npz", ["bomb.npz: x", "goes on after byte"], USAGE),
                (self.dir / "bombs", ["large.png", "20000 x 20000", "[1, 28, 28]"], USAGE),
                (self.dir / "cut", ["cut.png", "corrupt PNG"], USAGE)):
            with self.subTest(str(data)):
                text, most_mb = self.check(data, expect=code)
                self.assert_refused(text, *words)
                self.assertNotIn("ready", text)
                self.assertLess(most_mb, usual_mb + 20)


class Online(CrowdTest):
    """With a coordinator, before there is an account."""

    def test_looks_without_joining(self):
        self.set_up_people()
        eve = ["--invite", self.teacher_invite, "--data", f"{DATA}/x.npy,{DATA}/y.npy"]
        self.assert_refused(self.crowdteach("check-data", "eve", *eve, expect=REFUSED),
                            "no campaign is running", "--campaign-file")
        self.launch(rounds=1, teachers=1, quorum=1)
        text = self.crowdteach("check-data", "eve", *eve, "--limit", "50")
        self.assertIn("“fashion-mnist”, running", text)
        next_command = text.splitlines()[-1].strip()
        self.assertEqual(shlex.split(next_command), [
            "crowdteach", "teach", "--home", str(self.dir / "eve"), *map(str, eve), "--limit", "50"])
        self.assertFalse((self.dir / "eve/invite.toml").exists())
        accounts = self.audited()["accounts"]
        self.assertNotIn("eve", [account["name"] for account in accounts])
        # The home keeps the head it saw and its key, and the command it was told works.
        self.watch()
        teacher = self.spawn("eve", "crowdteach", *shlex.split(next_command)[1:], "--name", "eve",
                             "--yes", "--leave-at-end")
        self.until_phase("ended")
        self.assertEqual(teacher.wait(), OK, teacher.log())
        again = json.loads(self.crowdteach("check-data", "eve", "--data", f"{DATA}/keras.npz",
                                           "--campaign", self.views.all[-1]["campaign"], "--format",
                                           "json"))
        self.assertTrue(again["ready"])

    def test_wrong_data_role_and_place(self):
        self.set_up_people()
        self.launch(rounds=1, teachers=1, quorum=1)
        output = self.crowdteach("check-data", "eve", "--invite", self.teacher_invite, "--data",
                                 DATA / "hostile/bomb.npz", "--format", "json", expect=USAGE)
        report = json.loads(output.splitlines()[0])
        self.assertFalse(report["ready"])
        self.assert_refused(report["problem"], "bomb.npz: x", "goes on")
        data = ["--data", DATA / "pictures"]
        self.assert_refused(
            self.crowdteach("check-data", "olga", "--invite", self.invite("owner", name="other"),
                            *data, expect=REFUSED), "role teacher", "role owner")
        self.assert_refused(self.crowdteach("check-data", "eve", *data, expect=USAGE), "--invite")
        self.assert_refused(
            self.crowdteach("check-data", "eve", "--invite", self.teacher_invite, "--data",
                            "nowhere", expect=IO), "nowhere", "no such file")
        self.coordinator.kill9()
        self.assert_refused(
            self.crowdteach("check-data", "eve", "--invite", self.teacher_invite, *data,
                            expect=UNREACHABLE), self.ports[0])


class Formats(CrowdTest):
    """Teachers with other formats in one campaign, whose validation set is one, too."""

    def test_teachers_of_every_form(self):
        self.set_up_people()
        self.launch(rounds=2, teachers=4, quorum=4, validation__path=json.dumps(
            str(DATA / "keras.npz")), validation__prefix='"test"', validation__limit=0)
        self.watch()
        for i, data in enumerate(forms().values()):
            self.teach(f"teacher-{i}", "--leave-at-end", data=data, limit=None)
        ended = self.until_phase("ended")
        self.assertEqual(ended["settled_rounds"], 2)
        self.assertLess(ended["history"][-1]["loss_nats"], ended["history"][0]["loss_nats"] - 0.1)
        self.assertEqual({teacher["examples"] for teacher in ended["teachers"]}, {COUNT})

    def test_breast_cancer(self):
        self.set_up_people()
        self.launch(BREAST_CANCER / "campaign.toml", seed=1)
        self.watch()
        for i in (1, 2):
            self.teach(f"hospital-{i}", "--leave-at-end", data=BREAST_CANCER / "train.csv",
                       limit=None, shard=f"{i}/2")
        ended = self.until_phase("ended")
        self.assertEqual(ended["settled_rounds"], 5)
        accuracy = ended["history"][-1]["accuracy"]
        print(f"accuracy {ended['history'][0]['accuracy']:.3f} -> {accuracy:.3f}")
        self.assertGreater(accuracy, 0.9)


if __name__ == "__main__":
    unittest.main()
