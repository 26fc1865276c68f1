// A teacher's way into a campaign: which one, whether it can be taught, consent, and ENROL.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>

#include "client/session.h"
#include "client/teacher.h"
#include "crowdteach/v1/ledger.pb.h"
#include "learning/layout.h"
#include "proto/base/status.h"

namespace crowdteach::client {

// A campaign this account teaches.
struct Joining {
  Campaign campaign;
  v1::Terms terms;
  learning::Layout layout;
  uint64_t examples = 0;  // as Trainer::Prepare said
};

class Enrolment {
 public:
  // All outlive it.
  Enrolment(const TeacherOptions& options, Home* home, Trainer& trainer, Observer& observer)
      : options_(options), home_(home), trainer_(trainer), observer_(observer) {}

  // Takes the steps that are not taken yet. After a lost connection it is called again with the
  // next session and goes on where it was. kCancelled: `stop` was requested. Otherwise as
  // Teacher::Teach.
  Status Complete(Session* session, const std::stop_token& stop);
  // After Complete.
  const Joining& joining() const { return *joining_; }

 private:
  // The one asked for, or the only one running; waits until there is one.
  Status Choose(Session* session, const std::stop_token& stop);
  Status Enrol(Session* session);

  const TeacherOptions& options_;
  Home* const home_;
  Trainer& trainer_;
  Observer& observer_;
  uint64_t campaign_ = 0;
  std::optional<Joining> joining_;
  bool agreed_ = false;
  bool enrolled_ = false;
};

}  // namespace crowdteach::client
