// The operator's commands, sent to the coordinator running in a home.
//
// Thread-safety: any thread.
#pragma once

#include <memory>
#include <string>

#include "crowdteach/v1/admin.pb.h"
#include "proto/base/status.h"

namespace crowdteach::server {

class AdminClient {
 public:
  // Does not connect yet. kInvalidArgument: as AdminSocketPath.
  static StatusOr<AdminClient> Of(const std::string& home);

  // kUnavailable, marked FromPeer: no coordinator runs in the home. Else the coordinator's status,
  // marked FromPeer if it is a refusal; a failure of its disk is one of this machine.
  StatusOr<v1::IssueCreditsReply> IssueCredits(const v1::IssueCreditsRequest& request) const;
  StatusOr<v1::MakeInviteReply> MakeInvite(const v1::MakeInviteRequest& request) const;
  StatusOr<v1::ExportReply> Export(const v1::ExportRequest& request) const;
  StatusOr<v1::GetStatusReply> GetStatus() const;

 private:
  struct Impl;
  explicit AdminClient(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace crowdteach::server
