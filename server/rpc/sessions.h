// Who is calling: nonces for opening a session, and the tokens of open ones.
//
// A nonce is time ‖ random ‖ MAC under this process's secret, so Hello stores nothing and a flood
// of it displaces nobody. Only a signed claim of a known account is remembered, so that it is good
// once. Tokens live in memory only: after a restart clients open a new session. Bounded: of one
// account 16 sessions and 256 claims in two minutes, of all 65,536 sessions; the oldest that is
// still open makes room. Times are the wall clock's, in milliseconds. Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "proto/base/status.h"

namespace crowdteach::server {

class Sessions {
 public:
  static constexpr uint64_t kNonceLifeMs = 60'000;
  static constexpr uint64_t kTokenLifeMs = uint64_t{12} * 3'600'000;

  struct Limits {
    size_t tokens = 65'536;
    size_t tokens_of_account = 16;
    size_t claims_of_account = 256;
  };
  Sessions();
  explicit Sessions(Limits limits);

  std::string NewNonce(uint64_t now_ms) const;  // 32 bytes

  struct Token {
    std::string bytes;  // 32
    uint64_t expires_ms = 0;
  };
  // For a claim that `account` has signed. kUnauthenticated: the nonce is not ours, a minute old,
  // or used by this account already. kResourceExhausted: too many claims of this account.
  StatusOr<Token> Open(uint64_t account, std::string_view nonce, uint64_t now_ms);
  // The account whose session this is; none: unknown or expired.
  std::optional<uint64_t> AccountOf(std::string_view token, uint64_t now_ms);
  size_t size() const;

 private:
  struct Session {
    uint64_t account = 0;
    Token token;
  };
  using Place = std::list<Session>::iterator;
  struct Claim {
    uint64_t account = 0;
    std::string nonce;
    uint64_t used_ms = 0;
  };
  // The last 16 bytes of a nonce whose first are `head`.
  std::string Mac(std::string_view head) const;
  Status UseNonce(uint64_t account, std::string_view nonce, uint64_t now_ms);
  void Close(Place session);

  const Limits limits_;
  const std::string secret_;
  mutable std::mutex mutex_;
  std::deque<Claim> claims_;                                     // oldest first
  std::map<uint64_t, std::set<std::string, std::less<>>> used_;  // nonces of claims_, by account
  std::list<Session> sessions_;                                  // open ones, oldest first
  std::unordered_map<std::string, Place> tokens_;
  std::map<uint64_t, std::deque<Place>> by_account_;  // oldest first
};

}  // namespace crowdteach::server
