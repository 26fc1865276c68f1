#include "client/program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "learning/worker_channel.h"
#include "proto/base/file.h"

namespace crowdteach::client {
namespace {

using Clock = std::chrono::steady_clock;
using learning::Fd;

constexpr int kDrainedReads = 256;  // of what is still in the pipe at the end

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Ours, but for what `changes` says.
std::vector<std::string> Environment(const std::vector<std::string>& changes) {
  std::vector<std::string> environment = changes;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, std::min(text.find('=') + 1, text.size()));
    const bool changed = std::any_of(changes.begin(), changes.end(), [&](const auto& change) {
      return change.compare(0, name.size(), name) == 0;
    });
    if (!changed) environment.emplace_back(text);
  }
  return environment;
}

Status StartError(int error, const std::string& path) {
  if (error == ENOEXEC) {
    return InvalidArgument(
        "starting {}: it is no program of this machine; a script begins with a line such as "
        "#!/usr/bin/env python3",
        path);
  }
  const std::string what = "starting " + path;
  if (error != ENOENT || access(path.c_str(), F_OK) != 0) return ErrnoStatus(error, what);
  return NotFound("{}: the interpreter in its first line is not on this machine", what);
}

// posix_spawn, not fork: safe in a program with threads.
StatusOr<pid_t> Spawn(const ProgramCall& call, int output) {
  std::vector<std::string> words = call.words;
  std::vector<std::string> environment = Environment(call.environment);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, words[0].c_str(), &files, &attributes, Pointers(words).data(),
                                Pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return StartError(error, words[0]);
  return pid;
}

// A started program, until it is reaped.
class Running {
 public:
  Running(pid_t pid, Fd exited, Fd pipe, const ProgramCall& call,
          const std::function<void(std::string_view)>& output)
      : pid_(pid),
        exited_(std::move(exited)),
        pipe_(std::move(pipe)),
        call_(call),
        output_(output) {}

  ProgramEnd Wait(const std::stop_token& stop) {
    const Fd stopped(eventfd(0, EFD_CLOEXEC));
    const std::stop_callback on_stop(stop, [fd = stopped.get()] { eventfd_write(fd, 1); });
    for (bool ended = false; !ended;) {
      pollfd wait[] = {{exited_.get(), POLLIN, 0},
                       {pipe_.get(), POLLIN, 0},
                       {asked_.has_value() ? -1 : stopped.get(), POLLIN, 0}};
      if (poll(wait, 3, TimeoutMs()) < 0) continue;  // EINTR
      if (wait[1].revents != 0) Read();
      ended = wait[0].revents != 0;
      if (!ended && wait[2].revents != 0) Ask(ProgramEnd::Why::kStopped);
      if (!ended && Clock::now() >= NextMoment()) {
        asked_.has_value() ? Kill() : Ask(ProgramEnd::Why::kDeadline);
      }
    }
    return Reap();
  }

 private:
  // When something has to be done to it.
  Clock::time_point NextMoment() const {
    if (killed_) return Clock::time_point::max();
    return asked_.has_value() ? *asked_ + call_.grace : call_.deadline;
  }
  int TimeoutMs() const {
    const Clock::time_point next = NextMoment();
    if (next == Clock::time_point::max()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
    return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
  }
  void Ask(ProgramEnd::Why why) {
    end_.why = why;
    asked_ = Clock::now();
    kill(-pid_, SIGTERM);
  }
  void Kill() {
    killed_ = true;
    kill(-pid_, SIGKILL);
  }
  // False: nothing is there now, or ever.
  bool Read() {
    char buffer[16384];
    const ssize_t got = read(pipe_.get(), buffer, sizeof(buffer));
    if (got > 0) output_({buffer, static_cast<size_t>(got)});
    if (got == 0) pipe_ = Fd();  // poll ignores -1
    return got > 0;
  }
  ProgramEnd Reap() {
    // Not reaped yet, it still holds the number of its group.
    kill(-pid_, SIGKILL);
    while (waitpid(pid_, &end_.wait_status, 0) < 0 && errno == EINTR) {
    }
    for (int i = 0; i < kDrainedReads && pipe_.valid() && Read(); ++i) {
    }
    return end_;
  }

  const pid_t pid_;
  const Fd exited_;  // readable when it has ended
  Fd pipe_;
  const ProgramCall& call_;
  const std::function<void(std::string_view)>& output_;
  ProgramEnd end_;
  std::optional<Clock::time_point> asked_;  // when it got SIGTERM
  bool killed_ = false;
};

}  // namespace

std::string ProgramEnd::HowItEnded() const {
  if (!WIFSIGNALED(wait_status)) {
    return fmt::format("it ended with exit status {}", WEXITSTATUS(wait_status));
  }
  const int signal = WTERMSIG(wait_status);
  return fmt::format("it was killed by signal {} ({})", signal, strsignal(signal));
}

void KillProgramsWith(std::string_view variable) {
  constexpr size_t kMaxEnvironment = size_t{4} << 20;
  const std::string wanted = fmt::format("{}{}", variable, '\0');
  std::error_code error;
  for (const auto& item : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = item.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto pid = static_cast<pid_t>(std::strtol(name.c_str(), nullptr, 10));
    if (pid == getpid()) continue;
    // So that the number is still this process's when it is killed.
    const Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    const StatusOr<std::string> environment =
        base::ReadFile(item.path().string() + "/environ", kMaxEnvironment);
    if (!process.valid() || !environment.ok()) continue;  // it has ended, or is somebody else's
    const size_t at = environment->find(wanted);
    if (at == std::string::npos || (at > 0 && (*environment)[at - 1] != '\0')) continue;
    syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
  }
}

StatusOr<ProgramEnd> RunProgram(const ProgramCall& call,
                                const std::function<void(std::string_view)>& output,
                                const std::stop_token& stop) {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "a pipe for the program's output");
  Fd pipe(ends[0]);
  Fd theirs(ends[1]);
  // Above those that the program's own are put on.
  Fd high(fcntl(theirs.get(), F_DUPFD_CLOEXEC, 10));
  if (!high.valid() || fcntl(pipe.get(), F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "a pipe for the program's output");
  }
  theirs = Fd();
  CT_ASSIGN_OR_RETURN(const pid_t pid, Spawn(call, high.get()));
  high = Fd();
  // Not by <sys/pidfd.h>: Debian 12's is not for C++.
  Fd exited(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!exited.valid()) {
    const int error = errno;
    kill(-pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return ErrnoStatus(error, "watching the program");
  }
  return Running(pid, std::move(exited), std::move(pipe), call, output).Wait(stop);
}

}  // namespace crowdteach::client
