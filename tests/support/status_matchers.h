// What tests ask of a Status.
#pragma once

#include <string>
#include <string_view>

#include "proto/base/status.h"
#include "tests/support/catch.h"

namespace crowdteach::testing {

// True for an error of `code` whose message holds `text`; else reports what it is (UNSCOPED_INFO).
inline bool Refused(const Status& status, absl::StatusCode code, std::string_view text) {
  const std::string found = Message(status);
  if (status.code() == code && found.find(text) != std::string::npos) return true;
  UNSCOPED_INFO("got " << status.ToString() << "\nexpected " << absl::StatusCodeToString(code)
                       << " with \"" << text << "\"");
  return false;
}
template <typename T>
bool Refused(const StatusOr<T>& value, absl::StatusCode code, std::string_view text) {
  return Refused(value.status(), code, text);
}

}  // namespace crowdteach::testing
