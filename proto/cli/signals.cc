#include "proto/cli/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "proto/base/exit_codes.h"

namespace crowdteach::cli {
namespace {

sigset_t Awaited() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR2}) sigaddset(&set, signal);
  return set;
}

}  // namespace

StopOnSignals::StopOnSignals() {
  const sigset_t set = Awaited();
  // Threads made from now on inherit the mask, so only the waiter sees these signals.
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  waiter_ = std::thread([this, set] {
    for (;;) {
      int signal = 0;
      if (sigwait(&set, &signal) != 0) continue;
      if (signal == SIGUSR2) return;  // from the destructor
      if (source_.stop_requested()) {
        // A half-drawn line must not run into the shell's next prompt.
        const bool live = isatty(STDOUT_FILENO) != 0;
        if (live && write(STDOUT_FILENO, "\n", 1) != 1) _exit(kExitInterrupted);
        _exit(kExitInterrupted);
      }
      source_.request_stop();
    }
  });
}

StopOnSignals::~StopOnSignals() {
  pthread_kill(waiter_.native_handle(), SIGUSR2);
  waiter_.join();
  const sigset_t set = Awaited();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace crowdteach::cli
