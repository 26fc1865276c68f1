"""A teacher goes at its own pace: leaves with one Ctrl-C and comes back, looks at its account and
its credits, also without a coordinator, and loses nothing when its clock jumps.
"""

import fcntl
import json
import os
import pathlib
import pty
import re
import signal
import struct
import subprocess
import termios
import time
import unittest

from support import (DISPROVED, FASHION_MNIST, INTERRUPTED, IO, OK, REFUSED, UNREACHABLE, USAGE,
                     CrowdTest, status_is, wait_for)


def any_connected(view):
    return any(teacher["connected"] for teacher in view["teachers"])


class Leaving(CrowdTest):
    teacher_uses = 3

    def end(self, *teachers):
        self.until_phase("ended")
        self.close()
        for teacher in teachers:
            self.assertEqual(teacher.wait(), OK, teacher.log())
        for seat in self.audited()["campaigns"][0]["rounds"][0]["teachers"]:
            self.assertTrue(seat["included"], seat)

    def leave(self, teacher, patience_s=15):
        teacher.signal(signal.SIGINT)
        self.assertEqual(teacher.wait(patience_s), OK, teacher.log())
        self.assertIn("the same command goes on", teacher.log())

    def test_before_there_is_a_campaign(self):
        self.set_up_people()
        ada = self.teach("ada")
        wait_for(lambda: "waiting for one" in ada.log(), "waiting teacher")
        self.leave(ada)

    def test_in_training(self):
        self.set_up_people()
        self.launch(rounds=1, teachers=1, quorum=1, local__steps=6000)
        self.watch()
        ada = self.teach("ada")
        self.until(status_is("ada", "training"), "training")
        self.leave(ada)
        self.assertIn("left; nothing is lost", ada.log())
        self.end(self.teach("ada"))

    def committed(self):
        """Round 1: bob has committed, cid is stopped before it does."""
        self.set_up_people()
        self.launch(rounds=1, teachers=2, quorum=2)
        self.watch()
        cid = self.teach("cid", shard="2/2")
        self.until(any_connected, "cid")
        cid.stop()
        bob = self.teach("bob", shard="1/2")
        self.until(status_is("bob", "committed"), "commitment of bob")
        return bob, cid

    def test_what_was_committed_to_is_delivered_first(self):
        bob, cid = self.committed()
        bob.signal(signal.SIGINT)
        wait_for(lambda: "leaving once the update of round 1 is delivered, in 60 s" in bob.log(),
                 "word of what is waited for")
        # Its receipt may still be on its way.
        wait_for(lambda: self.status("bob")["rounds"] == [
            {"campaign": self.campaign(), "round": 1, "committed": True, "revealed": False}],
            "commitment among bob's rounds")
        cid.resume()
        self.assertEqual(bob.wait(), OK, bob.log())
        self.assertIn("left; nothing is lost", bob.log())
        self.end(cid, self.teach("bob", shard="1/2"))

    def test_the_second_signal_stops_at_once(self):
        bob, cid = self.committed()
        bob.signal(signal.SIGINT)
        wait_for(lambda: "Ctrl-C again stops now" in bob.log(), "word of the second signal")
        begun = time.monotonic()
        bob.signal(signal.SIGINT)
        self.assertEqual(bob.wait(), INTERRUPTED)
        self.assertLess(time.monotonic() - begun, 5)
        bob = self.teach("bob", shard="1/2")
        self.until(status_is("bob", "committed"), "bob's return")
        cid.resume()
        self.end(bob, cid)
        self.assertEqual(bob.log().count("trained on"), 1)

    def test_a_minute_is_waited_and_no_longer(self):
        bob, cid = self.committed()
        begun = time.monotonic()
        bob.signal(signal.SIGTERM)
        self.assertEqual(bob.wait(80), OK, bob.log())
        self.assertGreater(time.monotonic() - begun, 55)
        self.assertIn("the update committed to in round 1 is not delivered", bob.log())
        bob = self.teach("bob", shard="1/2")
        cid.resume()
        self.end(bob, cid)

    def campaign(self):
        return self.views.all[-1]["campaign"]

    def status(self, who):
        return json.loads(self.crowdteach("status", who, "--format", "json"))


class OwnState(CrowdTest):
    teacher_uses = 2

    def wallet(self, who, *arguments, **options):
        return json.loads(self.crowdteach("wallet", who, "--format", "json", *arguments, **options))

    def test_nobody_has_joined(self):
        for command in ("status", "wallet", "receipts"):
            said = self.crowdteach(command, "nobody", expect=REFUSED)
            self.assert_refused(said, "nobody has joined", "crowdteach teach --invite")
        self.assert_refused(self.crowdteach("watch", "nobody", expect=REFUSED), "no account yet")
        self.assertFalse((self.dir / "nobody").exists())

    def test_help(self):
        for command in ("status", "wallet", "receipts"):
            said = self.run_program("crowdteach", command, "--help")
            self.assert_refused(said, "Examples:", f"crowdteach {command}")

    def check_money(self, teachers):
        """Wallets and explanations say what the audit says."""
        shown = self.audited()["campaigns"][0]
        rate = 1000
        for who in teachers:
            wallet = self.wallet(who)
            self.assertTrue(wallet["up_to_date"], wallet)
            money, = wallet["campaigns"]
            held, stake = 0, self.stake_grant
            for one in shown["rounds"]:
                seat, = [seat for seat in one["teachers"] if seat["name"] == who]
                e = self.wallet(who, "--explain", one["round"])
                self.assertEqual(int(e["product"]), rate * e["phi_q32"])
                self.assertEqual(int(e["product"]), (int(e["reward"]) << 32) + e["remainder"])
                self.assertTrue(0 <= e["remainder"] < 1 << 32)
                self.assertEqual((e["held_before"], e["stake_before"]), (held, stake))
                self.assertEqual(e["held_posted"] + e["stake_posted"], seat["reward_credits"])
                held, stake = e["held_after"], e["stake_after"]
                text = self.crowdteach("wallet", who, "--explain", one["round"])
                self.assert_refused(text, f"{e['phi_q32']} / 2^32", f"held {held}, stake {stake}")
            self.assertEqual((money["held"], money["stake"]), (held, stake))
        return shown

    def test_a_campaign(self):
        self.set_up_people()
        self.launch(rounds=2, teachers=2, quorum=2, credits_per_nat=1000)
        self.watch()
        ada, bob = self.teach("ada"), self.teach("bob", "--behaviour", "sign-flip")
        self.until(lambda view: view["settled_rounds"] == 1, "first settled round")
        # Beside the teach that works in the home.
        self.assert_refused(self.crowdteach("status", "ada"), "answers", "account", "(ada)")
        wallet = self.wallet("ada")
        self.assertTrue(wallet["up_to_date"], wallet)
        money, = wallet["campaigns"]
        self.assertGreaterEqual(money["rounds"], 1)
        self.until(lambda view: view["round"] == 2 and status_is("ada", "revealed")(view) or
                   view["settled_rounds"] == 2, "update of ada in round 2")
        ada.kill9()  # what is settled now it does not see
        self.until_phase("ended")
        # Mostly it was killed before it could forget its last round.
        self.wallet("ada")  # fetches the receipts that show what is over
        status = json.loads(self.crowdteach("status", "ada", "--format", "json"))
        self.assertEqual(status["rounds"], [])
        ada = self.teach("ada")
        wait_for(lambda: not list((self.dir / "ada/rounds").iterdir()), "end of a round that is over")
        ada.signal(signal.SIGINT)
        self.assertEqual(ada.wait(), OK, ada.log())
        bob.signal(signal.SIGINT)
        self.assertEqual(bob.wait(), OK, bob.log())
        self.assertIn("held", bob.log())
        self.assertIn("at stake", bob.log())
        self.check_money(["ada", "bob"])
        self.assertGreater(self.wallet("ada")["campaigns"][0]["held"], 0)
        self.assertLess(self.wallet("bob")["campaigns"][0]["stake"], self.stake_grant)
        self.crowdteach("wallet", "ada", "--explain", "7", expect=IO)
        self.crowdteach("wallet", "ada", "--explain", "x", expect=USAGE)
        self.check_without_coordinator()

    def check_without_coordinator(self):
        before = self.wallet("ada")
        listed = json.loads(self.crowdteach("receipts", "ada", "--format", "json", "--verify"))
        self.coordinator.kill9()
        for command in ("status", "wallet"):
            said = self.crowdteach(command, "ada", expect=UNREACHABLE)
            self.assert_refused(said, self.ports[0], "(ada)")
        offline = self.wallet("ada", "--offline")
        self.assertFalse(offline["up_to_date"])
        self.assertEqual(offline["campaigns"], before["campaigns"])
        self.crowdteach("wallet", "ada", "--offline", "--explain", "1")
        self.assertEqual(
            json.loads(self.crowdteach("receipts", "ada", "--format", "json", "--verify")), listed)
        self.assertTrue(all(receipt["verified"] for receipt in listed))
        table = self.crowdteach("receipts", "ada").splitlines()
        self.assertEqual(len(table), 1 + len(listed))
        self.assertEqual(len({line.index(".proof") for line in table[1:]}), 1)
        scores = [receipt for receipt in listed if receipt["type"] == "SCORE"]
        self.assertEqual([score["round"] for score in scores], [1, 2])
        path = pathlib.Path(scores[0]["path"])
        path.write_text(path.read_text().replace("\nindex ", "\nindex 1"))
        for arguments in (["receipts", "ada", "--verify"], ["wallet", "ada", "--offline"]):
            said = self.crowdteach(*arguments, expect=DISPROVED)
            self.assertIn(path.name, said)


class Screen(CrowdTest):
    """What teach and watch draw on a terminal, and that a log gets plain lines."""

    teacher_uses = 1

    def on_terminal(self, columns, **environment):
        """What a teacher of a whole campaign of one round prints there."""
        self.set_up_people()
        self.launch(rounds=1, teachers=1, quorum=1, local__steps=400)
        self.watch()
        return self.drawn(columns, self.command(
            "crowdteach", "teach", "--home", self.dir / "ada", "--invite", self.teacher_invite,
            "--data", f"{FASHION_MNIST}:t10k", "--limit", 300, "--yes", "--leave-at-end"),
            **environment)

    def drawn(self, columns, command, **environment):
        """What the command prints on such a terminal, to its end."""
        screen, terminal = pty.openpty()
        self.addCleanup(os.close, screen)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        variables = {key: value for key, value in os.environ.items()
                     if key not in ("LC_ALL", "LC_CTYPE", "LANG", "TERM")}
        process = subprocess.Popen([str(a) for a in command], stdin=subprocess.DEVNULL,
                                   stdout=terminal, stderr=terminal,
                                   env={**variables, **environment})
        self.addCleanup(process.kill)
        os.close(terminal)
        drawn = b""
        while True:
            try:
                part = os.read(screen, 65536)
            except OSError:  # the other end is closed
                break
            drawn += part
        self.assertEqual(process.wait(), OK, drawn)
        return drawn.decode()

    def test_watch_fits_any_width(self):
        self.set_up_people()
        self.launch(rounds=1, teachers=1, quorum=1, name=json.dumps("a campaign of many words " * 3))
        self.watch()
        self.teach("a-teacher-with-a-long-name", "--leave-at-end")
        self.until_phase("ended")
        self.close()
        self.until_phase("refunded")
        for columns in (20, 40, 79, 200):
            with self.subTest(columns):
                drawn = self.drawn(columns, self.command("crowdteach", "watch", "--home",
                                                         self.dir / "watcher"),
                                   TERM="xterm", LANG="C.UTF-8")
                self.assertIn("refund", drawn)
                for line in re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", drawn).splitlines():
                    self.assertLessEqual(len(line), columns, line)

    def test_narrow_and_without_utf8(self):
        drawn = self.on_terminal(40, TERM="xterm", LANG="C", NO_COLOR="1")
        self.assertTrue(drawn.isascii())
        self.assertIn("+-", drawn)
        self.assertIn("train  [", drawn)
        self.assertNotIn("\x1b[3", drawn)  # no colour
        overwritten = [part.split("\r\n")[0] for part in drawn.split("\r\x1b[K")[1:]]
        bars = [part for part in overwritten if "[#" in part or "[." in part]
        self.assertTrue(bars)
        for bar in bars:
            self.assertLess(len(bar), 40, bar)

    def test_wide_with_utf8(self):
        drawn = self.on_terminal(120, TERM="xterm", LANG="C.UTF-8")
        self.assertIn("\u00b1", drawn)
        self.assertIn("held, 2000 at stake)", drawn)

    def test_dumb_terminals_get_lines(self):
        drawn = self.on_terminal(80, TERM="dumb", LANG="C.UTF-8")
        self.assertNotIn("\x1b", drawn)
        self.assertNotIn("train  [", drawn)
        self.assertIn("trained on", drawn)


class Clocks(CrowdTest):
    """The wall clock of a teacher's machine jumps while it teaches."""

    teacher_uses = 1
    LIBRARY = "faketime/libfaketime.so.1"

    def setUp(self):
        super().setUp()
        found = [path for path in pathlib.Path("/usr/lib").glob(f"*/{self.LIBRARY}")]
        if not found:
            self.fail("there is no libfaketime; run: scripts/setup --test")
        self.clock = self.dir / "clock"
        self.faked = ["env", f"LD_PRELOAD={found[0]}", f"FAKETIME_TIMESTAMP_FILE={self.clock}",
                      "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]

    def set_clock(self, offset):
        """In one step: a file that is read while it is empty ends the program."""
        new = self.dir / "clock.new"
        new.write_text(f"{offset}\n")
        new.replace(self.clock)

    def command(self, program, *arguments):
        home = pathlib.Path(arguments[arguments.index("--home") + 1]).name \
            if "--home" in arguments else ""
        prefix = self.faked if home == "ada" else []
        return [*prefix, *super().command(program, *arguments)]

    def test_jumps(self):
        self.set_clock("+0d")
        self.set_up_people()
        self.launch(rounds=4, teachers=1, quorum=1)
        self.watch()
        ada = self.teach("ada")
        for settled, offset in enumerate(("+3d", "-400d", "+0.5d"), start=1):
            self.until(lambda view: view["settled_rounds"] >= settled, f"settled round {settled}")
            self.set_clock(offset)
            if settled == 1:  # a connection made with a clock that is wrong by now
                self.restart_coordinator()
        self.until_phase("ended")
        self.close()
        self.assertEqual(ada.wait(), OK, ada.log())
        self.assertEqual(self.audited()["campaigns"][0]["settled_rounds"], 4)

    def test_wrong_from_the_beginning(self):
        self.set_clock("+3d")
        self.start_coordinator()
        said = self.join("ada", self.invite("teacher"), expect=REFUSED)
        self.assert_refused(said, "clock", "more than a day apart", "set the one that is wrong")
        self.set_clock("-3d")
        said = self.join("ada", self.dir / "teacher.invite", expect=REFUSED)
        self.assert_refused(said, "clock")
        self.set_clock("+0d")
        self.join("ada", self.dir / "teacher.invite")


if __name__ == "__main__":
    unittest.main()
