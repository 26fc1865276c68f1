// CT_ASSERT(condition): an invariant of ours. On in release builds too: it prints the place and
// aborts. Never assert what somebody else sent; bad input is a Status.
#pragma once

namespace crowdteach::base {

[[noreturn]] void AssertFailed(const char* expression, const char* file, int line);

}  // namespace crowdteach::base

#define CT_ASSERT(condition)          \
  ((condition) ? static_cast<void>(0) \
               : ::crowdteach::base::AssertFailed(#condition, __FILE__, __LINE__))
