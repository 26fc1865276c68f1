"""What a client makes of its coordinator: one that was restarted meanwhile is no trouble, one that
shows another past is found out, and what the operator signed is kept."""

import json
import os
import pty
import re
import shutil
import subprocess
import unittest

from support import DISPROVED, FORKED, IO, OK, REFUSED, USAGE, CrowdTest, status_is, wait_for


class Sessions(CrowdTest):
    teacher_uses = 1

    def finish(self, teacher):
        self.until_phase("ended")
        self.close()
        self.assertEqual(teacher.wait(), OK, teacher.log())
        shown = self.audited()["campaigns"][0]
        self.assertEqual(shown["settled_rounds"], 1)

    def test_restarted_while_the_terms_are_read(self):
        self.set_up_people()
        self.launch(rounds=1, teachers=1, quorum=1)
        keyboard, terminal = pty.openpty()
        self.addCleanup(os.close, keyboard)
        ada = self.teach("ada", agree=False, stdin=terminal)
        os.close(terminal)
        wait_for(lambda: "Do you agree?" in ada.log(), "question")
        self.restart_coordinator()
        os.write(keyboard, b"y\n")
        self.finish(ada)

    def test_restarted_while_a_campaign_is_waited_for(self):
        self.set_up_people()
        ada = self.teach("ada")
        wait_for(lambda: "waiting for one" in ada.log(), "waiting teacher")
        self.coordinator.kill9()
        wait_for(lambda: "trying again" in ada.log(), "word of the outage")
        self.start_coordinator()
        self.launch(rounds=1, teachers=1, quorum=1)
        self.watch()
        self.finish(ada)

    def test_close_means_one_campaign(self):
        self.set_up_people(budget=60000)
        for _ in range(2):
            self.launch(rounds=1, teachers=1, quorum=1)
        said = self.crowdteach("close", "owner", expect=USAGE)
        self.assert_refused(said, "several campaigns are open", "--campaign", "running")
        last = re.findall(r"--campaign (\d+)", said)[-1]
        said = self.crowdteach("close", "owner", "--campaign", last, expect=USAGE)
        self.assert_refused(said, f"campaign {last} is running", "--yes")
        closed = self.run_json("close", "owner", "--campaign", last, "--yes", "--until", "closed")
        self.assertEqual([view["phase"] for view in closed][-1], "closed")
        self.assert_refused(self.crowdteach("close", "owner", expect=USAGE), "is running", "--yes")

    def run_json(self, command, who, *arguments):
        """The standard output of a command, an object a line."""
        done = subprocess.run(self.command("crowdteach", command, "--home", self.dir / who,
                                           *arguments, "--format", "json"), capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, OK, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_an_invite_is_not_written_over(self):
        self.start_coordinator()
        path = self.invite("teacher")
        before = path.read_bytes()
        said = self.operator("invite", "--role", "teacher", "-o", path, expect=USAGE)
        self.assert_refused(said, str(path), "is there already", "another name")
        self.assertEqual(path.read_bytes(), before)
        said = self.operator("invite", "--role", "teacher", "-o", self.dir / "no/x", expect=IO)
        self.assert_refused(said, str(self.dir / "no"))

    def test_a_lost_tls_authority(self):
        """It is not made anew in silence; the ledger and its accounts stay when it is."""
        self.set_up_people()
        self.coordinator.signal(15)
        self.assertEqual(self.coordinator.wait(), OK)
        shutil.rmtree(self.home / "tls")
        lost = self.spawn("lost", "crowdteachd", "serve", "--home", self.home, "--listen",
                          self.ports[0], "--web-listen", self.ports[1])
        self.assertNotEqual(lost.wait(), OK)
        self.assert_refused(lost.log(), str(self.home / "tls"), "--new-ca", "new invite")
        self.assertFalse((self.home / "tls").exists())
        self.start_coordinator("--new-ca")
        said = self.crowdteach("join", "owner", expect=REFUSED)
        self.assert_refused(said, "new invite")
        again = self.invite("owner", name="again")
        self.join("owner", again)
        self.assertEqual(self.credits_of("owner"), 30000)

    def kept(self, who, folder, end):
        return sorted(path.name for path in (self.dir / who / folder).glob(f"*{end}"))

    def test_statements_are_kept(self):
        self.set_up_people(budget=0)
        self.assert_refused(self.launch(rounds=1, teachers=1, quorum=1, expect=REFUSED), "credits")
        self.assertEqual(len(self.kept("owner", "statements", ".intent-refused")), 1)
        uploaded = self.kept("owner", "statements", ".uploaded")
        self.assertEqual(len(uploaded), 2)  # weights, validation set
        self.issue("owner", 30000)
        # The weights again: they are there already, and said to be.
        for name in uploaded:
            (self.dir / "owner/statements" / name).unlink()
        self.launch(rounds=1, teachers=1, quorum=1)
        again = self.kept("owner", "statements", ".uploaded")
        self.assertEqual(len(set(again) & set(uploaded)), 1)
        self.watch()
        ada = self.teach("ada")
        self.until(status_is("ada", "revealed"), "update of ada")
        (statement,) = self.kept("ada", "statements", ".uploaded")
        self.assert_refused(self.check_statement("ada", statement), "received whole")
        (refusal,) = self.kept("owner", "statements", ".intent-refused")
        self.assert_refused(self.check_statement("owner", refusal), "refused", "credits")
        path = self.dir / "owner/statements" / refusal
        path.write_bytes(path.read_bytes().replace(b"credits", b"debits!"))
        self.check_statement("owner", refusal, expect=DISPROVED)
        self.finish(ada)

    def check_statement(self, who, name, **options):
        return self.run_program("crowdteach-audit", "statement", self.dir / who / "statements" / name,
                                "--genesis", self.dir / who / "receipts/00000000.proof",
                                "--key", self.vkey, **options)

    def turn_back(self, grow):
        """The operator restores a copy of its home, after a client saw more, and then goes on."""
        self.start_coordinator()
        self.join("watcher", self.invite("auditor"))
        self.coordinator.kill9()
        shutil.copytree(self.home, self.dir / "copy", symlinks=True,
                        ignore=shutil.ignore_patterns("*.sock"))
        self.start_coordinator()
        self.issue("operator", 1)
        self.crowdteach("join", "watcher")  # sees the issue
        self.coordinator.kill9()
        shutil.rmtree(self.home)
        (self.dir / "copy").rename(self.home)
        self.start_coordinator()
        for amount in grow:
            self.issue("operator", amount)
        head = (self.dir / "watcher/head").read_text()
        said = self.crowdteach("join", "watcher", expect=FORKED)
        self.assertEqual((self.dir / "watcher/head").read_text(), head)
        self.assertEqual(len(self.kept("watcher", "evidence", ".note")), 1)
        return said

    def test_rolled_back(self):
        self.assert_refused(self.turn_back([]), "rolled back", "auditor")

    def test_another_log_of_the_same_size(self):
        self.assert_refused(self.turn_back([2]), "two different logs")

    def test_rolled_back_and_grown_since(self):
        self.assert_refused(self.turn_back([2, 3]), "cannot show", "changed or lost")


if __name__ == "__main__":
    unittest.main()
