#include "learning/aggregate/tile_source.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "learning/aggregate/file.h"
#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

static_assert(std::endian::native == std::endian::little, "vectors are little-endian in files");

class FileTiles : public TileSource {
 public:
  FileTiles(File file, uint64_t count, uint64_t offset_bytes)
      : file_(std::move(file)), count_(count), offset_bytes_(offset_bytes) {}

  uint64_t count() const override { return count_; }
  Status Read(uint64_t first, std::span<int32_t> out) const override {
    CT_ASSERT(first <= count_ && out.size() <= count_ - first);
    return file_.ReadAt(offset_bytes_ + first * sizeof(int32_t), out.data(), out.size_bytes());
  }

 private:
  File file_;
  uint64_t count_;
  uint64_t offset_bytes_;
};

class VectorTiles : public TileSource {
 public:
  explicit VectorTiles(std::vector<int32_t> values) : values_(std::move(values)) {}

  uint64_t count() const override { return values_.size(); }
  Status Read(uint64_t first, std::span<int32_t> out) const override {
    CT_ASSERT(first <= values_.size() && out.size() <= values_.size() - first);
    std::copy_n(values_.begin() + static_cast<ptrdiff_t>(first), out.size(), out.begin());
    return OkStatus();
  }

 private:
  std::vector<int32_t> values_;
};

}  // namespace

StatusOr<std::shared_ptr<const TileSource>> OpenInt32File(const std::string& path, uint64_t count,
                                                          uint64_t offset_bytes) {
  CT_ASSERT(count <= uint64_t{1} << 40 && offset_bytes <= uint64_t{1} << 40);
  CT_ASSIGN_OR_RETURN(File file, File::Open(path));
  CT_ASSIGN_OR_RETURN(const uint64_t size_bytes, file.SizeBytes());
  if (size_bytes != offset_bytes + count * sizeof(int32_t)) {
    return InvalidArgument("{} has {} bytes, {} values of 4 bytes after {} were expected", path,
                           size_bytes, count, offset_bytes);
  }
  return std::make_shared<const FileTiles>(std::move(file), count, offset_bytes);
}

std::shared_ptr<const TileSource> MemoryTiles(std::vector<int32_t> values) {
  return std::make_shared<const VectorTiles>(std::move(values));
}

}  // namespace crowdteach::learning
