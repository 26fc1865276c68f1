#!/usr/bin/env python3
"""Recomputes a pass's next model with Python's standard library alone.

    recompute_model.py --base model.safetensors --scale-bits 24 \\
        [--frozen NAME]... --update FILE,WEIGHT,CLIP_FACTOR...  [--output FILE]

The figures are those of the AGGREGATE entry (CLIP_FACTOR 0: not clipped) and of the terms
(scale_bits); --frozen names each tensor the model does not train. Prints the blob digest of the
next weights. Shares no code with the C++ program, so that each keeps the other honest.
"""
import argparse
import array
import hashlib
import json
import struct
import sys

CHUNK_BYTES = 1 << 20


def merkle_root(leaves):
    """RFC 6962, section 2.1, over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = merkle_root(leaves[:split]), merkle_root(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def blob_digest(kind, data):
    leaves = [hashlib.sha256(b"\x00" + data[i:i + CHUNK_BYTES]).digest()
              for i in range(0, len(data), CHUNK_BYTES)]
    head = b"crowdteach/v1/blob/" + kind.encode() + b"\n" + struct.pack(">Q", len(data))
    return hashlib.sha256(head + merkle_root(leaves)).hexdigest()


def read_array(kind, data):
    values = array.array(kind)
    if values.itemsize != 4:
        sys.exit(f"array type {kind} has {values.itemsize} bytes here, not 4")
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def to_bytes(values):
    values = array.array(values.typecode, values)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def clip(q, factor):
    if factor == 0:
        return q
    size = (abs(q) * factor) >> 32
    return -size if q < 0 else size


def rounded_quotient(dividend, divisor):
    quotient, rest = divmod(dividend, divisor)
    if 2 * rest > divisor or (2 * rest == divisor and quotient % 2 == 1):
        quotient += 1
    return quotient


def trainable_indices(header, frozen):
    """Index ranges of the flat vector that an update covers, in order."""
    unknown = set(frozen) - set(header)
    if unknown:
        sys.exit(f"the model has no tensor {', '.join(sorted(unknown))}")
    ranges = []
    for name in sorted(header):
        begin, end = header[name]["data_offsets"]
        if name not in frozen:
            ranges.append(range(begin // 4, end // 4))
    return ranges


def next_model(base, frozen, updates, scale_bits):
    (header_bytes,) = struct.unpack_from("<Q", base)
    data_offset = 8 + header_bytes
    weights = read_array("f", base[data_offset:])
    ranges = trainable_indices(json.loads(base[8:data_offset]), frozen)
    parameters = sum(len(r) for r in ranges)
    sums = [0] * parameters
    total = 0
    for values, weight, factor in updates:
        if len(values) != parameters:
            sys.exit(f"an update has {len(values)} values, the model trains {parameters}")
        sums = [s + weight * clip(q, factor) for s, q in zip(sums, values)]
        total += weight
    if all(rounded_quotient(s, total) == 0 for s in sums):
        return base  # the step is void
    unit = float(total) * 2.0 ** scale_bits
    step = iter(sums)
    for indices in ranges:
        for k in indices:
            weights[k] = weights[k] + float(next(step)) / unit
    return base[:data_offset] + to_bytes(weights)


def parse_update(text):
    path, weight, factor = text.rsplit(",", 2)
    with open(path, "rb") as file:
        return read_array("i", file.read()), int(weight), int(factor)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--base", required=True)
    parser.add_argument("--scale-bits", type=int, required=True)
    parser.add_argument("--frozen", action="append", default=[], metavar="NAME")
    parser.add_argument("--update", action="append", required=True, type=parse_update,
                        metavar="FILE,WEIGHT,CLIP_FACTOR")
    parser.add_argument("--output", help="where to write the next model")
    arguments = parser.parse_args()
    with open(arguments.base, "rb") as file:
        base = file.read()
    model = next_model(base, arguments.frozen, arguments.update, arguments.scale_bits)
    if arguments.output:
        with open(arguments.output, "wb") as file:
            file.write(model)
    print(blob_digest("weights", model))


if __name__ == "__main__":
    main()
