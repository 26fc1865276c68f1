"""One teacher, one round, from GENESIS to REFUND; and the coordinator's graceful end."""

import signal
import time
import unittest

from support import OK, CrowdTest


class OneRound(CrowdTest):
    teacher_uses = 1

    def test_genesis_to_refund(self):
        budget = 30000
        self.set_up_people(budget)
        self.launch(rounds=1, teachers=1, quorum=1)
        self.assertEqual(self.credits_of("owner"), 0)
        self.watch("owner")  # who closes the campaign meanwhile
        ada = self.teach("ada")
        ended = self.until_phase("ended")
        self.assertEqual(ended["settled_rounds"], 1)
        self.assertEqual(ended["escrow"] + ended["teachers"][0]["held_credits"], budget)
        self.assertEqual(ended["teachers"][0]["stake_credits"], self.stake_grant)
        score = ended["teachers"][0]["score_nats"]
        before, after = (point["loss_nats"] for point in ended["history"])
        self.assertGreater(score, 0)
        self.assertAlmostEqual(score, before - after, places=9)

        owner = self.close()
        self.assertEqual(ada.wait(), OK, ada.log())
        earned = self.credits_of("ada")
        self.assertEqual(earned, int(score * 10000))  # the stake was the operator's, and is repaid
        self.assertEqual(owner + earned, budget)
        self.assertEqual(self.until_phase("refunded")["escrow"], 0)
        shown = self.audited()
        campaign = shown["campaigns"][0]
        self.assertEqual(campaign["settled_rounds"], 1)
        self.assertEqual(campaign["model_digest"], self.views.all[-1]["model_digest"])

        with open(f"/proc/{self.coordinator.pid}/smaps_rollup") as rollup:
            pss = next(line for line in rollup if line.startswith("Pss:"))
        print(f"the coordinator's memory: {' '.join(pss.split())}")
        begun = time.monotonic()
        self.coordinator.signal(signal.SIGTERM)
        self.assertEqual(self.coordinator.wait(), OK)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertFalse((self.home / "addresses").exists())


if __name__ == "__main__":
    unittest.main()
