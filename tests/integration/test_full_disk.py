"""A teacher's disk gets full, at every step of a round: it says so, and after space was freed the
same command goes on; no commitment is lost and none is made twice."""

import json
import os
import subprocess

import network
from support import IO, OK, CrowdTest, wait_for


class Disk(CrowdTest):
    """A home on a file system of its own that gets full."""

    teacher_uses = 2

    def setUp(self):
        super().setUp()
        self.small = self.dir / "ada"
        self.small.mkdir(mode=0o700)
        self.ballast = self.small / "lost+found"  # all that a new home may have in it
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs",
                        str(self.small)], check=True)
        self.addCleanup(self._unmount)

    def _unmount(self):
        self._end_all()
        subprocess.run(["umount", "--lazy", str(self.small)], check=True)

    def fill(self, leave=0):
        stat = os.statvfs(self.small)
        with open(self.ballast, "wb", buffering=0) as file:
            file.write(b"\0" * max(0, stat.f_bavail * stat.f_frsize - leave))

    def free(self):
        self.ballast.unlink()

    def fails_for_space(self, process):
        self.assertEqual(process.wait(), IO, process.log())
        self.assertIn("No space left on device", process.log())

    def test_from_the_first_moment(self):
        self.set_up_people()
        self.fill()
        said = self.join("ada", self.teacher_invite, expect=IO)
        self.assertIn("No space left on device", said)
        self.free()
        self.join("ada", self.teacher_invite)

    def test_in_a_campaign(self):
        self.set_up_people()
        self.launch(rounds=1, teachers=2, quorum=2)
        self.watch()
        bob = self.teach("bob", shard="2/2")
        self.until(lambda view: any(t["connected"] for t in view["teachers"]), "bob")
        bob.stop()
        self.join("ada", self.teacher_invite)
        # No room for the base model of 204 kB, nor then for what comes of it.
        for leave in (100_000, 300_000):
            self.fill(leave)
            self.fails_for_space(self.teach("ada", shard="1/2"))
            self.free()
        ada = self.teach("ada", shard="1/2")
        wait_for(lambda: "committed (entry" in ada.log(), "commitment of ada")
        # Committed: no room for what the coordinator signs of the upload.
        self.fill()
        bob.resume()
        self.fails_for_space(ada)
        pending = json.loads(self.crowdteach("status", "ada", "--offline", "--format", "json"))
        self.assertEqual([r["committed"] for r in pending["rounds"]], [True])
        self.free()
        ada = self.teach("ada", shard="1/2")
        self.until_phase("ended")
        self.close()
        for teacher in (ada, bob):
            self.assertEqual(teacher.wait(), OK, teacher.log())
        for seat in self.audited("again")["campaigns"][0]["rounds"][0]["teachers"]:
            self.assertTrue(seat["included"], seat)
        commits = [r for r in json.loads(self.crowdteach("receipts", "ada", "--format", "json"))
                   if r["type"] == "UPDATE_COMMIT"]
        self.assertEqual(len(commits), 1)


if __name__ == "__main__":
    network.enter()
    network.main()
