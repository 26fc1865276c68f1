"""The coordinator is killed without a word and comes back on the same home and ports: the campaign
goes on to its end, teachers reconnect by themselves, and the books are in order."""

import unittest

from support import OK, CrowdTest, status_is


class Restart(CrowdTest):
    teacher_uses = 2

    def check_end(self, teachers, rounds):
        self.until_phase("ended")
        self.close()
        for teacher in teachers:
            self.assertEqual(teacher.wait(), OK, teacher.log())
        shown = self.audited()["campaigns"][0]
        self.assertEqual(shown["settled_rounds"], rounds)
        return shown

    def test_killed_between_rounds(self):
        self.set_up_people()
        self.launch(rounds=3, teachers=2, quorum=2)
        self.watch()
        ada, bob = self.teach("ada"), self.teach("bob")
        self.until(status_is("bob", "revealed"), "update of bob")
        bob.kill9()  # without it no other round can open
        before = self.until(lambda view: view["settled_rounds"] == 1, "settled round")
        self.restart_coordinator()
        after = self.until(lambda view: view["round_phase"] == "waiting", "view after the restart")
        for key in ("round", "settled_rounds", "model_digest", "log_size", "escrow"):
            self.assertEqual(after[key], before[key])
        bob = self.teach("bob")
        self.check_end([ada, bob], 3)
        self.assertIn("trying again", ada.log())

    def test_killed_during_upload(self):
        self.set_up_people()
        self.launch(rounds=2, teachers=2, quorum=2)
        self.watch()
        ada = self.teach("ada")
        self.until(lambda view: any(t["connected"] for t in view["teachers"]), "first teacher")
        ada.stop()  # the commit phase waits for it
        bob = self.teach("bob")
        self.until(status_is("bob", "committed"), "commitment of bob")
        bob.stop()  # the upload phase waits for it
        ada.resume()
        held = self.until(lambda view: view["round_phase"] == "upload" and
                          status_is("ada", "revealed")(view), "upload phase with ada's update")
        self.assertTrue(status_is("bob", "uploading")(held))
        self.restart_coordinator()
        after = self.until(lambda view: True, "view after the restart")
        self.assertEqual((after["round"], after["round_phase"]), (1, "upload"))
        self.assertTrue(status_is("ada", "revealed")(after))
        bob.resume()
        shown = self.check_end([ada, bob], 2)
        for teacher in shown["rounds"][0]["teachers"]:
            self.assertTrue(teacher["included"], teacher)

    def test_killed_again_and_again(self):
        self.set_up_people()
        self.launch(rounds=3, teachers=2, quorum=2)
        self.watch()
        ada, bob = self.teach("ada"), self.teach("bob")
        for size in (1, 2):
            self.until(lambda view: view["settled_rounds"] >= size, f"settled round {size}")
            self.restart_coordinator()
        self.check_end([ada, bob], 3)


if __name__ == "__main__":
    unittest.main()
