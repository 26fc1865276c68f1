"""A campaign without sealed commitments: updates are revealed at once, also by one who comes late."""

import unittest

from support import OK, CrowdTest, status_is, teacher_in


class OpenRounds(CrowdTest):
    teacher_uses = 3

    def test_a_late_teacher(self):
        self.set_up_people()
        self.launch(rounds=3, teachers=3, quorum=2, commit='"3s"', upload='"60s"',
                    open_commitments="true")
        self.watch()
        ada = self.teach("ada", shard="1/3")
        self.until(lambda view: any(t["connected"] for t in view["teachers"]), "ada")
        ada.stop()  # round 1 waits for its update
        bob = self.teach("bob", shard="2/3")
        held = self.until(status_is("bob", "revealed"), "update of bob")
        self.assertEqual((held["round"], held["round_phase"]), (1, "upload"))
        cid = self.teach("cid", shard="3/3")
        late = self.until(lambda view: (teacher_in(view, "cid") or {}).get("connected"), "cid")
        self.assertEqual((late["round"], late["round_phase"]), (1, "upload"))
        self.assertEqual(teacher_in(late, "cid")["status"], "idle")
        ada.resume()
        self.until_phase("ended")
        self.close()
        for teacher in (ada, bob, cid):
            self.assertEqual(teacher.wait(), OK, teacher.log())

        self.assertNotIn("commit", {view["round_phase"] for view in self.every_view()})
        shown = self.audited()["campaigns"][0]
        self.assertEqual(shown["settled_rounds"], 3)
        included = [{seat["name"] for seat in one["teachers"] if seat["included"]}
                    for one in shown["rounds"]]
        self.assertEqual(included, [{"ada", "bob"}, {"ada", "bob", "cid"}, {"ada", "bob", "cid"}])


if __name__ == "__main__":
    unittest.main()
