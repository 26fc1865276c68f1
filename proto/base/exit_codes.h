// What the programs' exit codes mean: one table for crowdteach, crowdteachd and crowdteach-audit.
//
// Thread-safety: pure functions.
#pragma once

#include <string_view>

#include "proto/base/status.h"

namespace crowdteach {

enum ExitCode : int {
  kExitOk = 0,
  kExitInternal = 1,     // a bug of ours; please report it
  kExitUsage = 2,        // the command line or a file given on it is wrong
  kExitUnreachable = 3,  // the coordinator cannot be reached
  kExitRefused = 4,      // the coordinator or the rules refuse
  kExitIo = 5,           // a file, a disk or a permission of this machine
  kExitDisproved = 6,    // the evidence does not verify
  kExitIncomplete = 7,   // verified, but something that was asked for could not be checked
  kExitFork = 8,         // the log was forked or rolled back
  kExitStalled = 9,      // the log or a process does not move on
  kExitInterrupted = 130,
};

// The table for --help, one line a code.
inline constexpr std::string_view kExitCodeHelp =
    "Exit codes:\n"
    "  0  done\n"
    "  1  internal error (please report it)\n"
    "  2  wrong command line or input file\n"
    "  3  the coordinator cannot be reached\n"
    "  4  refused by the coordinator or the rules\n"
    "  5  a file, disk or permission of this machine\n"
    "  6  the evidence does not verify\n"
    "  7  verified, but something that was asked for could not be checked\n"
    "  8  the log was forked or rolled back\n"
    "  9  no progress\n"
    "  130  interrupted\n";

// Notes on `status` that it came from the other end of a connection, so that "not found" there is
// told from "file not found" here. Kept by Annotate.
Status FromPeer(Status status);
bool IsFromPeer(const Status& status);

// Notes on `status` that two signed heads of one log contradict each other. Kept by Annotate.
Status AsFork(Status status);
bool IsFork(const Status& status);

// kExitFork if IsFork. Of a peer's status: kUnavailable and kDeadlineExceeded are kExitUnreachable,
// else kExitRefused. Of our own: kInvalidArgument kExitUsage; kNotFound, kPermissionDenied,
// kAlreadyExists, kResourceExhausted, kUnavailable kExitIo; kDataLoss kExitDisproved; kCancelled
// kExitInterrupted; kDeadlineExceeded kExitStalled; kInternal, kUnknown, kUnimplemented
// kExitInternal; else kExitRefused.
int ExitCodeOf(const Status& status);

}  // namespace crowdteach
