// The file half of safetensors.h.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <utility>

#include "learning/model/safetensors.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"

namespace crowdteach::learning {
namespace {

constexpr uint64_t kTileFloats = uint64_t{1} << 18;  // 1 MiB

// A descriptor, closed at the end of its scope unless it is taken over.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Status ReadAt(int fd, uint64_t offset_bytes, char* out, uint64_t size_bytes) {
  while (size_bytes > 0) {
    const ssize_t got = ::pread(fd, out, size_bytes, static_cast<off_t>(offset_bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "reading safetensors");
    if (got == 0) return DataLoss("safetensors: the file ends at byte {}", offset_bytes);
    out += got;
    offset_bytes += static_cast<uint64_t>(got);
    size_bytes -= static_cast<uint64_t>(got);
  }
  return OkStatus();
}

Status WriteAll(int fd, const char* bytes, uint64_t size_bytes) {
  while (size_bytes > 0) {
    const ssize_t put = ::write(fd, bytes, size_bytes);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoStatus(errno, "writing safetensors");
    bytes += put;
    size_bytes -= static_cast<uint64_t>(put);
  }
  return OkStatus();
}

StatusOr<uint64_t> FileSize(int fd) {
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoStatus(errno, "safetensors");
  if (!S_ISREG(info.st_mode)) return InvalidArgument("safetensors: not a regular file");
  return static_cast<uint64_t>(info.st_size);
}

StatusOr<int> OpenToRead(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, path);
  return fd;
}

StatusOr<SafetensorsHeader> ReadHeader(int fd, uint64_t size_bytes) {
  std::string start(std::min<uint64_t>(size_bytes, 8), '\0');
  CT_RETURN_IF_ERROR(ReadAt(fd, 0, start.data(), start.size()));
  uint64_t length = 0;
  if (start.size() == 8) std::memcpy(&length, start.data(), 8);
  // A length that is too large is refused by the parser, from the first bytes alone.
  if (length <= kMaxSafetensorsHeaderBytes && start.size() == 8 && length <= size_bytes - 8) {
    start.resize(8 + length);
    CT_RETURN_IF_ERROR(ReadAt(fd, 8, start.data() + 8, length));
  }
  return ParseSafetensorsHeader(start, size_bytes);
}

// Why a file that is not canonical is not.
Status NotCanonical(int fd, uint64_t size_bytes, const Layout& layout) {
  CT_ASSIGN_OR_RETURN(const SafetensorsHeader header, ReadHeader(fd, size_bytes));
  CT_RETURN_IF_ERROR(CheckTensors(header, layout));
  return InvalidArgument(
      "safetensors: the tensors fit the model, but the file is not canonical: "
      "rewrite it first");
}

// Index of the tensor that holds the float at `position`.
size_t TensorAt(const Layout& layout, uint64_t position) {
  const auto next =
      std::upper_bound(layout.tensors.begin(), layout.tensors.end(), position,
                       [](uint64_t value, const Tensor& tensor) { return value < tensor.offset; });
  CT_ASSERT(next != layout.tensors.begin());
  return static_cast<size_t>(next - layout.tensors.begin()) - 1;
}

Status WriteBody(int fd, const Layout& layout, const FillTile& fill) {
  const std::string header = CanonicalHeader(layout);
  CT_RETURN_IF_ERROR(WriteAll(fd, header.data(), header.size()));
  std::vector<float> tile(std::min(kTileFloats, layout.total));
  for (uint64_t begin = 0; begin < layout.total; begin += tile.size()) {
    const std::span<float> values(tile.data(),
                                  std::min<uint64_t>(tile.size(), layout.total - begin));
    CT_RETURN_IF_ERROR(fill(begin, values));
    CT_RETURN_IF_ERROR(
        WriteAll(fd, reinterpret_cast<const char*>(values.data()), values.size_bytes()));
  }
  if (::fsync(fd) != 0) return ErrnoStatus(errno, "writing safetensors");
  return OkStatus();
}

Status RenameDurably(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return ErrnoStatus(errno, to);
  const std::string folder = std::filesystem::path(to).parent_path().string();
  const Descriptor handle(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.get() < 0 || ::fsync(handle.get()) != 0) return ErrnoStatus(errno, folder);
  return OkStatus();
}

// Any well-formed file with a layout's tensors.
struct ForeignFile {
  Descriptor file;
  SafetensorsHeader header;
};

StatusOr<ForeignFile> OpenForeign(const std::string& path, const Layout& layout) {
  CT_ASSIGN_OR_RETURN(const int fd, OpenToRead(path));
  ForeignFile source{.file = Descriptor(fd)};
  const StatusOr<uint64_t> size_bytes = FileSize(fd);
  if (!size_bytes.ok()) return Annotate(size_bytes.status(), path);
  StatusOr<SafetensorsHeader> header = ReadHeader(fd, *size_bytes);
  if (!header.ok()) return Annotate(header.status(), path);
  CT_RETURN_IF_ERROR(Annotate(CheckTensors(*header, layout), path));
  source.header = *std::move(header);
  return source;
}

// The layout's floats from `begin` on, wherever they stand in the file.
Status ReadForeign(const ForeignFile& source, const Layout& layout, uint64_t begin,
                   std::span<float> values) {
  while (!values.empty()) {
    const size_t index = TensorAt(layout, begin);  // the same in the file: both are by name
    const uint64_t within = begin - layout.tensors[index].offset;
    const auto count = std::min<uint64_t>(values.size(), layout.tensors[index].count - within);
    const uint64_t offset_bytes = source.header.data_offset +
                                  source.header.tensors[index].begin_bytes + sizeof(float) * within;
    CT_RETURN_IF_ERROR(ReadAt(source.file.get(), offset_bytes,
                              reinterpret_cast<char*>(values.data()), sizeof(float) * count));
    values = values.subspan(count);
    begin += count;
  }
  return OkStatus();
}

}  // namespace

WeightsFile::WeightsFile(int fd, uint64_t data_offset, uint64_t count)
    : fd_(fd), data_offset_(data_offset), count_(count) {}
WeightsFile::WeightsFile(WeightsFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), data_offset_(other.data_offset_), count_(other.count_) {}
WeightsFile& WeightsFile::operator=(WeightsFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  data_offset_ = other.data_offset_;
  count_ = other.count_;
  return *this;
}
WeightsFile::~WeightsFile() {
  if (fd_ >= 0) ::close(fd_);
}

StatusOr<WeightsFile> WeightsFile::Open(const std::string& path, const Layout& layout) {
  CT_ASSIGN_OR_RETURN(const int fd, OpenToRead(path));
  StatusOr<WeightsFile> file = FromDescriptor(fd, layout);
  if (!file.ok()) return Annotate(file.status(), path);
  return file;
}

StatusOr<WeightsFile> WeightsFile::FromDescriptor(int fd, const Layout& layout) {
  Descriptor descriptor(fd);
  CT_ASSIGN_OR_RETURN(const uint64_t size_bytes, FileSize(fd));
  const std::string expected = CanonicalHeader(layout);
  if (size_bytes != expected.size() + sizeof(float) * layout.total) {
    return NotCanonical(fd, size_bytes, layout);
  }
  std::string header(expected.size(), '\0');
  CT_RETURN_IF_ERROR(ReadAt(fd, 0, header.data(), header.size()));
  if (header != expected) return NotCanonical(fd, size_bytes, layout);
  return WeightsFile(descriptor.Release(), header.size(), layout.total);
}

Status WeightsFile::Read(uint64_t begin, std::span<float> values) const {
  CT_ASSERT(begin <= count_ && values.size() <= count_ - begin);
  return ReadAt(fd_, data_offset_ + sizeof(float) * begin, reinterpret_cast<char*>(values.data()),
                values.size_bytes());
}

Status CheckFinite(const WeightsFile& weights, const Layout& layout) {
  CT_ASSERT(weights.count() == layout.total);
  std::vector<float> tile(std::min(kTileFloats, layout.total));
  for (uint64_t begin = 0; begin < layout.total; begin += tile.size()) {
    const std::span<float> values(tile.data(),
                                  std::min<uint64_t>(tile.size(), layout.total - begin));
    CT_RETURN_IF_ERROR(weights.Read(begin, values));
    const auto bad = std::find_if(values.begin(), values.end(),
                                  [](float value) { return !std::isfinite(value); });
    if (bad == values.end()) continue;
    const uint64_t position = begin + static_cast<uint64_t>(bad - values.begin());
    const Tensor& tensor = layout.tensors[TensorAt(layout, position)];
    return InvalidArgument("safetensors: tensor '{}' has the value {} at index {}", tensor.name,
                           *bad, position - tensor.offset);
  }
  return OkStatus();
}

Status WriteWeights(const std::string& path, const Layout& layout, const FillTile& fill) {
  const std::string temporary = fmt::format("{}.{}.tmp", path, base::Hex(base::RandomBytes(6)));
  Status status;
  {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (file.get() < 0) return ErrnoStatus(errno, temporary);
    status = WriteBody(file.get(), layout, fill);
  }
  if (status.ok()) status = RenameDurably(temporary, path);
  if (!status.ok()) ::unlink(temporary.c_str());
  return Annotate(status, path);
}

Status RewriteWeights(const std::string& from, const Layout& layout, const std::string& to) {
  CT_ASSIGN_OR_RETURN(const ForeignFile source, OpenForeign(from, layout));
  return WriteWeights(to, layout, [&](uint64_t begin, std::span<float> values) {
    return ReadForeign(source, layout, begin, values);
  });
}

Status ReadWeights(const std::string& from, const Layout& layout, std::span<float> values) {
  CT_ASSERT(values.size() == layout.total);
  CT_ASSIGN_OR_RETURN(const ForeignFile source, OpenForeign(from, layout));
  return Annotate(ReadForeign(source, layout, 0, values), from);
}

}  // namespace crowdteach::learning
