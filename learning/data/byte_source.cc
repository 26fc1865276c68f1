#include "learning/data/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

constexpr size_t kRawBytes = size_t{1} << 16;
constexpr int kGzipWindow = 15 + 16;  // zlib: largest window, gzip wrapper only

}  // namespace

struct ByteSource::Impl {
  std::string name;
  int fd = -1;
  Reader read;
  std::string buffer;     // of the file or of `read`, when there is one
  std::string_view raw;   // not yet taken
  uint64_t raw_seen = 0;  // raw bytes fetched so far
  bool gzip = false;
  bool member_ended = false;
  z_stream inflater{};
  uint64_t position = 0;

  ~Impl() {
    if (gzip) inflateEnd(&inflater);
    if (fd >= 0) close(fd);
  }

  // Makes `raw` non-empty unless the file is at its end.
  Status Refill() {
    if (!raw.empty() || buffer.empty()) return OkStatus();
    CT_ASSIGN_OR_RETURN(const size_t got, fd >= 0 ? ReadFile() : read(buffer.data(), kRawBytes));
    raw = {buffer.data(), got};
    raw_seen += got;
    return OkStatus();
  }

  StatusOr<size_t> ReadFile() {
    ssize_t got = 0;
    do {
      got = ::read(fd, buffer.data(), buffer.size());
    } while (got < 0 && errno == EINTR);
    if (got < 0) return ErrnoStatus(errno, name);
    return static_cast<size_t>(got);
  }

  Status Start() {
    CT_RETURN_IF_ERROR(Refill());
    gzip = raw.size() >= 2 && raw.substr(0, 2) == "\x1f\x8b";
    if (gzip && inflateInit2(&inflater, kGzipWindow) != Z_OK) {
      gzip = false;
      return ResourceExhausted("{}: no memory to inflate it", name);
    }
    return OkStatus();
  }

  StatusOr<size_t> Inflate(char* out, size_t size) {
    size_t done = 0;
    while (done < size) {
      CT_RETURN_IF_ERROR(Refill());
      if (member_ended) {
        if (raw.empty()) break;
        // RFC 1952: a file may be several members, one after another.
        CT_ASSERT(inflateReset(&inflater) == Z_OK);
        member_ended = false;
      }
      if (raw.empty()) {
        return InvalidArgument("{}: the gzip stream is cut at its byte {}", name, raw_seen);
      }
      inflater.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(raw.data()));
      inflater.avail_in = static_cast<uInt>(std::min<size_t>(raw.size(), kRawBytes));
      inflater.next_out = reinterpret_cast<Bytef*>(out + done);
      const auto room = static_cast<uInt>(std::min<size_t>(size - done, size_t{1} << 30));
      inflater.avail_out = room;
      const size_t offered = inflater.avail_in;
      const int result = inflate(&inflater, Z_NO_FLUSH);
      raw.remove_prefix(offered - inflater.avail_in);
      done += room - inflater.avail_out;
      if (result == Z_STREAM_END) {
        member_ended = true;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return InvalidArgument("{}: corrupt gzip data before its byte {}: {}", name,
                               raw_seen - raw.size(),
                               inflater.msg != nullptr ? inflater.msg : "no reason given");
      }
    }
    return done;
  }

  StatusOr<size_t> Copy(char* out, size_t size) {
    size_t done = 0;
    while (done < size) {
      CT_RETURN_IF_ERROR(Refill());
      if (raw.empty()) break;
      const size_t take = std::min(raw.size(), size - done);
      std::memcpy(out + done, raw.data(), take);
      raw.remove_prefix(take);
      done += take;
    }
    return done;
  }
};

ByteSource::ByteSource(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ByteSource::ByteSource(ByteSource&&) noexcept = default;
ByteSource::~ByteSource() = default;

StatusOr<ByteSource> ByteSource::Open(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  impl->name = path;
  // Opening a pipe that nobody writes to would wait for ever.
  impl->fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (impl->fd < 0) return ErrnoStatus(errno, path);
  struct stat info = {};
  if (fstat(impl->fd, &info) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(info.st_mode)) return InvalidArgument("{} is no regular file", path);
  impl->buffer.resize(kRawBytes);
  CT_RETURN_IF_ERROR(impl->Start());
  return ByteSource(std::move(impl));
}

StatusOr<ByteSource> ByteSource::FromMemory(std::string_view bytes, std::string name) {
  auto impl = std::make_unique<Impl>();
  impl->name = std::move(name);
  impl->raw = bytes;
  impl->raw_seen = bytes.size();
  CT_RETURN_IF_ERROR(impl->Start());
  return ByteSource(std::move(impl));
}

ByteSource ByteSource::FromReader(Reader read, std::string name) {
  auto impl = std::make_unique<Impl>();
  impl->name = std::move(name);
  impl->read = std::move(read);
  impl->buffer.resize(kRawBytes);
  return ByteSource(std::move(impl));
}

StatusOr<size_t> ByteSource::ReadSome(char* out, size_t size) {
  CT_ASSIGN_OR_RETURN(const size_t done,
                      impl_->gzip ? impl_->Inflate(out, size) : impl_->Copy(out, size));
  impl_->position += done;
  return done;
}

Status ByteSource::Read(char* out, size_t size) {
  const uint64_t begin = position();
  CT_ASSIGN_OR_RETURN(const size_t done, ReadSome(out, size));
  if (done == size) return OkStatus();
  return InvalidArgument("{}: it ends at byte {}, but {} bytes from byte {} on were to follow",
                         name(), position(), size, begin);
}

Status ByteSource::ExpectEnd() {
  char spare = 0;
  const uint64_t end = position();
  CT_ASSIGN_OR_RETURN(const size_t more, ReadSome(&spare, 1));
  if (more == 0) return OkStatus();
  return InvalidArgument("{}: it goes on after byte {}, where its header says it ends", name(),
                         end);
}

const std::string& ByteSource::name() const { return impl_->name; }
uint64_t ByteSource::position() const { return impl_->position; }

}  // namespace crowdteach::learning
