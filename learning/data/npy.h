// NumPy's .npy format: its header, and two arrays as a data set. Only numbers are ever read, never
// pickles. Shared by npy.cc and npz.cc.
#pragma once

#include <cstdint>
#include <vector>

#include "crowdteach/v1/ledger.pb.h"
#include "learning/data/byte_source.h"
#include "learning/data/examples.h"
#include "learning/data/readers.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

struct NpyHeader {
  char kind = 0;  // b(ool), i(nteger), u(nsigned), f(loat)
  int bytes = 0;  // of a value: 1, 2, 4, 8
  bool big_endian = false;
  std::vector<uint64_t> shape;  // at most 32 dimensions
};

// Versions 1 to 3, at most 64 KiB. kInvalidArgument: not such a header, other than numbers, or in
// Fortran's order; the message says how to save it otherwise.
StatusOr<NpyHeader> ReadNpyHeader(ByteSource& source);

// Two arrays, whose headers come first. Errors as ReadNpy.
StatusOr<ExamplesFile> ReadArrays(ByteSource features, ByteSource labels,
                                  const v1::DataTerms& terms, const ReadOptions& options);

}  // namespace crowdteach::learning
