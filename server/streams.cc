#include "server/streams.h"

#include <utility>

namespace crowdteach::server {

StatusOr<uint64_t> Streams::Enter(const Place& place) {
  size_t& count = counts_[{place.account, place.watches}];
  if (count >= kMaxOfAccount) {
    return ResourceExhausted(
        "account {} {} {} streams already: end one of its programs (a lost connection counts until "
        "it is noticed, within a minute)",
        place.account, place.watches ? "watches" : "attends", count);
  }
  ++count;
  places_[next_] = place;
  return next_++;
}

StatusOr<uint64_t> Streams::AddAttendant(uint64_t campaign, uint64_t account, NoticePush push) {
  const std::lock_guard lock(mutex_);
  CT_ASSIGN_OR_RETURN(const uint64_t stream, Enter({campaign, account, false}));
  audiences_[campaign].attendants[account][stream] = {std::move(push), false};
  return stream;
}

StatusOr<uint64_t> Streams::AddWatcher(uint64_t campaign, uint64_t account, ViewPush push) {
  const std::lock_guard lock(mutex_);
  CT_ASSIGN_OR_RETURN(const uint64_t stream, Enter({campaign, account, true}));
  audiences_[campaign].watchers[stream] = std::move(push);
  return stream;
}

void Streams::Begin(uint64_t stream,
                    const std::vector<std::shared_ptr<const v1::Notice>>& notices) {
  const std::lock_guard lock(mutex_);
  const auto place = places_.find(stream);
  if (place == places_.end()) return;
  Audience& audience = audiences_.at(place->second.campaign);
  Attendant& attendant = audience.attendants.at(place->second.account).at(stream);
  for (const auto& notice : notices) attendant.push(notice);
  attendant.begun = true;
}

uint64_t Streams::Remove(uint64_t stream) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(stream);
  if (found == places_.end()) return 0;
  const Place place = found->second;
  places_.erase(found);
  const auto count = counts_.find({place.account, place.watches});
  if (--count->second == 0) counts_.erase(count);
  const auto audience = audiences_.find(place.campaign);
  if (place.watches) {
    audience->second.watchers.erase(stream);
  } else {
    const auto own = audience->second.attendants.find(place.account);
    own->second.erase(stream);
    if (own->second.empty()) audience->second.attendants.erase(own);
  }
  if (audience->second.attendants.empty() && audience->second.watchers.empty()) {
    audiences_.erase(audience);
  }
  return place.campaign;
}

std::vector<uint64_t> Streams::Connected(uint64_t campaign) const {
  const std::lock_guard lock(mutex_);
  std::vector<uint64_t> accounts;
  const auto audience = audiences_.find(campaign);
  if (audience == audiences_.end()) return accounts;
  for (const auto& [account, unused] : audience->second.attendants) accounts.push_back(account);
  return accounts;
}

bool Streams::Watched(uint64_t campaign) const {
  const std::lock_guard lock(mutex_);
  const auto audience = audiences_.find(campaign);
  return audience != audiences_.end() && !audience->second.watchers.empty();
}

void Streams::PushTo(uint64_t campaign, uint64_t account,
                     const std::shared_ptr<const v1::Notice>& notice) {
  const std::lock_guard lock(mutex_);
  const auto audience = audiences_.find(campaign);
  if (audience == audiences_.end()) return;
  const auto own = audience->second.attendants.find(account);
  if (own == audience->second.attendants.end()) return;
  for (const auto& [stream, attendant] : own->second) {
    if (attendant.begun) attendant.push(notice);
  }
}

void Streams::PushToAll(uint64_t campaign, const std::shared_ptr<const v1::Notice>& notice) {
  const std::lock_guard lock(mutex_);
  const auto audience = audiences_.find(campaign);
  if (audience == audiences_.end()) return;
  for (const auto& [account, attendants] : audience->second.attendants) {
    for (const auto& [stream, attendant] : attendants) {
      if (attendant.begun) attendant.push(notice);
    }
  }
}

void Streams::PushView(uint64_t campaign, const std::shared_ptr<const v1::CampaignView>& view) {
  const std::lock_guard lock(mutex_);
  const auto audience = audiences_.find(campaign);
  if (audience == audiences_.end()) return;
  for (const auto& [stream, push] : audience->second.watchers) push(view);
}

}  // namespace crowdteach::server
