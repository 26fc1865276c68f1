// Weights as a canonical safetensors file.
//
//   u64 little-endian header length n │ n bytes of JSON │ float32 little-endian values
//
// The format is Hugging Face's (github.com/huggingface/safetensors, "Format"). *Canonical* means
// that a layout has exactly one header, so equal weights are equal bytes and have one digest: no
// white space, no __metadata__, object keys sorted (those of a tensor too: data_offsets, dtype,
// shape), every tensor F32, data in the order of the names without gaps, the header padded with
// spaces so that the data begins at a multiple of 8. All values are thus one run of floats in the
// order of the Layout.
//
// Thread-safety: the functions are pure but for the files they name; a WeightsFile may be read from
// several threads.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "learning/layout.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

// The bytes before the data: length and padded JSON. The layout's names must be sorted.
std::string CanonicalHeader(const Layout& layout);
// Size of a canonical file.
uint64_t CanonicalSizeBytes(const Layout& layout);

struct StoredTensor {
  std::string name;
  std::vector<uint64_t> shape;
  uint64_t begin_bytes = 0, end_bytes = 0;  // from the start of the data
};
struct SafetensorsHeader {
  uint64_t data_offset = 0;           // of the data in the file, bytes
  std::vector<StoredTensor> tensors;  // by name
};
inline constexpr uint64_t kMaxSafetensorsHeaderBytes = uint64_t{16} << 20;

// Reads any well-formed header: `start` is the file's beginning, at least the whole header;
// `file_size_bytes` the size of all of it. Refused (kInvalidArgument, naming the tensor):
// malformed JSON, duplicate or unknown keys, a dtype other than F32, sizes that do not match the
// shape, overlaps, gaps, data missing or left over.
StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view start,
                                                   uint64_t file_size_bytes);

// kInvalidArgument, naming the tensor, unless the file has exactly the layout's tensors.
Status CheckTensors(const SafetensorsHeader& header, const Layout& layout);

// An open canonical file. Move only; closes its descriptor.
class WeightsFile {
 public:
  // kNotFound, kPermissionDenied, kUnavailable (reading); kInvalidArgument unless size and header
  // are exactly those of a canonical file of `layout` (the message names the first tensor that
  // differs, or says that Rewrite is needed).
  static StatusOr<WeightsFile> Open(const std::string& path, const Layout& layout);
  // The same for an open descriptor (a memfd, say), of which it takes ownership, also on error.
  static StatusOr<WeightsFile> FromDescriptor(int fd, const Layout& layout);

  WeightsFile(WeightsFile&& other) noexcept;
  WeightsFile& operator=(WeightsFile&& other) noexcept;
  ~WeightsFile();

  int fd() const { return fd_; }
  uint64_t data_offset() const { return data_offset_; }  // bytes
  uint64_t count() const { return count_; }              // floats

  // Floats [begin, begin + values.size()). kUnavailable: read error; kDataLoss: the file shrank.
  Status Read(uint64_t begin, std::span<float> values) const;

 private:
  WeightsFile(int fd, uint64_t data_offset, uint64_t count);

  int fd_;
  uint64_t data_offset_;
  uint64_t count_;
};

// kInvalidArgument if a value is NaN or infinite, naming tensor and index. Reads 1 MiB at a time.
Status CheckFinite(const WeightsFile& weights, const Layout& layout);

// Supplies the floats from `begin` on; called with consecutive tiles, in order.
using FillTile = std::function<Status(uint64_t begin, std::span<float> tile)>;
// Writes a canonical file atomically (a temporary file beside it, fsync, rename).
// kResourceExhausted (disk full), kPermissionDenied, kNotFound (folder), kUnavailable, or what
// `fill` returns.
Status WriteWeights(const std::string& path, const Layout& layout, const FillTile& fill);

// Makes `to` the canonical form of any well-formed safetensors file `from` that has exactly the
// layout's tensors. The errors of ParseSafetensorsHeader, CheckTensors and WriteWeights.
Status RewriteWeights(const std::string& from, const Layout& layout, const std::string& to);

// Reads all values of such a file in the layout's order: values.size() is layout.total. Errors as
// RewriteWeights, but for writing.
Status ReadWeights(const std::string& from, const Layout& layout, std::span<float> values);

}  // namespace crowdteach::learning
