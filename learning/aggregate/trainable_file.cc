#include "learning/aggregate/trainable_file.h"

#include <algorithm>
#include <utility>

#include "learning/aggregate/tile_source.h"
#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

Status CopyBytes(const File& from, const File& to, uint64_t begin, uint64_t end) {
  std::vector<char> buffer(std::min<uint64_t>(base::kChunkBytes, end - begin));
  while (begin < end) {
    const size_t size = std::min<uint64_t>(buffer.size(), end - begin);
    CT_RETURN_IF_ERROR(from.ReadAt(begin, buffer.data(), size));
    CT_RETURN_IF_ERROR(to.WriteAt(begin, buffer.data(), size));
    begin += size;
  }
  return OkStatus();
}

}  // namespace

TrainableFile::TrainableFile(File file, std::vector<TrainableRun> runs, uint64_t data_offset_bytes,
                             uint64_t size_bytes)
    : file_(std::move(file)),
      runs_(std::move(runs)),
      data_offset_bytes_(data_offset_bytes),
      size_bytes_(size_bytes),
      count_(runs_.empty() ? 0 : runs_.back().update_begin + runs_.back().count) {}

StatusOr<TrainableFile> TrainableFile::Open(const std::string& path, const WeightsFormat& format) {
  CT_ASSIGN_OR_RETURN(File file, File::Open(path));
  CT_ASSIGN_OR_RETURN(const uint64_t size_bytes, file.SizeBytes());
  if (size_bytes != format.SizeBytes()) {
    return InvalidArgument("{} has {} bytes, weights of this model have {}", path, size_bytes,
                           format.SizeBytes());
  }
  TrainableFile result(std::move(file), format.layout.TrainableRuns(), format.data_offset_bytes,
                       size_bytes);
  CT_ASSERT(result.count() == format.layout.trainable);
  return result;
}

StatusOr<TrainableFile> TrainableFile::CreateLike(const TrainableFile& base,
                                                  const std::string& path) {
  CT_ASSIGN_OR_RETURN(File file, File::Create(path));
  uint64_t copied = 0;  // bytes up to here need nothing more
  for (const TrainableRun& run : base.runs_) {
    const uint64_t begin = base.data_offset_bytes_ + run.begin * sizeof(float);
    CT_RETURN_IF_ERROR(CopyBytes(base.file_, file, copied, begin));
    copied = begin + run.count * sizeof(float);
  }
  CT_RETURN_IF_ERROR(CopyBytes(base.file_, file, copied, base.size_bytes_));
  return TrainableFile(std::move(file), base.runs_, base.data_offset_bytes_, base.size_bytes_);
}

template <typename Piece>
Status TrainableFile::ForEachPiece(uint64_t first, uint64_t count, Piece piece) const {
  CT_ASSERT(first <= count_ && count <= count_ - first);
  auto run =
      std::upper_bound(runs_.begin(), runs_.end(), first,
                       [](uint64_t at, const TrainableRun& r) { return at < r.update_begin; });
  if (run != runs_.begin()) --run;
  for (uint64_t done = 0; done < count; ++run) {
    const uint64_t skip = first + done - run->update_begin;
    const uint64_t size = std::min(count - done, run->count - skip);
    CT_RETURN_IF_ERROR(piece(data_offset_bytes_ + (run->begin + skip) * sizeof(float), done, size));
    done += size;
  }
  return OkStatus();
}

Status TrainableFile::Read(uint64_t first, std::span<float> values) const {
  return ForEachPiece(first, values.size(), [&](uint64_t offset, uint64_t begin, uint64_t count) {
    return file_.ReadAt(offset, values.data() + begin, count * sizeof(float));
  });
}

Status TrainableFile::Write(uint64_t first, std::span<const float> values) const {
  return ForEachPiece(first, values.size(), [&](uint64_t offset, uint64_t begin, uint64_t count) {
    return file_.WriteAt(offset, values.data() + begin, count * sizeof(float));
  });
}

StatusOr<base::Hash> BlobDigestOfFile(base::BlobKind kind, const std::string& path,
                                      TileExecutor& executor) {
  CT_ASSIGN_OR_RETURN(const File file, File::Open(path));
  CT_ASSIGN_OR_RETURN(const uint64_t size_bytes, file.SizeBytes());
  std::vector<base::Hash> leaves((size_bytes + base::kChunkBytes - 1) / base::kChunkBytes);
  std::vector<std::string> buffers(executor.threads(), std::string(base::kChunkBytes, '\0'));
  CT_RETURN_IF_ERROR(executor.ForEachTile(leaves.size(), [&](uint64_t chunk, unsigned slot) {
    const uint64_t begin = chunk * base::kChunkBytes;
    const size_t size = std::min<uint64_t>(base::kChunkBytes, size_bytes - begin);
    CT_RETURN_IF_ERROR(file.ReadAt(begin, buffers[slot].data(), size));
    leaves[chunk] = base::LeafHash(std::string_view(buffers[slot]).substr(0, size));
    return OkStatus();
  }));
  base::RootBuilder root;
  for (const base::Hash& leaf : leaves) root.Append(leaf);
  return base::BlobDigestOfRoot(kind, size_bytes, root.Root());
}

}  // namespace crowdteach::learning
