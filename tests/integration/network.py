"""Networks of namespaces for tests: a coordinator, a router that does NAT and has a firewall, and
people behind it. All of it lives in a private mount namespace and goes away with the test.

    co ── rt ── te1, te2, au      co 10.77.1.2 and fd77:1::2; rt masquerades what comes from people

A program that calls `enter()` runs again as root of such a namespace; it is skipped, with the
reason printed, only where the rights for that are missing.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

INSIDE = "CROWDTEACH_TEST_INSIDE"
NAT_TIMEOUT_S = 60
PORT, WEB_PORT = 7700, 7701


def enter():
    """Goes on inside a mount namespace of its own, where /run/netns and /etc/netns are empty."""
    if os.environ.get(INSIDE) == "1":
        for folder in ("/run/netns", "/etc/netns"):
            os.makedirs(folder, exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
        return
    if os.geteuid() != 0:
        skip("root is needed to make network namespaces and mounts; this is user "
             f"{os.geteuid()}")
    probe = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        skip(f"this root may not make namespaces: {probe.stderr.strip()}")
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, "-B",
                          *sys.argv])


def skip(reason):
    print(f"skipped: {reason}", flush=True)
    sys.exit(77)  # ctest counts it as skipped (SKIP_RETURN_CODE)


def run(*command, namespace=None, stdin=None, check=True):
    """Its standard output."""
    prefix = ["ip", "netns", "exec", namespace] if namespace else []
    done = subprocess.run([*prefix, *command], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join([*prefix, *command])}:\n{done.stdout}")
    return done.stdout


FIREWALL = f"""
table inet fw {{
  chain cut {{ }}
  chain forward {{
    type filter hook forward priority 0; policy drop;
    jump cut
    ct state invalid drop
    ct state established,related accept
    iifname {{ "te1", "te2" }} oifname "co" tcp dport {PORT} accept
    iifname "au" oifname "co" tcp dport {WEB_PORT} accept
  }}
  chain nat {{
    type nat hook postrouting priority 100;
    oifname "co" masquerade
  }}
}}
"""


class Network:
    """co, rt, te1 (IPv4 only), te2 (IPv6 only), au. Everything a person sends goes through rt."""

    SUBNETS = {"co": 1, "te1": 2, "te2": 3, "au": 4}

    def __init__(self):
        for tool in ("ip", "nft", "tc"):
            if shutil.which(tool) is None:
                raise AssertionError(f"there is no {tool}; run: scripts/setup --test")
        self.names = [*self.SUBNETS, "rt"]
        for name in self.names:
            run("ip", "netns", "add", name)
            run("ip", "link", "set", "lo", "up", namespace=name)
        for name, subnet in self.SUBNETS.items():
            self._join(name, subnet)
        # NAT as a home router does it, and as short of patience.
        for key, value in {"net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1}.items():
            self.sysctl("rt", key, value)
        run("nft", "-f", "-", namespace="rt", stdin=FIREWALL)
        for key, value in {"established": NAT_TIMEOUT_S, "unacknowledged": NAT_TIMEOUT_S,
                           "max_retrans": NAT_TIMEOUT_S}.items():
            self.sysctl("rt", f"net/netfilter/nf_conntrack_tcp_timeout_{key}", value)
        # What was forgotten is not taken up again in the middle.
        self.sysctl("rt", "net/netfilter/nf_conntrack_tcp_loose", 0)

    def _join(self, name, subnet):
        """A cable from `name` to the router, called `name` there and `rt` here."""
        run("ip", "link", "add", "rt", "netns", name, "type", "veth", "peer", "name", name,
            "netns", "rt")
        v4, v6 = f"10.77.{subnet}", f"fd77:{subnet}::"
        for where, device, host in ((name, "rt", 2), ("rt", name, 1)):
            run("ip", "link", "set", device, "up", namespace=where)
            if name != "te2":
                run("ip", "address", "add", f"{v4}.{host}/24", "dev", device, namespace=where)
            if name != "te1":
                run("ip", "address", "add", f"{v6}{host}/64", "dev", device, "nodad",
                    namespace=where)
        if name == "co":
            return  # it answers to the router alone: a person's own address has no way back
        if name != "te2":
            run("ip", "route", "add", "default", "via", f"{v4}.1", namespace=name)
        if name != "te1":
            run("ip", "route", "add", "default", "via", f"{v6}1", namespace=name)

    def sysctl(self, namespace, key, value):
        run("sh", "-c", f"echo {value} > /proc/sys/{key}", namespace=namespace)

    def add_address(self, namespace, address, device="rt"):
        run("ip", "address", "add", address, "dev", device, "nodad", namespace=namespace)

    def remove_address(self, namespace, address, device="rt"):
        run("ip", "address", "del", address, "dev", device, namespace=namespace)

    def name_host(self, namespace, name, *addresses):
        """What `name` resolves to in `namespace`. There is no DNS, so name both an IPv4 and an IPv6
        address, or the resolver goes looking for the other one."""
        folder = pathlib.Path("/etc/netns") / namespace
        folder.mkdir(parents=True, exist_ok=True)
        hosts = folder / "hosts"
        # In place: programs have this very file mounted.
        with open(hosts, "w") as file:
            file.write("127.0.0.1 localhost\n")
            for address in addresses:
                file.write(f"{address} {name}\n")

    def slow(self, namespace, mbit):
        """What leaves `namespace` goes at this rate."""
        run("tc", "qdisc", "replace", "dev", "rt", "root", "tbf", "rate", f"{mbit}mbit", "burst",
            "32kb", "latency", "400ms", namespace=namespace)

    def cut(self, name):
        """Packets from and to `name` are lost without a word."""
        run("nft", "-f", "-", namespace="rt",
            stdin=f'add rule inet fw cut iifname "{name}" drop\n'
                  f'add rule inet fw cut oifname "{name}" drop\n')

    def heal(self):
        run("nft", "flush", "chain", "inet", "fw", "cut", namespace="rt")

    def sent_bytes(self, name):
        """What the router has received from `name`, since the beginning."""
        return self._bytes(name, "rx")

    def received_bytes(self, name):
        """What the router has sent to `name`, since the beginning."""
        return self._bytes(name, "tx")

    @staticmethod
    def _bytes(name, direction):
        link, = json.loads(run("ip", "-s", "-j", "link", "show", "dev", name, namespace="rt"))
        return link["stats64"][direction]["bytes"]


def main():
    unittest.main(verbosity=2)
