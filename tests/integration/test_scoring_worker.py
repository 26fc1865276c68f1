"""The coordinator's scoring worker dies, stalls, and is let go when it is no longer needed."""

import os
import signal
import time
import unittest

from support import OK, CrowdTest, wait_for, workers_of


class ScoringWorker(CrowdTest):
    teacher_uses = 2

    def start(self, **terms):
        """A campaign of two teachers; returns them."""
        self.set_up_people()
        self.launch(teachers=2, quorum=2, **terms)
        # The one that checked the opening is gone.
        wait_for(lambda: not workers_of(self.coordinator.pid), "end of the first worker")
        self.watch()
        return [self.teach("ada", shard="1/2"), self.teach("bob", shard="2/2")]

    def worker(self):
        """The scoring worker, as soon as it is there."""
        return wait_for(lambda: workers_of(self.coordinator.pid), "scoring worker")[0]

    def test_killed_once(self):
        teachers = self.start(rounds=2)
        killed = self.worker()
        os.kill(killed, signal.SIGKILL)
        self.assertNotEqual(wait_for(lambda: [pid for pid in workers_of(self.coordinator.pid)
                                              if pid != killed], "second worker")[0], killed)
        self.until_phase("ended")
        self.assertEqual(self.coordinator.log().count("scoring failed"), 1)
        # Nobody needs the worker and its gradients now.
        wait_for(lambda: not workers_of(self.coordinator.pid), "end of the worker")
        self.assertEqual(list((self.home / "scratch").iterdir()), [])
        self.close()
        for teacher in teachers:
            self.assertEqual(teacher.wait(), OK, teacher.log())
        shown = self.audited()["campaigns"][0]
        self.assertEqual([one["outcome"] for one in shown["rounds"]], ["settled", "settled"])

    def test_stalled_when_the_coordinator_stops(self):
        teachers = self.start(rounds=1)
        os.kill(self.worker(), signal.SIGSTOP)
        begun = time.monotonic()
        self.coordinator.signal(signal.SIGTERM)
        self.assertEqual(self.coordinator.wait(), OK, self.coordinator.log())
        self.assertLess(time.monotonic() - begun, 30)  # a stalled worker is waited for 120 s
        self.start_coordinator()
        self.watch()
        self.until_phase("ended")
        self.close()
        for teacher in teachers:
            self.assertEqual(teacher.wait(), OK, teacher.log())
        self.audited()


if __name__ == "__main__":
    unittest.main()
