"""Coordinator and people on machines of their own: NAT that forgets idle connections after a
minute, a firewall with one open port for teachers and one for auditors, IPv4 and IPv6, a link that
breaks without a word in the middle of a download and of an upload, and a coordinator that moves.

The machines are network namespaces: see network.py.
"""

import json
import pathlib
import signal
import subprocess
import time

import network
from network import PORT, WEB_PORT
from support import OK, UNREACHABLE, CrowdTest, status_is, wait_for

V4, V6 = "10.77.1.2", "fd77:1::2"
NAME = "coordinator.test"
MEBIBYTE = 1 << 20

# Some 6 MB a model and an update: seven chunks.
WIDE = """
[model]
name = "wide"
input = [1, 28, 28]
loss = "cross-entropy"

[[layer]]
name = "flatten"
type = "Flatten"

[[layer]]
name = "fc1"
type = "Linear"
in_features = 784
out_features = 2000

[[layer]]
name = "relu1"
type = "ReLU"

[[layer]]
name = "fc2"
type = "Linear"
in_features = 2000
out_features = 10
"""

# A connection that keeps silent for this long is forgotten by the router. Prints what comes of it.
SILENT = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
time.sleep(float(sys.argv[3]))
s.settimeout(5)
try:
    s.sendall(b"x" * 64)
    print("answered" if s.recv(1) is not None else "")
except OSError as error:
    print("dead:", error)
"""


class NetworkTest(CrowdTest):
    places = {"ada": "te1", "bob": "te2", "audrey": "au"}  # all others: co

    def setUp(self):
        super().setUp()
        self.network = network.Network()
        self.addCleanup(self._remove_namespaces)
        self.ports = (f"[::]:{PORT}", f"[::]:{WEB_PORT}")

    def _remove_namespaces(self):
        self._end_all()
        for name in self.network.names:
            network.run("ip", "netns", "delete", name)

    def command(self, program, *arguments):
        home = ""
        if "--home" in arguments:
            home = pathlib.Path(arguments[arguments.index("--home") + 1]).name
        return self.command_in(self.places.get(home, "co"), program, *arguments)

    def command_in(self, namespace, program, *arguments):
        return ["ip", "netns", "exec", namespace, *super().command(program, *arguments)]

    def start_coordinator(self, *options):
        default = [part for address in self.advertised for part in ("--advertise", address)]
        super().start_coordinator(*(options or default))

    def reachable(self, namespace, host, port):
        """Whether a connection can be made; what a firewall swallows cannot, within 2 s."""
        program = ("import socket, sys\n"
                   "socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)")
        return subprocess.run(["ip", "netns", "exec", namespace, "python3", "-c", program, host,
                               str(port)], stderr=subprocess.DEVNULL).returncode == 0


class Behind(NetworkTest):
    teacher_uses = 2
    advertised = [f"{NAME}:{PORT}", f"[{V6}]:{PORT}", f"{V4}:{PORT}"]

    def setUp(self):
        super().setUp()
        for place in ("co", "te1", "te2"):
            self.network.name_host(place, NAME, V4, V6)
        self.model = self.dir / "wide.toml"
        self.model.write_text(WIDE)

    def check_ports(self):
        """One port is open for teachers, a second for auditors."""
        for place, host in (("te1", V4), ("te2", V6)):
            self.assertTrue(self.reachable(place, host, PORT))
            self.assertFalse(self.reachable(place, host, WEB_PORT))
        for host in (V4, V6):
            self.assertTrue(self.reachable("au", host, WEB_PORT))
            self.assertFalse(self.reachable("au", host, PORT))

    @staticmethod
    def part_bytes(store):
        """What a store has received of a blob under way."""
        sizes = [0]
        for path in (store / "part").glob("*"):
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:
                pass  # published meanwhile
        return max(sizes)

    def fetched_by_auditor(self):
        bundle = self.dir / "log.bundle"
        key = self.dir / "log.vkey"
        key.write_text(self.vkey + "\n")
        for host in (V4, f"[{V6}]"):
            done = subprocess.run(
                [str(a) for a in self.command_in("au", "crowdteach-audit", "fetch",
                                                 f"{host}:{WEB_PORT}", "-o", bundle, "--key", key)],
                capture_output=True, text=True)
            self.assertEqual(done.returncode, OK, done.stdout + done.stderr)

    def test_a_campaign(self):
        self.set_up_people()
        self.assertIn(f"invites name {NAME}:{PORT}, [{V6}]:{PORT}, {V4}:{PORT}",
                      self.coordinator.log())
        self.check_ports()
        silent = subprocess.Popen(
            ["ip", "netns", "exec", "te1", "python3", "-c", SILENT, V4, str(PORT),
             str(network.NAT_TIMEOUT_S + 10)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(silent.stdout.close)
        self.addCleanup(silent.kill)
        self.launch(model=json.dumps(str(self.model)), rounds=2, teachers=2, quorum=2,
                    commit='"5m"', upload='"5m"')
        self.watch()
        ada = self.teach("ada")
        self.until(status_is("ada", "idle"), "ada's enrolment")
        bob = self.teach("bob")

        # Round 1: ada waits longer than the router remembers an idle connection, while bob's
        # machine sleeps.
        self.until(status_is("bob", "training"), "training of bob")
        bob.stop()
        self.until(status_is("ada", "committed"), "commitment of ada", patience_s=150)
        begun = time.monotonic()
        said, _ = silent.communicate(timeout=150)
        self.assertIn("dead", said, "the router must forget idle connections, or nothing is tested")
        time.sleep(max(0, begun + network.NAT_TIMEOUT_S + 15 - time.monotonic()))
        self.assertNotIn("trying again", ada.log())
        self.until(lambda view: not [t for t in view["teachers"] if t["name"] == "bob"][0]
                   ["connected"], "word that bob is away", patience_s=120)
        # Round 2 is where the link breaks: slow enough to hit the middle.
        self.network.slow("te1", 8)
        self.network.slow("co", 8)
        bob.resume()
        self.until(lambda view: view["settled_rounds"] == 1, "settled round", patience_s=150)
        self.assertNotIn("trying again", ada.log())
        self.assertIn("trying again", bob.log())
        self.break_in_download(ada)
        self.break_in_upload(ada)
        ada = self.teach("ada")

        self.until_phase("ended", patience_s=200)
        self.close()
        for teacher in (ada, bob):
            self.assertEqual(teacher.wait(), OK, teacher.log())
        self.fetched_by_auditor()
        shown = self.audited()["campaigns"][0]
        self.assertEqual(shown["settled_rounds"], 2)
        for one in shown["rounds"]:
            for teacher in one["teachers"]:
                self.assertTrue(teacher["included"], teacher)

    def break_in_download(self, ada):
        store = self.dir / "ada/blobs"
        wait_for(lambda: self.part_bytes(store) >= 2 * MEBIBYTE, "third chunk of the model")
        self.network.cut("te1")
        there = self.part_bytes(store)
        wait_for(lambda: "trying again" in ada.log(), "ada's word that the link is dead", 100)
        before = self.network.received_bytes("te1")
        self.network.heal()
        self.until(lambda view: view["round"] == 2 and view["round_phase"] == "upload",
                   "commitment of ada, the last", patience_s=150)
        more = self.network.received_bytes("te1") - before
        print(f"link cut after {there / MEBIBYTE:.1f} MiB of {self.update_bytes() / MEBIBYTE:.1f} of "
              f"the model; {more / MEBIBYTE:.2f} MiB received after it was healed", flush=True)
        self.assertLess(more, self.update_bytes() - there + 1.5 * MEBIBYTE)

    def break_in_upload(self, ada):
        self.until(lambda view: view["round"] == 2 and view["round_phase"] == "upload",
                   "upload phase of round 2", patience_s=150)
        before = self.network.sent_bytes("te1")
        self.until(status_is("bob", "revealed"), "update of bob")
        store = self.home / "artifacts"
        wait_for(lambda: self.part_bytes(store) >= 2 * MEBIBYTE, "third chunk of ada")
        said = ada.log().count("trying again")
        self.network.cut("te1")
        cut = time.monotonic()
        there = self.part_bytes(store)
        wait_for(lambda: ada.log().count("trying again") > said, "ada's word of the dead link", 100)
        noticed_s = time.monotonic() - cut
        self.network.heal()
        healed = time.monotonic()
        ada.signal(signal.SIGINT)  # she leaves, but not before the update is delivered
        self.until(lambda view: view["settled_rounds"] == 2, "settled round 2", patience_s=150)
        self.assertEqual(ada.wait(), OK, ada.log())
        self.assertIn("left; nothing is lost", ada.log())
        again = self.network.sent_bytes("te1") - before - self.update_bytes()
        print(f"link cut after {there / MEBIBYTE:.1f} MiB of {self.update_bytes() / MEBIBYTE:.1f}; "
              f"noticed after {noticed_s:.0f} s, settled {time.monotonic() - healed:.0f} s after it "
              f"was healed; {again / MEBIBYTE:.2f} MiB sent beside the update itself", flush=True)
        self.assertLess(again, 1.5 * MEBIBYTE)  # a chunk begun, and headers

    @staticmethod
    def update_bytes():
        return 4 * (784 * 2000 + 2000 + 2000 * 10 + 10)


class Moves(NetworkTest):
    """The coordinator is somewhere else after a restart."""

    teacher_uses = 2
    advertised = [f"{V4}:{PORT}"]
    NEW = "10.77.1.7"

    def setUp(self):
        super().setUp()
        self.network.add_address("co", f"{self.NEW}/24")
        self.ports = (f"{V4}:{PORT}", f"{V4}:{WEB_PORT}")

    def move(self, host, *options):
        self.coordinator.kill9()
        self.ports = (f"{host}:{PORT}", f"{host}:{WEB_PORT}")
        self.start_coordinator(*options or ("--web-advertise", f"{host}:{WEB_PORT}"))

    def test_told_by_its_person(self):
        self.start_coordinator("--advertise", f"{V4}:{PORT}")
        self.join("ada", self.invite("teacher"))
        self.move(self.NEW)
        said = self.crowdteach("join", "ada", expect=UNREACHABLE)
        self.assertIn(f"{V4}:{PORT}", said)
        self.crowdteach("join", "ada", "--server", f"{V4}:{PORT}", expect=UNREACHABLE)
        self.crowdteach("join", "ada", "--server", f"{self.NEW}:{PORT}")
        self.crowdteach("join", "ada")

    def test_told_by_the_coordinator_before(self):
        """A teacher at work finds it by itself."""
        both = ("--advertise", f"{V4}:{PORT}", "--advertise", f"{self.NEW}:{PORT}")
        self.set_up_people()
        self.launch(rounds=1, teachers=2, quorum=2)
        self.move(V4, *both)
        ada = self.teach("ada")
        wait_for(lambda: "teaching campaign" in ada.log(), "ada at work")
        self.assertEqual((self.dir / "ada/addresses").read_text(),
                         f"{V4}:{PORT}\n{self.NEW}:{PORT}\n")
        for who in ("owner", "watcher"):
            self.crowdteach("join", who)
        self.move(self.NEW, *both)
        self.watch()
        bob = self.teach("bob")  # whose invite names the old address alone
        self.assertEqual(bob.wait(), UNREACHABLE, bob.log())
        self.places = {**self.places, "bob": "te1"}
        bob = self.teach("bob", "--server", f"{self.NEW}:{PORT}")
        self.until_phase("ended")
        self.close()
        for teacher in (ada, bob):
            self.assertEqual(teacher.wait(), OK, teacher.log())

    def test_told_by_its_name(self):
        self.network.name_host("te1", NAME, V4, V6)
        self.start_coordinator("--advertise", f"{NAME}:{PORT}")
        self.join("ada", self.invite("teacher"))
        self.move(self.NEW)
        self.network.name_host("te1", NAME, self.NEW, V6)
        self.crowdteach("join", "ada")

    def test_a_dead_address_is_passed_by(self):
        """One that swallows everything costs ten seconds, the next one is taken."""
        self.start_coordinator("--advertise", f"10.77.4.2:{PORT}", "--advertise", f"{V4}:{PORT}")
        begun = time.monotonic()
        self.join("ada", self.invite("teacher"))
        spent_s = time.monotonic() - begun
        print(f"joined after {spent_s:.1f} s, the first address being dead", flush=True)
        self.assertGreater(spent_s, 8)
        self.assertLess(spent_s, 25)
        begun = time.monotonic()
        said = self.crowdteach("join", "ada", "--server", f"10.77.4.3:{PORT}")
        self.assertIn("credits free", said)
        self.assertFalse((self.dir / "ada/server").exists())


if __name__ == "__main__":
    network.enter()
    network.main()
