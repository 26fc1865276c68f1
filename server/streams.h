// Who is attending or watching which campaign, and how to push to them.
//
// An attendant is counted as connected at once, but is pushed nothing before Begin, which says
// where the campaign stands: so it is told of nothing twice. Of one account at most kMaxOfAccount
// attend and as many watch. Thread-safety: any thread. A push function is never called after Remove
// has returned.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "crowdteach/v1/coordinator.pb.h"
#include "proto/base/status.h"

namespace crowdteach::server {

using NoticePush = std::function<void(std::shared_ptr<const v1::Notice>)>;
using ViewPush = std::function<void(std::shared_ptr<const v1::CampaignView>)>;

class Streams {
 public:
  static constexpr size_t kMaxOfAccount = 8;

  // kResourceExhausted: the account has kMaxOfAccount such streams.
  StatusOr<uint64_t> AddAttendant(uint64_t campaign, uint64_t account, NoticePush push);
  StatusOr<uint64_t> AddWatcher(uint64_t campaign, uint64_t account, ViewPush push);
  // Pushes these to the attendant; from now on it gets what is pushed to its campaign. Nothing if
  // it has left.
  void Begin(uint64_t stream, const std::vector<std::shared_ptr<const v1::Notice>>& notices);
  // The campaign it belonged to; 0 if it was gone already.
  uint64_t Remove(uint64_t stream);

  std::vector<uint64_t> Connected(uint64_t campaign) const;  // accounts, ascending, each once
  bool Watched(uint64_t campaign) const;

  void PushTo(uint64_t campaign, uint64_t account, const std::shared_ptr<const v1::Notice>& notice);
  void PushToAll(uint64_t campaign, const std::shared_ptr<const v1::Notice>& notice);
  void PushView(uint64_t campaign, const std::shared_ptr<const v1::CampaignView>& view);

 private:
  struct Attendant {
    NoticePush push;
    bool begun = false;
  };
  using Attendants = std::map<uint64_t, Attendant>;  // by stream
  struct Audience {
    std::map<uint64_t, Attendants> attendants;  // by account
    std::map<uint64_t, ViewPush> watchers;      // by stream
  };
  struct Place {
    uint64_t campaign = 0;
    uint64_t account = 0;
    bool watches = false;
  };
  StatusOr<uint64_t> Enter(const Place& place);

  // Held while pushing, so that Remove waits for a push on its way.
  mutable std::mutex mutex_;
  std::map<uint64_t, Audience> audiences_;  // by campaign
  std::unordered_map<uint64_t, Place> places_;
  std::map<std::pair<uint64_t, bool>, size_t> counts_;  // by account and `watches`
  uint64_t next_ = 1;
};

}  // namespace crowdteach::server
