// Gives up, for good, everything the worker does not need to compute: it may read and write the
// descriptors it has or is sent, allocate memory up to a limit, and use threads.
//
// Linux only: no_new_privs, a seccomp filter (seccomp(2)) on all threads, resource limits.
// Thread-safety: call once, from the main thread, when every library has warmed up.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "proto/base/status.h"

namespace crowdteach::learning {

// Private memory of this process now, by /proc/self/statm; not readable in the sandbox.
StatusOr<uint64_t> PrivateBytes();

// RLIMIT_DATA: all private memory, libraries' and stacks' included; no core dumps; first to go when
// the machine runs out. kInvalidArgument: less than is in use, with 64 MiB to spare.
Status LimitMemory(uint64_t limit_bytes);

// Afterwards open, socket, exec, fork and their kin fail with EPERM, clone makes threads only,
// clone3 is ENOSYS (so that the C library falls back to clone), shared anonymous memory (which
// RLIMIT_DATA does not count) is refused, and any other system call that computing does not need
// kills the process. kFailedPrecondition: this kernel refuses, or accepts but does not enforce it.
Status EnterSandbox();

// Tries what must be denied and reports each as it is tried ("open", "Operation not permitted").
struct SandboxProbe {
  std::string name;
  bool denied = false;
  std::string outcome;
};
void ProbeSandbox(const std::function<void(const SandboxProbe&)>& report);

}  // namespace crowdteach::learning
