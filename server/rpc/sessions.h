// Who is calling: nonces for opening a session, and the tokens of open ones.
//
// Both live in memory only: after a restart clients open a new session. Bounded: the oldest nonce
// (of 65,536), the oldest session of an account (of 16), the oldest of all (of 65,536) make room.
// Times are the wall clock's, in milliseconds. Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace crowdteach::server {

class Sessions {
 public:
  static constexpr uint64_t kNonceLifeMs = 60'000;
  static constexpr uint64_t kTokenLifeMs = uint64_t{12} * 3'600'000;

  struct Limits {
    size_t nonces = 65'536;
    size_t tokens = 65'536;
    size_t tokens_of_account = 16;
  };
  Sessions();
  explicit Sessions(Limits limits) : limits_(limits) {}

  std::string NewNonce(uint64_t now_ms);  // 32 bytes
  // True once for each nonce younger than a minute.
  bool UseNonce(std::string_view nonce, uint64_t now_ms);

  struct Token {
    std::string bytes;  // 32
    uint64_t expires_ms = 0;
  };
  Token Open(uint64_t account, uint64_t now_ms);
  // The account whose session this is; none: unknown or expired.
  std::optional<uint64_t> AccountOf(std::string_view token, uint64_t now_ms);
  size_t size() const;

 private:
  struct Session {
    uint64_t account = 0;
    uint64_t expires_ms = 0;
  };
  struct Timed {
    std::string bytes;
    uint64_t expires_ms = 0;
  };
  void Close(const std::string& token);

  const Limits limits_;
  mutable std::mutex mutex_;
  std::deque<Timed> nonce_order_;  // oldest first; used ones stay until they expire
  std::unordered_map<std::string, uint64_t> nonces_;
  std::deque<Timed> token_order_;
  std::unordered_map<std::string, Session> tokens_;
  std::map<uint64_t, std::deque<std::string>> by_account_;  // oldest first
};

}  // namespace crowdteach::server
