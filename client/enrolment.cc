#include "client/enrolment.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>

#include "client/choosing.h"
#include "client/model_code.h"
#include "client/public_terms.h"
#include "learning/model/model_spec.h"

namespace crowdteach::client {
namespace {

StatusOr<bool> IsEnrolled(Session* session, uint64_t campaign) {
  CT_ASSIGN_OR_RETURN(const v1::ListCampaignsReply list, session->ListCampaigns());
  for (const auto& item : list.campaigns()) {
    if (item.campaign() == campaign) return item.enrolled();
  }
  return false;
}

}  // namespace

Status Enrolment::Choose(Session* session, const std::stop_token& stop) {
  campaign_ = options_.campaign;
  std::mutex mutex;
  std::condition_variable_any stopped;
  for (bool said = false; campaign_ == 0; said = true) {
    CT_ASSIGN_OR_RETURN(const v1::ListCampaignsReply list, session->ListCampaigns());
    CT_ASSIGN_OR_RETURN(campaign_, OnlyCampaign(list));
    if (campaign_ != 0) break;
    if (!said) observer_.WaitingForCampaign();
    std::unique_lock lock(mutex);
    stopped.wait_for(lock, stop, std::chrono::seconds(1), [] { return false; });
    if (stop.stop_requested()) return absl::CancelledError("stopped");
  }
  return OkStatus();
}

Status Enrolment::Enrol(Session* session) {
  v1::Intent body;
  body.mutable_enrol()->set_campaign(campaign_);
  body.mutable_enrol()->set_examples(
      std::min<uint64_t>(joining_->examples, joining_->terms.max_examples()));
  CT_ASSIGN_OR_RETURN(const VerifiedEntry entry, session->Submit(std::move(body)));
  observer_.Enrolled(campaign_, entry.logged.entry.index());
  return OkStatus();
}

Status Enrolment::Complete(Session* session, const std::stop_token& stop) {
  if (enrolled_) return OkStatus();
  if (campaign_ == 0) CT_RETURN_IF_ERROR(Choose(session, stop));
  if (!joining_.has_value()) {
    CT_ASSIGN_OR_RETURN(const VerifiedEntry entry, session->FindCampaign(campaign_));
    const v1::CampaignOpen& open = entry.logged.intent.campaign_open();
    CT_ASSIGN_OR_RETURN(const learning::ModelSpec spec,
                        learning::ParseModelSpec(open.terms().model_toml()));
    Joining joining{.terms = open.terms(), .layout = learning::LayoutOf(spec)};
    joining.campaign = MakeCampaign(campaign_, open, joining.layout);
    CT_ASSIGN_OR_RETURN(joining.campaign.model_code_path, FetchModelCode(session, home_, spec));
    CT_ASSIGN_OR_RETURN(joining.examples, trainer_.Prepare(joining.campaign));
    if (joining.examples == 0) return InvalidArgument("the trainer has no examples to teach with");
    joining_ = std::move(joining);
  }
  // A session of minutes ago may have sent the ENROL whose answer was lost.
  CT_ASSIGN_OR_RETURN(enrolled_, IsEnrolled(session, campaign_));
  if (!enrolled_ && !agreed_) {
    if (!options_.agree) {
      return FailedPrecondition("nobody agreed to the terms of campaign {}", campaign_);
    }
    CT_RETURN_IF_ERROR(options_.agree(joining_->campaign));
    agreed_ = true;
  }
  if (!enrolled_) CT_RETURN_IF_ERROR(Enrol(session));
  enrolled_ = true;
  observer_.Teaching(joining_->campaign, joining_->examples, session->account());
  return OkStatus();
}

}  // namespace crowdteach::client
