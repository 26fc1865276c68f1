#!/usr/bin/env python3
"""A second, independent verifier of bundles: Python's standard library alone.

    verify_bundle.py log.bundle … --key VKEY|FILE

Checks what needs no rules: the format, each entry's index, chain and time, the tree's root and
size against the checkpoint, the log's signature, the signature of every intent and invite token,
and that every entry's postings are sorted and sum to zero and no balance but `issued` is negative.
Replaying the rules is crowdteach-audit's. Shares no code with it, so that each keeps the other
honest; ledger/FORMAT.md is the specification of both. Exit status: 0 ok, 6 a fault in one of them.
"""
import argparse
import base64
import binascii
import functools
import hashlib
import os
import struct
import sys

MAGIC = b"crowdteach-bundle/v1\n"
INTENT_TYPE = b"application/vnd.crowdteach.intent.v1+protobuf"
TOKEN_TYPE = b"application/vnd.crowdteach.token.v1+protobuf"
ISSUED = 6

# Field numbers of proto/crowdteach/v1/ledger.proto.
ENTRY_INDEX, ENTRY_PREV, ENTRY_TIME, ENTRY_INTENT, ENTRY_POSTINGS = 1, 2, 3, 4, 5
SIGNED_PAYLOAD, SIGNED_SIGNATURE = 1, 2
INTENT_GENESIS, INTENT_ACCOUNT, INTENT_SEQUENCE, INTENT_NOT_AFTER = 1, 2, 3, 4
BODY_GENESIS, BODY_ACCOUNT_OPEN, BODY_INVITE = 16, 17, 18


class Fault(Exception):
    def __init__(self, region, reason):
        super().__init__(f"{region}: {reason}")


# ---------------------------------------------------------------- Ed25519 (RFC 8032, section 5.1)

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def point_add(a, b):
    """Extended coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, T = XY/Z."""
    m = (a[1] - a[0]) * (b[1] - b[0]) % P
    n = (a[1] + a[0]) * (b[1] + b[0]) % P
    c = 2 * a[3] * b[3] * D % P
    d = 2 * a[2] * b[2] % P
    e, f, g, h = n - m, d - c, d + c, n + m
    return e * f % P, g * h % P, f * g % P, e * h % P


def point_multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = point_add(result, point)
        point = point_add(point, point)
        scalar >>= 1
    return result


def point_decode(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_M1 % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = point_decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


@functools.lru_cache(maxsize=4096)  # several bundles may share most of their entries
def signature_holds(key, message, signature):
    if len(key) != 32 or len(signature) != 64:
        return False
    a, r = point_decode(key), point_decode(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= Q:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % Q
    left, right = point_multiply(s, BASE), point_add(r, point_multiply(h, a))
    return ((left[0] * right[2] - right[0] * left[2]) % P == 0
            and (left[1] * right[2] - right[1] * left[2]) % P == 0)


def dsse_holds(key, kind, payload, signature):
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    return signature_holds(key, message, signature)


# ---------------------------------------------------------------- bytes

def read_varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a varint does not end")
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            if byte == 0 and shift > 7 or value >= 2**64:
                raise ValueError("a varint is not the shortest")
            return value, at


def fields_of(data):
    """(field, value) in order; a value is an int or bytes. Only what the ledger's messages use."""
    found, at, last = [], 0, 0
    while at < len(data):
        tag, at = read_varint(data, at)
        field, wire = tag >> 3, tag & 7
        if field < last or field == 0:
            raise ValueError("fields are not ascending")
        last = field
        value, at = read_varint(data, at)
        if wire == 2:
            if value > len(data) - at:
                raise ValueError("a field passes the end")
            value, at = data[at:at + value], at + value
        elif wire != 0:
            raise ValueError(f"wire type {wire}")
        elif value == 0:
            raise ValueError("a default value is written out")
        found.append((field, value))
    return found


def message_of(data, repeated=(), allowed=None):
    message = {}
    for field, value in fields_of(data):
        if allowed is not None and field not in allowed:
            raise ValueError(f"unknown field {field}")
        if field in repeated:
            message.setdefault(field, []).append(value)
        elif field in message:
            raise ValueError(f"field {field} stands twice")
        else:
            message[field] = value
    return message


def strict_base64(text):
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data) != text:
        raise ValueError("base64 is not strict")
    return data


def leaf_hash(data):
    return hashlib.sha256(b"\x00" + data).digest()


def tree_root(leaves):
    """RFC 6962, section 2.1, by merging equal neighbours."""
    stack = []
    for size, leaf in enumerate(leaves, 1):
        stack.append(leaf)
        while size % 2 == 0:
            right, left = stack.pop(), stack.pop()
            stack.append(hashlib.sha256(b"\x01" + left + right).digest())
            size //= 2
    if not stack:
        return hashlib.sha256(b"").digest()
    root = stack.pop()
    while stack:
        root = hashlib.sha256(b"\x01" + stack.pop() + root).digest()
    return root


# ---------------------------------------------------------------- the log

class Books:
    """What is carried from entry to entry."""

    def __init__(self):
        self.keys, self.tokens, self.balances = {}, {}, {}
        self.genesis, self.leaf, self.time = b"", b"\0" * 32, 0

    def check_postings(self, postings):
        last, total = None, 0
        for data in postings:
            posting = message_of(data, allowed=(1, 2, 3, 4))
            key = tuple(posting.get(field, 0) for field in (1, 2, 3))
            coded = posting.get(4, 0)
            amount = (coded >> 1) ^ -(coded & 1)
            if not 1 <= key[0] <= 6 or amount == 0 or (last is not None and key <= last):
                raise ValueError("postings are not sorted, or one is zero or of no kind")
            last, total = key, total + amount
            self.balances[key] = self.balances.get(key, 0) + amount
            if self.balances[key] < 0 and key[0] != ISSUED:
                raise ValueError(f"the balance {key} falls below zero")
        if total:
            raise ValueError(f"the postings sum to {total}")

    def signer(self, index, intent):
        """The public key whose signature the intent needs; notes new keys and tokens."""
        if index == 0:
            genesis = message_of(intent[BODY_GENESIS])
            self.keys[0] = genesis[4]
            return genesis[4], genesis[3]
        if intent.get(INTENT_GENESIS) != self.genesis:
            raise ValueError("it names another log")
        if BODY_ACCOUNT_OPEN not in intent:
            return self.keys[intent.get(INTENT_ACCOUNT, 0)], None
        opened = message_of(intent[BODY_ACCOUNT_OPEN])
        key = opened[1]
        if 2 in opened:
            claim = b"\x0a\x20" + self.genesis + b"\x12\x20" + key
            if not dsse_holds(self.tokens[opened[2]], TOKEN_TYPE, claim, opened.get(3, b"")):
                raise ValueError("the invite token's signature fails")
        self.keys[index] = key
        return key, None

    def check_entry(self, index, data, vkey):
        entry = message_of(data, repeated=(ENTRY_POSTINGS,), allowed=(1, 2, 3, 4, 5))
        if entry.get(ENTRY_INDEX, 0) != index:
            raise ValueError(f"its index is {entry.get(ENTRY_INDEX, 0)}")
        if entry.get(ENTRY_PREV) != self.leaf:
            raise ValueError("prev is not the hash of the entry before")
        if entry.get(ENTRY_TIME, 0) < self.time:
            raise ValueError("its time is before the entry before")
        signed = message_of(entry[ENTRY_INTENT], allowed=(1, 2))
        intent = message_of(signed[SIGNED_PAYLOAD])
        key, log_vkey = self.signer(index, intent)
        if log_vkey is not None and log_vkey != vkey:
            raise ValueError("this is another key's log")
        if not dsse_holds(key, INTENT_TYPE, signed[SIGNED_PAYLOAD], signed[SIGNED_SIGNATURE]):
            raise ValueError("the signature of its intent fails")
        if entry.get(ENTRY_TIME, 0) > intent.get(INTENT_NOT_AFTER, 0):
            raise ValueError("its time is past not_after")
        if BODY_INVITE in intent:
            self.tokens[index] = message_of(intent[BODY_INVITE])[1]
        self.check_postings(entry.get(ENTRY_POSTINGS, []))
        self.leaf, self.time = leaf_hash(data), entry.get(ENTRY_TIME, 0)
        if index == 0:
            self.genesis = self.leaf


def parse_vkey(vkey):
    name, key_id, encoded = vkey.split(b"+", 2)
    data = strict_base64(encoded)
    expected = hashlib.sha256(name + b"\n" + data).digest()[:4]
    if data[:1] != b"\x01" or len(data) != 33 or binascii.hexlify(expected) != key_id:
        raise ValueError("not an Ed25519 verifier key")
    return name, expected, data[1:]


def check_note(note, vkey, leaves):
    name, key_id, key = parse_vkey(vkey)
    text = name + b"\n%d\n" % len(leaves) + base64.b64encode(tree_root(leaves)) + b"\n"
    start = text + "\n— ".encode() + name + b" "
    if not note.startswith(text):
        raise Fault("checkpoint", "its origin, size or root are not those of the entries")
    if not note.startswith(start) or not note.endswith(b"\n") or note.count(b"\n") != 5:
        raise Fault("checkpoint", "it has not exactly one signature, of the log")
    try:
        data = strict_base64(note[len(start):-1])
    except ValueError as error:
        raise Fault("signature 0", str(error)) from error
    if data[:4] != key_id or not signature_holds(key, text, data[4:]):
        raise Fault("signature 0", "it fails")


def take(file, size, region):
    data = file.read(size)
    if len(data) != size:
        raise Fault(region, "the file ends before it does")
    return data


def verify(file, vkey):
    if take(file, len(MAGIC), "header") != MAGIC:
        raise Fault("header", "not a bundle of version 1")
    (count,) = struct.unpack(">Q", take(file, 8, "header"))
    books, leaves = Books(), []
    for index in range(count):
        region = f"entry {index}"
        (length,) = struct.unpack(">I", take(file, 4, region))
        if not 1 <= length <= 65535:
            raise Fault(region, f"its length is {length}")
        data = take(file, length, region)
        try:
            books.check_entry(index, data, vkey)
        except KeyError as error:
            raise Fault(region, f"it lacks or names an unknown {error}") from error
        except (ValueError, TypeError) as error:
            raise Fault(region, str(error)) from error
        leaves.append(books.leaf)
    (length,) = struct.unpack(">I", take(file, 4, "checkpoint"))
    if not 1 <= length <= 65536:
        raise Fault("checkpoint", f"its length is {length}")
    note = take(file, length, "checkpoint")
    if file.read(1):
        raise Fault("checkpoint", "bytes follow it")
    check_note(note, vkey, leaves)
    return count


def verdict(path, vkey):
    """What is said of one bundle, and whether it holds."""
    try:
        with open(path, "rb") as file:
            return f"ok: {verify(file, vkey)} entries", True
    except OSError as error:
        sys.exit(f"{path}: {error.strerror}")
    except Fault as fault:
        return f"fault: {fault}", False


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", nargs="+")
    parser.add_argument("--key", required=True, metavar="VKEY|FILE",
                        help="the log's verifier key, from a source you trust")
    arguments = parser.parse_args()
    vkey = arguments.key.encode()
    if os.path.isfile(arguments.key):
        with open(arguments.key, "rb") as file:
            vkey = file.read(4096).strip()
    try:
        parse_vkey(vkey)
    except ValueError as error:
        parser.error(f"--key: {error}")
    all_hold = True
    for path in arguments.bundle:
        said, holds = verdict(path, vkey)
        print(f"{path}: {said}" if len(arguments.bundle) > 1 else said)
        all_hold = all_hold and holds
    return 0 if all_hold else 6


if __name__ == "__main__":
    sys.exit(main())
