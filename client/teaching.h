// A teacher's part in a campaign, from the enrolment to the refund.
//
//   TASK -> base model -> train -> update -> UPDATE_COMMIT
//   COMMIT_CLOSED (verified: our commitment and the close are in the tree) -> upload ->
//   UPDATE_REVEAL
//
// Not one byte of an update leaves before the closed commit phase was verified. What was committed
// to is durable in the home, so a killed teacher goes on where it was. Lost connections come back
// with backoff; only refusals and local errors end it.
//
// A stop ends training at once. What was committed to is still uploaded and revealed when its
// upload phase is open or opens within a minute; it may be gone for good otherwise, as the round
// does not wait. Nothing else is waited for: scores and receipts are fetched the next time.
#pragma once

#include <memory>
#include <stop_token>

#include "client/joining.h"
#include "client/teacher.h"
#include "proto/base/status.h"

namespace crowdteach::client {

// As Teacher::Teach. Takes joined->session, if there is one, for its first connection, and leaves
// none behind. `campaign`, if not null, gets the campaign's number as soon as it is known.
Status Teach(Joined* joined, const TeacherOptions& options, Trainer& trainer, Observer& observer,
             const std::stop_token& stop, uint64_t* campaign);

}  // namespace crowdteach::client
