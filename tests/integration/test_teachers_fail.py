"""A dead or stopped teacher never hangs a round, and one that comes back goes on where it was."""

import os
import signal
import unittest

from support import OK, CrowdTest, status_is, wait_for, workers_of


class TeachersFail(CrowdTest):
    teacher_uses = 4

    def seats(self, shown, round_number):
        """Of the last campaign's round: name -> seat."""
        for one in shown["campaigns"][0]["rounds"]:
            if one["round"] == round_number:
                return {seat["name"]: seat for seat in one["teachers"]}
        raise AssertionError(f"no round {round_number}")

    def start(self, names, **terms):
        """Round 1 with cid, which is stopped before it commits, and the others, which commit."""
        self.set_up_people()
        self.launch(teachers=1 + len(names), quorum=2, **terms)
        self.watch()
        cid = self.teach("cid")
        self.until(lambda view: any(t["connected"] for t in view["teachers"]), "cid")
        cid.stop()
        others = [self.teach(name, shard=f"{i + 1}/{len(names)}") for i, name in enumerate(names)]
        for name in names:
            self.until(status_is(name, "committed"), f"commitment of {name}")
        return [*others, cid]

    def test_deadlines(self):
        ada, bob, dan, cid = self.start(["ada", "bob", "dan"], rounds=2, commit='"12s"',
                                        upload='"2s"')
        bob.kill9()  # it has committed, and does not reveal
        self.until(status_is("cid", "absent"), "end of the commit phase")
        self.until(status_is("bob", "rejected: no reveal"), "end of the upload phase")
        cid.kill9()
        self.until_phase("ended")
        self.close()
        for teacher in (ada, dan):
            self.assertEqual(teacher.wait(), OK, teacher.log())
        shown = self.audited()
        first, second = self.seats(shown, 1), self.seats(shown, 2)
        self.assertEqual(first["bob"]["rejected"], "no reveal")
        self.assertFalse(first["cid"]["included"])
        for name in ("ada", "dan"):
            self.assertTrue(first[name]["included"])
            self.assertTrue(second[name]["included"])

    def test_killed_between_commit_and_reveal(self):
        ada, bob, cid = self.start(["ada", "bob"], rounds=1)
        bob.kill9()
        cid.resume()
        self.until(lambda view: view["round_phase"] == "upload", "upload phase")
        bob = self.teach("bob", shard="2/3")
        self.until_phase("ended")
        self.close()
        for teacher in (ada, bob, cid):
            self.assertEqual(teacher.wait(), OK, teacher.log())
        self.assertTrue(self.seats(self.audited(), 1)["bob"]["included"])
        # The committed update, not a new one: it trained once.
        self.assertEqual(bob.log().count("trained on"), 1)

    def test_worker_killed_in_training(self):
        self.set_up_people()
        self.launch(rounds=1, teachers=1, quorum=1, local__steps=6000)
        self.watch()
        ada = self.teach("ada")
        self.until(status_is("ada", "training"), "training")
        os.kill(wait_for(lambda: workers_of(ada.pid), "worker of ada")[0], signal.SIGKILL)
        self.until_phase("ended")
        self.close()
        self.assertEqual(ada.wait(), OK, ada.log())
        # Another worker trained the same round.
        self.assertIn("the worker is gone: killed by signal 9", ada.log())
        self.assertTrue(self.seats(self.audited(), 1)["ada"]["included"])

    def test_worker_stopped_for_good(self):
        """Its round ends without it, and the next one has another worker."""
        self.set_up_people()
        self.launch(rounds=2, teachers=2, quorum=1, local__steps=2000, commit='"15s"')
        self.watch()
        ada, bob = (self.teach(name, shard=f"{i}/2") for i, name in enumerate(("ada", "bob"), 1))
        self.until(status_is("ada", "training"), "training")
        os.kill(wait_for(lambda: workers_of(ada.pid), "worker of ada")[0], signal.SIGSTOP)
        self.until_phase("ended")
        self.close()
        for teacher in (ada, bob):
            self.assertEqual(teacher.wait(), OK, teacher.log())
        shown = self.audited()
        self.assertFalse(self.seats(shown, 1)["ada"]["included"])
        self.assertTrue(self.seats(shown, 2)["ada"]["included"])


if __name__ == "__main__":
    unittest.main()
