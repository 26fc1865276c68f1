// One round's weights in memory, and the update that becomes of them.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "client/teacher.h"
#include "learning/layout.h"
#include "proto/base/status.h"

namespace crowdteach::client {

// A canonical weights file mapped twice: to read, and privately to be changed, which takes memory
// only for the pages that are written and never changes the file. Move only.
class RoundWeights {
 public:
  // File errors. kDataLoss: the file is not of this model, or has a value that is not finite.
  static StatusOr<RoundWeights> Open(const std::string& path, const learning::Layout& layout);
  RoundWeights(RoundWeights&& other) noexcept;
  RoundWeights& operator=(RoundWeights&&) = delete;
  ~RoundWeights();

  std::span<const float> base() const;
  std::span<float> trained() const;  // begins as base()

 private:
  RoundWeights() = default;

  void* base_ = nullptr;
  void* trained_ = nullptr;
  uint64_t size_bytes_ = 0;  // of each mapping
  uint64_t data_offset_bytes_ = 0;
  uint64_t count_ = 0;
};

// kAborted, naming the tensor: a frozen one was changed, or a value is not finite (with its index).
Status CheckTrained(const learning::Layout& layout, std::span<const float> base,
                    std::span<const float> trained);

// Writes the update (int32, little endian, trainable coordinates in layout order) durably. Counts
// what changed and what was out of range; the other members are left alone. File errors;
// kAborted as CheckTrained.
StatusOr<UpdateSummary> WriteUpdate(const learning::Layout& layout, std::span<const float> base,
                                    std::span<const float> trained, unsigned scale_bits,
                                    const std::string& path);

}  // namespace crowdteach::client
