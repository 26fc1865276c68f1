// Where the int32 values of a vector come from, a tile at a time: a file, or memory in tests.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proto/base/status.h"

namespace crowdteach::learning {

// Values a tile: 1 MiB of int32.
inline constexpr uint64_t kTileValues = uint64_t{1} << 18;

constexpr uint64_t TilesOf(uint64_t count) { return (count + kTileValues - 1) / kTileValues; }

// Thread-safe: several tiles may be read at once.
class TileSource {
 public:
  virtual ~TileSource() = default;
  virtual uint64_t count() const = 0;
  // Values [first, first + out.size()), which must lie within count().
  // kUnavailable: read error. kDataLoss: the file shrank.
  virtual Status Read(uint64_t first, std::span<int32_t> out) const = 0;
};

// Little-endian int32 values of a file, after `offset_bytes` of something else.
// kNotFound, kPermissionDenied, kResourceExhausted, kUnavailable (system);
// kInvalidArgument unless the file has exactly offset_bytes + 4·count bytes.
StatusOr<std::shared_ptr<const TileSource>> OpenInt32File(const std::string& path, uint64_t count,
                                                          uint64_t offset_bytes = 0);

std::shared_ptr<const TileSource> MemoryTiles(std::vector<int32_t> values);

}  // namespace crowdteach::learning
