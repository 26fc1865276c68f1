// Who is attending or watching which campaign, and how to push to them.
//
// Thread-safety: any thread. A push function is never called after Remove has returned.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "crowdteach/v1/coordinator.pb.h"

namespace crowdteach::server {

using NoticePush = std::function<void(std::shared_ptr<const v1::Notice>)>;
using ViewPush = std::function<void(std::shared_ptr<const v1::CampaignView>)>;

class Streams {
 public:
  uint64_t AddAttendant(uint64_t campaign, uint64_t account, NoticePush push);
  uint64_t AddWatcher(uint64_t campaign, ViewPush push);
  // The campaign it belonged to; 0 if it was gone already.
  uint64_t Remove(uint64_t stream);

  std::vector<uint64_t> Connected(uint64_t campaign) const;  // accounts, ascending, each once
  bool Watched(uint64_t campaign) const;

  void PushTo(uint64_t campaign, uint64_t account, const std::shared_ptr<const v1::Notice>& notice);
  void PushToAll(uint64_t campaign, const std::shared_ptr<const v1::Notice>& notice);
  void PushView(uint64_t campaign, const std::shared_ptr<const v1::CampaignView>& view);

 private:
  struct Stream {
    uint64_t campaign = 0;
    uint64_t account = 0;
    NoticePush notice;  // an attendant
    ViewPush view;      // a watcher
  };
  // Held while pushing, so that Remove waits for a push on its way.
  mutable std::mutex mutex_;
  std::map<uint64_t, Stream> streams_;
  uint64_t next_ = 1;
};

}  // namespace crowdteach::server
