// Status helpers every folder uses. Errors are absl::Status throughout (gRPC's own dependency);
// a message says what went wrong, where, and what to do about it.
//
// Thread-safety: everything here is a pure function.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace crowdteach {

using absl::OkStatus;
using absl::Status;
using absl::StatusOr;

// Each builds a status of that code from a fmt format string.
template <typename... Args>
Status InvalidArgument(fmt::format_string<Args...> format, Args&&... args) {
  return absl::InvalidArgumentError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Status FailedPrecondition(fmt::format_string<Args...> format, Args&&... args) {
  return absl::FailedPreconditionError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Status NotFound(fmt::format_string<Args...> format, Args&&... args) {
  return absl::NotFoundError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Status PermissionDenied(fmt::format_string<Args...> format, Args&&... args) {
  return absl::PermissionDeniedError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Status Unauthenticated(fmt::format_string<Args...> format, Args&&... args) {
  return absl::UnauthenticatedError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Status DataLoss(fmt::format_string<Args...> format, Args&&... args) {
  return absl::DataLossError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Status OutOfRange(fmt::format_string<Args...> format, Args&&... args) {
  return absl::OutOfRangeError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Status ResourceExhausted(fmt::format_string<Args...> format, Args&&... args) {
  return absl::ResourceExhaustedError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Status Unavailable(fmt::format_string<Args...> format, Args&&... args) {
  return absl::UnavailableError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Status DeadlineExceeded(fmt::format_string<Args...> format, Args&&... args) {
  return absl::DeadlineExceededError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Status Aborted(fmt::format_string<Args...> format, Args&&... args) {
  return absl::AbortedError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Status Internal(fmt::format_string<Args...> format, Args&&... args) {
  return absl::InternalError(fmt::format(format, std::forward<Args>(args)...));
}

// The message as a std string (absl::string_view is its own type on Debian 12).
inline std::string Message(const Status& status) { return std::string(status.message()); }

// `status` with "context: " in front of its message, payloads kept; OK stays OK.
Status Annotate(const Status& status, std::string_view context);

// A status for a failed system call: the code follows errno (ENOSPC and EDQUOT are
// kResourceExhausted, ENOENT kNotFound, EACCES kPermissionDenied, EEXIST kAlreadyExists, else
// kUnavailable); the message is "‹what›: ‹strerror›".
Status ErrnoStatus(int error_number, std::string_view what);

}  // namespace crowdteach

#define CT_CONCAT_INNER(a, b) a##b
#define CT_CONCAT(a, b) CT_CONCAT_INNER(a, b)

#define CT_RETURN_IF_ERROR(expr)                              \
  do {                                                        \
    if (::absl::Status ct_status = (expr); !ct_status.ok()) { \
      return ct_status;                                       \
    }                                                         \
  } while (false)

#define CT_ASSIGN_OR_RETURN(lhs, expr) CT_ASSIGN_OR_RETURN_(CT_CONCAT(ct_or_, __LINE__), lhs, expr)
#define CT_ASSIGN_OR_RETURN_(tmp, lhs, expr) \
  auto tmp = (expr);                         \
  if (!tmp.ok()) {                           \
    return std::move(tmp).status();          \
  }                                          \
  lhs = std::move(*tmp)
