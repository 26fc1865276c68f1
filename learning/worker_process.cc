#include "learning/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "proto/base/bytes.h"

namespace crowdteach::learning {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWorkerSocket = 3;
constexpr size_t kPrintedBytes = 2000;
constexpr int64_t kShutDownLookMs = 100;  // how often a waiting call looks whether to shut down

int64_t LeftMs(Clock::time_point deadline) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
}

// A descriptor above those a child's standard ones are put on.
StatusOr<Fd> MoveUp(Fd fd) {
  Fd high(fcntl(fd.get(), F_DUPFD_CLOEXEC, 10));
  if (!high.valid()) {
    return ErrnoStatus(errno, "a descriptor for the worker");
  }
  return high;
}

// The worker sees nothing of our environment but where its libraries are.
std::vector<std::string> Environment(int threads) {
  std::vector<std::string> environment = {"LC_ALL=C.UTF-8",
                                          fmt::format("OMP_NUM_THREADS={}", threads)};
  if (const char* path = std::getenv("LD_LIBRARY_PATH"); path != nullptr) {
    environment.push_back(fmt::format("LD_LIBRARY_PATH={}", path));
  }
  return environment;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

// posix_spawn, not fork: safe in a program with threads. No other descriptor of ours is inherited.
StatusOr<pid_t> SpawnProgram(const RunnerOptions& options, int socket, int standard_error) {
  std::vector<std::string> arguments = {
      options.worker_path, fmt::format("--socket-fd={}", kWorkerSocket),
      fmt::format("--threads={}", options.threads),
      fmt::format("--memory-limit={}", options.memory_limit_bytes)};
  if (!options.sandbox) {
    arguments.emplace_back("--no-sandbox");
  }
  if (options.allow_model_code) {
    arguments.emplace_back("--allow-model-code");
  }
  std::vector<std::string> environment = Environment(options.threads);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, standard_error, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&files, socket, kWorkerSocket);
  posix_spawn_file_actions_addclosefrom_np(&files, kWorkerSocket + 1);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  // A group of its own: Ctrl-C at a terminal is for us, and we end the worker.
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, options.worker_path.c_str(), &files, &attributes,
                                Pointers(arguments).data(), Pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    return ErrnoStatus(error, fmt::format("starting the worker '{}'", options.worker_path));
  }
  return pid;
}

bool LooksLikeNoMemory(std::string_view printed) {
  for (const std::string_view text : {"bad_alloc", "allocate memory", "Thread creation failed",
                                      "out of memory", "Memory allocation"}) {
    if (printed.find(text) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

// It has read foreign bytes, and may have run foreign code: so has what it says.
Status WorkersError(const v1::WorkerError& error) {
  return Status(static_cast<absl::StatusCode>(error.code()), base::Printable(error.message()));
}

std::string HowItEnded(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    const std::string_view note = signal == SIGKILL
                                      ? ", by someone or for want of memory on this machine"
                                  : signal == SIGSYS ? ", a system call its sandbox forbids"
                                                     : "";
    return fmt::format("killed by signal {} ({}){}", signal, strsignal(signal), note);
  }
  return fmt::format("it ended with exit status {}", WEXITSTATUS(wait_status));
}

}  // namespace

StatusOr<std::unique_ptr<WorkerProcess>> WorkerProcess::Spawn(const RunnerOptions& options) {
  if (options.threads < 1 || options.threads > 256) {
    return InvalidArgument("{} threads for the worker: 1 to 256 are possible", options.threads);
  }
  if (options.start_timeout_ms <= 0 || options.progress_timeout_ms <= 0 ||
      options.cancel_timeout_ms <= 0) {
    return InvalidArgument("the worker's timeouts must be above 0 ms");
  }
  if (options.allow_model_code && !options.sandbox) {
    return InvalidArgument("models as code run in the sandbox only");
  }
  std::unique_ptr<WorkerProcess> process(new WorkerProcess(options));
  CT_RETURN_IF_ERROR(process->Start());
  return process;
}

WorkerProcess::~WorkerProcess() {
  if (alive()) {
    Bury(absl::CancelledError("no longer needed")).IgnoreError();
  }
}

Status WorkerProcess::Start() {
  int sockets[2] = {-1, -1}, pipes[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return ErrnoStatus(errno, "a socket pair for the worker");
  }
  socket_ = Fd(sockets[0]);
  CT_ASSIGN_OR_RETURN(Fd theirs, MoveUp(Fd(sockets[1])));
  // Non-blocking at both ends: what the worker prints never holds it up, nor us.
  if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "a pipe for the worker's messages");
  }
  stderr_ = Fd(pipes[0]);
  CT_ASSIGN_OR_RETURN(Fd printing, MoveUp(Fd(pipes[1])));
  CT_ASSIGN_OR_RETURN(pid_, SpawnProgram(options_, theirs.get(), printing.get()));
  theirs = Fd();
  printing = Fd();
  reader_ = std::make_unique<FrameReader>(socket_.get());

  int no_cancel = -1;
  CT_ASSIGN_OR_RETURN(const v1::WorkerReply hello, Next(options_.start_timeout_ms, &no_cancel, 0));
  if (hello.has_error()) {
    return Bury(WorkersError(hello.error()));
  }
  if (!hello.has_hello() || hello.hello().sandboxed() != options_.sandbox) {
    return Bury(FailedPrecondition("'{}' does not answer as a crowdteach-worker of this version",
                                   options_.worker_path));
  }
  return OkStatus();
}

StatusOr<v1::WorkerReply> WorkerProcess::Next(int64_t timeout_ms, int* cancel_fd, uint64_t id) {
  Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  bool cancelled = false;
  while (true) {
    Frame frame;
    const StatusOr<bool> received = reader_->Receive(false, &frame);
    if (!received.ok()) {
      return Bury(received.status());
    }
    v1::WorkerReply reply;
    if (*received) {
      if (!reply.ParseFromString(frame.bytes)) {
        return Bury(DataLoss("it sent a message that is not one"));
      }
      return reply;
    }
    if (options_.shut_down.stop_requested()) {
      return Bury(absl::CancelledError("shutting down"));
    }
    int64_t left_ms = LeftMs(deadline);
    if (left_ms <= 0 && cancelled) {
      return Bury(absl::CancelledError("cancelled; it did not give up and was killed"));
    }
    if (left_ms <= 0) {
      return Bury(DeadlineExceeded("no progress for {} ms", timeout_ms));
    }
    if (options_.shut_down.stop_possible()) {
      left_ms = std::min(left_ms, kShutDownLookMs);
    }
    pollfd wait[] = {
        {socket_.get(), POLLIN, 0}, {stderr_.get(), POLLIN, 0}, {*cancel_fd, POLLIN, 0}};
    if (poll(wait, 3, static_cast<int>(std::min<int64_t>(left_ms, 1 << 30))) < 0 &&
        errno != EINTR) {
      return Bury(ErrnoStatus(errno, "waiting for it"));
    }
    if (wait[1].revents != 0) {
      DrainStderr();
    }
    if (wait[2].revents != 0) {
      *cancel_fd = -1;
      v1::WorkerRequest cancel;
      cancel.set_id(id);
      cancel.mutable_cancel();
      const Status sent = SendFrame(socket_.get(), cancel.SerializeAsString(), {}, left_ms);
      if (!sent.ok()) {
        return Bury(sent);
      }
      cancelled = true;
      deadline =
          std::min(deadline, Clock::now() + std::chrono::milliseconds(options_.cancel_timeout_ms));
    }
  }
}

StatusOr<v1::WorkerReply> WorkerProcess::Call(v1::WorkerRequest request,
                                              const std::vector<int>& fds,
                                              const TrainProgress& progress,
                                              const std::stop_token& stop) {
  if (!alive()) {
    return death_;
  }
  if (stop.stop_requested()) {
    return absl::CancelledError("cancelled");
  }
  const Fd stopped(eventfd(0, EFD_CLOEXEC));
  if (!stopped.valid()) {
    return ErrnoStatus(errno, "an event descriptor");
  }
  const std::stop_callback on_stop(stop, [fd = stopped.get()] { eventfd_write(fd, 1); });
  request.set_id(++last_id_);
  const Status sent =
      SendFrame(socket_.get(), request.SerializeAsString(), fds, options_.progress_timeout_ms);
  if (sent.code() == absl::StatusCode::kInvalidArgument) {
    return sent;
  }
  if (!sent.ok()) {
    return Bury(sent);
  }
  uint64_t batches_done = 0;
  int cancel_fd = stopped.get();
  while (true) {
    CT_ASSIGN_OR_RETURN(v1::WorkerReply reply,
                        Next(options_.progress_timeout_ms, &cancel_fd, request.id()));
    // Progress must be progress: a worker that only says so is stalled, too.
    const v1::WorkerProgress& step = reply.progress();
    if (reply.id() != request.id() ||
        (reply.has_progress() && (step.batch() <= batches_done || step.batch() > step.batches()))) {
      return Bury(DataLoss("it answered what was not asked"));
    }
    if (reply.has_error()) {
      return WorkersError(reply.error());
    }
    if (!reply.has_progress()) {
      return reply;
    }
    batches_done = step.batch();
    if (progress) {
      progress(step.batch(), step.batches(), step.loss());
    }
  }
}

void WorkerProcess::DrainStderr() {
  char buffer[4096];
  for (int i = 0; i < 16; ++i) {  // bounded: it could print faster than we read
    const ssize_t n = read(stderr_.get(), buffer, sizeof(buffer));
    if (n <= 0) {
      if (n == 0) {
        stderr_ = Fd();  // poll ignores -1
      }
      return;
    }
    printed_.append(buffer, static_cast<size_t>(n));
    if (printed_.size() > kPrintedBytes) {
      printed_.erase(0, printed_.size() - kPrintedBytes);
    }
  }
}

Status WorkerProcess::Bury(const Status& cause) {
  // If it is dying already, this does not change what it died of.
  kill(pid_, SIGKILL);
  int wait_status = 0;
  pid_t reaped = -1;
  do {
    reaped = waitpid(pid_, &wait_status, 0);
  } while (reaped < 0 && errno == EINTR);
  pid_ = -1;
  DrainStderr();
  socket_ = Fd();
  const bool closed = cause.code() == absl::StatusCode::kUnavailable;  // it went by itself
  const std::string why =
      closed ? (reaped > 0 ? HowItEnded(wait_status) : Message(cause)) : Message(cause);
  const std::string said =
      printed_.empty() ? "" : fmt::format("; it printed: {}", base::Printable(printed_));
  if (closed && LooksLikeNoMemory(printed_)) {
    death_ = ResourceExhausted("the worker ran out of memory ({}){}", why, said);
  } else if (cause.code() == absl::StatusCode::kDeadlineExceeded) {
    death_ = DeadlineExceeded("the worker stalled and was killed: {}{}", why, said);
  } else {
    death_ = Unavailable("the worker is gone: {}{}", why, said);
  }
  return closed || cause.code() == absl::StatusCode::kDeadlineExceeded ||
                 cause.code() == absl::StatusCode::kDataLoss
             ? death_
             : cause;
}

}  // namespace crowdteach::learning
