"""Programs of other versions: what is added later, in either direction, changes nothing for those
who do not know it. (Versions that do not understand each other are in mistakes.md.)"""

import re
import subprocess
import unittest

from support import OK, CrowdTest, wait_for


class Versions(CrowdTest):
    teacher_uses = 1

    def test_additions(self):
        """A campaign in which every request, reply and notice has a field nobody knows yet."""
        self.set_up_people()
        proxy = self.spawn("proxy", "crowdteach-test-proxy", self.ports[0], self.home / "tls",
                           "additions", stdin=subprocess.PIPE)
        port = wait_for(lambda: proxy.log().strip(), "proxy")
        for who in ("owner", "watcher"):
            self.redirect(self.dir / who / "invite.toml", port)
        self.redirect(self.teacher_invite, port)
        self.launch(rounds=1, teachers=1, quorum=1)
        self.watch()
        ada = self.teach("ada")
        self.until_phase("ended")
        self.close()
        self.assertEqual(ada.wait(), OK, ada.log())
        self.assertEqual(self.audited()["campaigns"][0]["settled_rounds"], 1)

    def redirect(self, path, port):
        text, count = re.subn(r"^addresses = .*$", f'addresses = ["127.0.0.1:{port}"]',
                              path.read_text(), flags=re.M)
        self.assertEqual(count, 1)
        path.write_text(text)


if __name__ == "__main__":
    unittest.main()
