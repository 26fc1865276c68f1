// The socket between a program and its crowdteach-worker: frames with file descriptors beside them.
//
// A frame is u32 big-endian length | bytes, at most kMaxFrameBytes; its descriptors (at most
// kMaxFrameFds) ride on its first byte (SCM_RIGHTS, unix(7)). Used by both ends; no Torch.
// Thread-safety: one thread may send while another receives; no more than that.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/status.h"

namespace crowdteach::learning {

inline constexpr size_t kMaxFrameBytes = size_t{4} << 20;
inline constexpr size_t kMaxFrameFds = 4;

// A file descriptor that is closed with its owner. -1: none.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release();

 private:
  int fd_ = -1;
};

struct Frame {
  std::string bytes;
  std::vector<Fd> fds;
};

// Sends one frame. Blocks at most `timeout_ms` without progress (negative: for ever). Never raises
// SIGPIPE. kUnavailable: the peer is gone; kDeadlineExceeded; kInvalidArgument: too large.
Status SendFrame(int socket, std::string_view bytes, const std::vector<int>& fds,
                 int64_t timeout_ms);

// Collects frames from a socket that may deliver them in pieces.
class FrameReader {
 public:
  explicit FrameReader(int socket) : socket_(socket) {}

  // Takes what has arrived; blocks for the first byte only when `block`. True: `frame` is whole.
  // kUnavailable: the peer closed or reset the socket; kDataLoss: not a frame.
  StatusOr<bool> Receive(bool block, Frame* frame);

 private:
  Status TakeFds(const msghdr& message);

  int socket_;
  std::string buffer_;
  std::vector<Fd> fds_;
};

}  // namespace crowdteach::learning
