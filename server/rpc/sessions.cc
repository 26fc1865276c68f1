#include "server/rpc/sessions.h"

#include <algorithm>

#include "proto/base/bytes.h"
#include "proto/base/digest.h"

namespace crowdteach::server {
namespace {

constexpr size_t kHeadBytes = 16;  // of a nonce: time(8) ‖ random(8); then the MAC
constexpr size_t kMacBytes = 16;

// The wall clock may be set back a little between two calls.
uint64_t Apart(uint64_t a_ms, uint64_t b_ms) { return std::max(a_ms, b_ms) - std::min(a_ms, b_ms); }

// In a time that tells nothing of where they differ.
bool SameBytes(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace

Sessions::Sessions() : Sessions(Limits{}) {}

Sessions::Sessions(Limits limits) : limits_(limits), secret_(base::RandomBytes(64)) {}

// HMAC's outer hash (RFC 2104) guards against messages of several lengths; these have one, so
// H(secret ‖ head), cut to half, does, with a secret of exactly one block.
std::string Sessions::Mac(std::string_view head) const {
  base::Sha256 hasher;
  hasher.Update(secret_).Update(head);
  return base::Bytes(std::move(hasher).Finish()).substr(0, kMacBytes);
}

std::string Sessions::NewNonce(uint64_t now_ms) const {
  std::string nonce;
  base::AppendU64(nonce, now_ms);
  nonce += base::RandomBytes(kHeadBytes - nonce.size());
  return nonce + Mac(nonce);
}

Status Sessions::UseNonce(uint64_t account, std::string_view nonce, uint64_t now_ms) {
  // Later than this a claim's nonce is too old, whenever in its life it was used.
  while (!claims_.empty() && Apart(now_ms, claims_.front().used_ms) >= 2 * kNonceLifeMs) {
    const Claim& oldest = claims_.front();
    const auto own = used_.find(oldest.account);
    own->second.erase(oldest.nonce);
    if (own->second.empty()) used_.erase(own);
    claims_.pop_front();
  }
  const bool ours = nonce.size() == kHeadBytes + kMacBytes &&
                    SameBytes(nonce.substr(kHeadBytes), Mac(nonce.substr(0, kHeadBytes)));
  if (!ours || Apart(now_ms, base::ReadU64(nonce.data())) >= kNonceLifeMs) {
    return Unauthenticated("the nonce is not of this coordinator's last minute; call Hello again");
  }
  const auto own = used_.find(account);
  if (own != used_.end() && own->second.contains(nonce)) {
    return Unauthenticated("the nonce was used already; call Hello again");
  }
  if (own != used_.end() && own->second.size() >= limits_.claims_of_account) {
    return ResourceExhausted("account {} has opened {} sessions in two minutes; wait a little",
                             account, own->second.size());
  }
  used_[account].emplace(nonce);
  claims_.push_back({account, std::string(nonce), now_ms});
  return OkStatus();
}

void Sessions::Close(Place session) {
  const auto account = by_account_.find(session->account);
  std::deque<Place>& own = account->second;
  own.erase(std::find(own.begin(), own.end(), session));
  if (own.empty()) by_account_.erase(account);
  tokens_.erase(session->token.bytes);
  sessions_.erase(session);
}

StatusOr<Sessions::Token> Sessions::Open(uint64_t account, std::string_view nonce,
                                         uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  CT_RETURN_IF_ERROR(UseNonce(account, nonce, now_ms));
  if (const auto own = by_account_.find(account);
      own != by_account_.end() && own->second.size() >= limits_.tokens_of_account) {
    Close(own->second.front());
  }
  while (!sessions_.empty() &&
         (sessions_.front().token.expires_ms <= now_ms || sessions_.size() >= limits_.tokens)) {
    Close(sessions_.begin());
  }
  Token token{base::RandomBytes(32), now_ms + kTokenLifeMs};
  sessions_.push_back({account, token});
  const Place place = std::prev(sessions_.end());
  tokens_[token.bytes] = place;
  by_account_[account].push_back(place);
  return token;
}

std::optional<uint64_t> Sessions::AccountOf(std::string_view token, uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  const auto found = tokens_.find(std::string(token));
  if (found == tokens_.end()) return std::nullopt;
  const Place session = found->second;
  if (session->token.expires_ms > now_ms) return session->account;
  Close(session);
  return std::nullopt;
}

size_t Sessions::size() const {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

}  // namespace crowdteach::server
