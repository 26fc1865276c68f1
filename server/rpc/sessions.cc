#include "server/rpc/sessions.h"

#include <algorithm>

#include "proto/base/bytes.h"

namespace crowdteach::server {

Sessions::Sessions() : Sessions(Limits{}) {}

std::string Sessions::NewNonce(uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  while (!nonce_order_.empty() &&
         (nonce_order_.front().expires_ms <= now_ms || nonce_order_.size() >= limits_.nonces)) {
    nonces_.erase(nonce_order_.front().bytes);
    nonce_order_.pop_front();
  }
  std::string nonce = base::RandomBytes(32);
  nonces_[nonce] = now_ms + kNonceLifeMs;
  nonce_order_.push_back({nonce, now_ms + kNonceLifeMs});
  return nonce;
}

bool Sessions::UseNonce(std::string_view nonce, uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  const auto found = nonces_.find(std::string(nonce));
  if (found == nonces_.end()) return false;
  const bool fresh = found->second > now_ms;
  nonces_.erase(found);
  return fresh;
}

void Sessions::Close(const std::string& token) {
  const auto found = tokens_.find(token);
  if (found == tokens_.end()) return;
  const auto account = by_account_.find(found->second.account);
  std::deque<std::string>& own = account->second;
  own.erase(std::find(own.begin(), own.end(), token));
  if (own.empty()) by_account_.erase(account);
  tokens_.erase(found);
}

Sessions::Token Sessions::Open(uint64_t account, uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  while (!token_order_.empty() &&
         (token_order_.front().expires_ms <= now_ms || token_order_.size() >= limits_.tokens)) {
    Close(token_order_.front().bytes);
    token_order_.pop_front();
  }
  if (const auto own = by_account_.find(account);
      own != by_account_.end() && own->second.size() >= limits_.tokens_of_account) {
    Close(std::string(own->second.front()));
  }
  Token token{base::RandomBytes(32), now_ms + kTokenLifeMs};
  tokens_[token.bytes] = Session{account, token.expires_ms};
  token_order_.push_back({token.bytes, token.expires_ms});
  by_account_[account].push_back(token.bytes);
  return token;
}

std::optional<uint64_t> Sessions::AccountOf(std::string_view token, uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  const auto found = tokens_.find(std::string(token));
  if (found == tokens_.end()) return std::nullopt;
  if (found->second.expires_ms > now_ms) return found->second.account;
  Close(std::string(token));
  return std::nullopt;
}

size_t Sessions::size() const {
  const std::lock_guard lock(mutex_);
  return tokens_.size();
}

}  // namespace crowdteach::server
