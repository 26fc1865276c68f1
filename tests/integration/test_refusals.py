"""What must be refused is refused, with its exit code and a message that says why."""

import json
import os
import re
import shutil
import struct
import time
import unittest
import unittest.mock

from support import (CAMPAIGN, DISPROVED, FASHION_MNIST, FORKED, IO, MLP, REFUSED, UNREACHABLE,
                     USAGE, CrowdTest)


class Invites(CrowdTest):
    stake_grant = 0

    def setUp(self):
        super().setUp()
        self.start_coordinator()

    def altered(self, path, key, value):
        """A copy of an invite with another value of `key`."""
        text = path.read_text()
        changed, count = re.subn(f'^{key} = .*$', lambda _: f"{key} = {value}", text, flags=re.M)
        self.assertEqual(count, 1)
        copy = self.dir / f"altered-{path.name}"
        copy.write_text(changed)
        return copy

    def test_unknown_token(self):
        invite = self.altered(self.invite("teacher"), "token", '"' + "5a" * 32 + '"')
        self.assert_refused(self.join("eve", invite, expect=REFUSED), "token")

    def test_invite_used_up(self):
        invite = self.invite("teacher", uses=1)
        self.join("ada", invite)
        self.join("ada", invite)  # the same key again opens nothing new
        self.assert_refused(self.join("eve", invite, expect=REFUSED), "invite", "consumed")

    def test_invite_expired(self):
        invite = self.invite("teacher", expires="1s")
        time.sleep(1.1)
        self.assert_refused(self.join("eve", invite, expect=REFUSED), "invite", "expired")

    def test_another_coordinators_certificate(self):
        ours = self.invite("teacher", name="ours")
        home, self.ports = self.home, ("127.0.0.1:0", "127.0.0.1:0")
        home.rename(self.dir / "first")  # still running there
        self.start_coordinator()
        theirs = self.invite("teacher", name="theirs")
        addresses = re.search(r"^addresses = (.*)$", theirs.read_text(), re.M).group(1)
        mixed = self.altered(ours, "addresses", addresses)
        output = self.join("eve", mixed, expect=REFUSED)
        self.assert_refused(output, addresses.strip('[]" '), "certificate")

    def test_another_log(self):
        ours = self.invite("teacher")
        other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        output = self.join("eve", self.altered(ours, "log_vkey", f'"{other}"'), expect=DISPROVED)
        self.assert_refused(output, "PeterNeumann", "not signed")

    def test_a_refused_invite_replaces_no_good_one(self):
        ours = self.invite("teacher", name="ours")
        self.join("ada", ours)
        damaged = self.altered(ours, "log_vkey",
                               '"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"')
        self.join("ada", damaged, expect=REFUSED)
        self.crowdteach("join", "ada")

    def test_a_damaged_certificate_is_the_files_fault(self):
        invite = self.invite("teacher")
        damaged = self.dir / "damaged.invite"
        damaged.write_text(invite.read_text().replace("MII", "MIC", 1))
        self.assert_refused(self.join("eve", damaged, expect=USAGE), str(damaged), "ca")

    def test_nothing_uses_up_an_invite_by_the_way(self):
        self.teacher_invite = invite = self.invite("owner")
        self.assert_refused(self.crowdteach("watch", "eve", "--invite", invite, expect=REFUSED),
                            "no account yet", "crowdteach join")
        eve = self.teach("eve")  # with an owner's invite
        self.assertEqual(eve.wait(), REFUSED)
        self.assert_refused(eve.log(), "teacher", "owner")
        self.assert_refused(self.join("olga", invite), "account", "olga")  # its one use

    def test_a_name_that_comes_too_late(self):
        self.join("ada", self.invite("teacher"))
        self.assert_refused(self.crowdteach("join", "ada", "--name", "eve", expect=REFUSED),
                            "already", "ada")

    def test_two_users_of_one_name(self):
        invite = self.invite("teacher", uses=2)
        with unittest.mock.patch.dict(os.environ, USER="ada"):
            first = self.crowdteach("join", "first", "--invite", invite)
            second = self.crowdteach("join", "second", "--invite", invite)
        self.assertRegex(first, r"account \d+ \(ada, teacher\)")
        self.assertRegex(second, r"account \d+ \(ada-[0-9a-f]{4}, teacher\)")

    def test_users_whose_name_is_no_name_here(self):
        for number, (user, name) in enumerate((
                ("jürgen", "jrgen"), (" ann lee ", "ann lee"), ("x" * 60, "x" * 32),
                ("1000", "anonymous"), ("ßß", "anonymous-[0-9a-f]{4}"))):
            with unittest.mock.patch.dict(os.environ, USER=user):
                said = self.crowdteach("join", f"home{number}", "--invite",
                                       self.invite("teacher", name=f"i{number}"))
            self.assertRegex(said, rf"account \d+ \({name}, teacher\)")

    def test_data_that_is_not_there(self):
        self.teacher_invite = self.invite("teacher")
        ada = self.teach("ada", data=self.dir / "none.csv")
        self.assertEqual(ada.wait(), IO)
        self.assert_refused(ada.log(), "none.csv")

    def test_a_coordinators_home_rolled_back(self):
        self.coordinator.kill9()
        shutil.copytree(self.home, self.dir / "copy", ignore=shutil.ignore_patterns("*.sock"))
        self.start_coordinator()
        self.issue("operator", 1)
        self.coordinator.kill9()
        shutil.copy(self.home / "head", self.dir / "copy/head")
        output = self.run_program("crowdteachd", "serve", "--home", self.dir / "copy", "--listen",
                                  "127.0.0.1:0", "--web-listen", "127.0.0.1:0", expect=FORKED)
        self.assert_refused(output, "rolled back")

    def test_no_coordinator(self):
        invite = self.invite("teacher")
        self.coordinator.kill9()
        self.assert_refused(self.join("ada", invite, expect=UNREACHABLE), self.ports[0])

    def test_two_coordinators_of_one_home(self):
        output = self.run_program("crowdteachd", "serve", "--home", self.home, "--listen",
                                  "127.0.0.1:0", "--web-listen", "127.0.0.1:0", expect=IO)
        self.assert_refused(output, "another crowdteachd", str(self.home))


class Advertising(CrowdTest):
    """What would make invites that lead nowhere is told at once."""

    def test_every_address(self):
        self.ports = ("0.0.0.0:0", "0.0.0.0:0")
        self.start_coordinator()
        self.assertIn("nobody can be invited", self.coordinator.log())
        said = self.operator("invite", "--role", "teacher", expect=REFUSED)
        self.assertIn("--advertise HOST:PORT", said)

    def test_addresses_that_lead_nowhere(self):
        for address in ("0.0.0.0:7700", "[::]:7700", "[::ffff:0.0.0.0]:7700", "host:0", "host"):
            for option in ("--advertise", "--web-advertise"):
                said = self.run_program("crowdteachd", "serve", "--home", self.dir / "none",
                                        option, address, expect=USAGE)
                self.assertIn(address.rsplit(":", 1)[0], said)
        self.assertFalse((self.dir / "none").exists())


class Campaigns(CrowdTest):
    stake_grant = 0

    def test_roles(self):
        self.set_up_people()
        self.assert_refused(
            self.crowdteach("teach", "owner", "--data", FASHION_MNIST, "--yes", expect=REFUSED),
            "role owner", "teacher")
        self.join("ada", self.teacher_invite)
        self.assert_refused(self.crowdteach("launch", "ada", CAMPAIGN, expect=REFUSED),
                            "role teacher", "owner")

    def test_budget(self):
        self.set_up_people(budget=29999)
        self.assert_refused(self.launch(rounds=1, teachers=1, quorum=1, expect=REFUSED), "29999",
                            "30000")
        self.assertEqual(self.credits_of("owner"), 29999)

    def test_model_and_data_differ(self):
        self.set_up_people()
        self.assert_refused(self.launch(data__classes='["a", "b"]', expect=USAGE), "10 outputs",
                            "2 classes")
        self.assert_refused(self.launch(data__input_shape="[1, 28, 27]", expect=USAGE),
                            "input-shape")

    def test_weights_that_are_not_numbers(self):
        self.set_up_people()
        self.run_program("crowdteach", "model", "--model", MLP, "-o", self.dir / "nan")
        path = self.dir / "nan/model.safetensors"
        content = bytearray(path.read_bytes())
        content[-4:] = struct.pack("<f", float("nan"))
        path.write_bytes(content)
        for output in (self.launch(weights=json.dumps(str(path)), expect=USAGE),
                       self.run_program("crowdteach", "model", "--model", MLP, "--weights", path,
                                        "-o", self.dir / "again", expect=USAGE)):
            self.assert_refused(output, str(path), "fc2.weight", "nan", "index 639")

    def test_label_column_of_a_table(self):
        self.stake_grant = 2000
        self.set_up_people()
        self.launch(data__csv_label_column='"kind"', data__feature_type='"float32"',
                    validation__path=json.dumps(str(self.table("kind"))),
                    validation__prefix='""', rounds=1, teachers=1, quorum=1)
        wrong = self.table("sort")
        ada = self.teach("ada", data=wrong, limit=None)
        self.assertEqual(ada.wait(), USAGE)
        self.assert_refused(ada.log(), str(wrong), "kind")

    def table(self, label):
        """Two rows of a table of images."""
        path = self.dir / f"{label}.csv"
        header = ",".join([f"pixel{i}" for i in range(784)] + [label])
        rows = [",".join(["0.5"] * 784 + [name]) for name in ("Bag", "Coat")]
        path.write_text("\n".join([header, *rows]) + "\n")
        return path


if __name__ == "__main__":
    unittest.main()
