#include "server/streams.h"

#include <set>
#include <utility>

namespace crowdteach::server {

uint64_t Streams::AddAttendant(uint64_t campaign, uint64_t account, NoticePush push) {
  const std::lock_guard lock(mutex_);
  streams_[next_] = Stream{campaign, account, std::move(push), nullptr};
  return next_++;
}

uint64_t Streams::AddWatcher(uint64_t campaign, ViewPush push) {
  const std::lock_guard lock(mutex_);
  streams_[next_] = Stream{campaign, 0, nullptr, std::move(push)};
  return next_++;
}

uint64_t Streams::Remove(uint64_t stream) {
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return 0;
  const uint64_t campaign = found->second.campaign;
  streams_.erase(found);
  return campaign;
}

std::vector<uint64_t> Streams::Connected(uint64_t campaign) const {
  const std::lock_guard lock(mutex_);
  std::set<uint64_t> accounts;
  for (const auto& [id, stream] : streams_) {
    if (stream.campaign == campaign && stream.notice) accounts.insert(stream.account);
  }
  return {accounts.begin(), accounts.end()};
}

bool Streams::Watched(uint64_t campaign) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, stream] : streams_) {
    if (stream.campaign == campaign && stream.view) return true;
  }
  return false;
}

void Streams::PushTo(uint64_t campaign, uint64_t account,
                     const std::shared_ptr<const v1::Notice>& notice) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, stream] : streams_) {
    if (stream.campaign == campaign && stream.account == account && stream.notice) {
      stream.notice(notice);
    }
  }
}

void Streams::PushToAll(uint64_t campaign, const std::shared_ptr<const v1::Notice>& notice) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, stream] : streams_) {
    if (stream.campaign == campaign && stream.notice) stream.notice(notice);
  }
}

void Streams::PushView(uint64_t campaign, const std::shared_ptr<const v1::CampaignView>& view) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, stream] : streams_) {
    if (stream.campaign == campaign && stream.view) stream.view(view);
  }
}

}  // namespace crowdteach::server
