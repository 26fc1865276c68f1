// Runs somebody's program in a process group of its own and makes sure that the group ends.
// Thread-safety: pure functions; a stop token may be used from any thread.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/status.h"

namespace crowdteach::client {

struct ProgramCall {
  std::vector<std::string> words;  // the first is the program's path
  // "NAME=value", in place of or besides our own environment's.
  std::vector<std::string> environment;
  std::chrono::steady_clock::time_point deadline;
  std::chrono::milliseconds grace = std::chrono::seconds(5);  // between SIGTERM and SIGKILL
};

struct ProgramEnd {
  enum class Why { kByItself, kDeadline, kStopped };
  Why why = Why::kByItself;
  int wait_status = 0;  // waitpid(2)
  bool ok() const { return why == Why::kByItself && wait_status == 0; }
  // "it ended with exit status 1", "it was killed by signal 11 (Segmentation fault)".
  std::string HowItEnded() const;
};

// In our working directory, standard input empty, no descriptor of ours inherited; `output` gets
// what it prints on standard output and error as it comes. At the deadline, and when `stop` is
// requested, the group gets SIGTERM and, `grace` later, SIGKILL. Whatever of the group is left when
// the program itself has ended is killed, too; a process that left the group is not ours any more.
// Errors of starting it: ErrnoStatus, with the path.
StatusOr<ProgramEnd> RunProgram(const ProgramCall& call,
                                const std::function<void(std::string_view)>& output,
                                const std::stop_token& stop);

// Kills every process of this user whose environment holds `variable`, "NAME=value".
void KillProgramsWith(std::string_view variable);

}  // namespace crowdteach::client
