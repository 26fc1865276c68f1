#include "learning/worker_channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "proto/base/bytes.h"

namespace crowdteach::learning {
namespace {

constexpr size_t kHeaderBytes = 4;
constexpr size_t kControlBytes = CMSG_SPACE(kMaxFrameFds * sizeof(int));

bool IsGone(int error) { return error == EPIPE || error == ECONNRESET || error == ENOTCONN; }

void AttachFds(const std::vector<int>& fds, char* control, msghdr* message) {
  message->msg_control = control;
  message->msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
  cmsghdr* header = CMSG_FIRSTHDR(message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) {
      close(fd_);
    }
    fd_ = other.Release();
  }
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) {
    close(fd_);
  }
}

int Fd::Release() { return std::exchange(fd_, -1); }

Status SendFrame(int socket, std::string_view bytes, const std::vector<int>& fds,
                 int64_t timeout_ms) {
  if (bytes.size() > kMaxFrameBytes || fds.size() > kMaxFrameFds) {
    return InvalidArgument("a message of {} bytes and {} files to the worker: at most {} and {}",
                           bytes.size(), fds.size(), kMaxFrameBytes, kMaxFrameFds);
  }
  std::string frame;
  frame.reserve(kHeaderBytes + bytes.size());
  base::AppendU32(frame, static_cast<uint32_t>(bytes.size()));
  frame += bytes;
  alignas(cmsghdr) char control[kControlBytes] = {};
  size_t sent = 0;
  while (sent < frame.size()) {
    iovec part{frame.data() + sent, frame.size() - sent};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (sent == 0 && !fds.empty()) {
      AttachFds(fds, control, &message);
    }
    const ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      sent += static_cast<size_t>(n);
      continue;
    }
    if (errno == EINTR) {
      continue;
    }
    if (errno != EAGAIN) {
      return IsGone(errno) ? Unavailable("the other end of the worker's socket is closed")
                           : ErrnoStatus(errno, "sendmsg on the worker's socket");
    }
    pollfd wait{socket, POLLOUT, 0};
    const int ready = poll(&wait, 1, static_cast<int>(timeout_ms));
    if (ready == 0) {
      return DeadlineExceeded("the worker's socket took nothing for {} ms", timeout_ms);
    }
  }
  return OkStatus();
}

StatusOr<bool> FrameReader::Receive(bool block, Frame* frame) {
  // Never reads past the frame's end, so that a descriptor always belongs to this frame.
  while (true) {
    size_t want = kHeaderBytes;
    if (buffer_.size() >= kHeaderBytes) {
      const uint32_t length = base::ReadU32(buffer_.data());
      if (length > kMaxFrameBytes) {
        return DataLoss("a frame of {} bytes on the worker's socket: at most {}", length,
                        kMaxFrameBytes);
      }
      want += length;
    }
    if (buffer_.size() >= kHeaderBytes && buffer_.size() == want) {
      frame->bytes = buffer_.substr(kHeaderBytes);
      frame->fds = std::exchange(fds_, {});
      buffer_.clear();
      return true;
    }
    const size_t have = buffer_.size();
    buffer_.resize(want);
    alignas(cmsghdr) char control[kControlBytes];
    iovec part{buffer_.data() + have, want - have};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t n = recvmsg(socket_, &message, MSG_CMSG_CLOEXEC | (block ? 0 : MSG_DONTWAIT));
    const int error = errno;
    buffer_.resize(have + static_cast<size_t>(n > 0 ? n : 0));
    if (n < 0) {
      if (error == EINTR) {
        continue;
      }
      if (error == EAGAIN) {
        return false;
      }
      return IsGone(error) ? Unavailable("the other end of the worker's socket is closed")
                           : ErrnoStatus(error, "recvmsg on the worker's socket");
    }
    if (n == 0) {
      return Unavailable("the other end of the worker's socket is closed");
    }
    CT_RETURN_IF_ERROR(TakeFds(message));
  }
}

Status FrameReader::TakeFds(const msghdr& message) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(const_cast<msghdr*>(&message), header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      fds_.emplace_back(fd);
    }
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0 || fds_.size() > kMaxFrameFds) {
    return DataLoss("more than {} files beside one frame on the worker's socket", kMaxFrameFds);
  }
  return OkStatus();
}

}  // namespace crowdteach::learning
