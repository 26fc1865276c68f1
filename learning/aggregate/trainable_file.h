// The trainable coordinates of a canonical weights file, in update order, read and written in
// place. What is not trainable (header, frozen tensors) is carried over byte for byte.
//
// Thread-safe: disjoint ranges may be read and written at once.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "learning/aggregate/file.h"
#include "learning/aggregate/tile_executor.h"
#include "learning/layout.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

// A canonical weights file whose header ends at `data_offset_bytes`; all models of a campaign have
// the same header.
struct WeightsFormat {
  Layout layout;
  uint64_t data_offset_bytes = 0;

  uint64_t SizeBytes() const { return data_offset_bytes + layout.total * sizeof(float); }
};

class TrainableFile {
 public:
  // Errors as File::Open; kInvalidArgument unless the file has format.SizeBytes().
  static StatusOr<TrainableFile> Open(const std::string& path, const WeightsFormat& format);
  // A new file with `base`'s header and frozen values; the trainable ones are to be written.
  static StatusOr<TrainableFile> CreateLike(const TrainableFile& base, const std::string& path);

  uint64_t count() const { return count_; }  // trainable floats
  // Trainable coordinates [first, first + values.size()).
  Status Read(uint64_t first, std::span<float> values) const;
  Status Write(uint64_t first, std::span<const float> values) const;
  Status Sync() const { return file_.Sync(); }

 private:
  TrainableFile(File file, std::vector<TrainableRun> runs, uint64_t data_offset_bytes,
                uint64_t size_bytes);

  // Calls piece(offset_bytes, begin in the span, count) for each run that [first, first + count)
  // has.
  template <typename Piece>
  Status ForEachPiece(uint64_t first, uint64_t count, Piece piece) const;

  File file_;
  std::vector<TrainableRun> runs_;
  uint64_t data_offset_bytes_;
  uint64_t size_bytes_;
  uint64_t count_;
};

// The blob digest of a file, its chunks hashed in parallel. Errors as File::Open and kDataLoss.
StatusOr<base::Hash> BlobDigestOfFile(base::BlobKind kind, const std::string& path,
                                      TileExecutor& executor);

}  // namespace crowdteach::learning
