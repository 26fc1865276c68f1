#include "learning/worker/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace crowdteach::learning {
namespace {

constexpr uint64_t kSpareBytes = uint64_t{64} << 20;
constexpr const char* kHow = "pass --no-sandbox to run models with this user's own rights instead";

// What computing, threads, and reading and writing given descriptors need.
constexpr int kAllowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(pwritev),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fcntl),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(mprotect),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(get_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(membarrier),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(getcpu),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(times),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getrusage),
    SCMP_SYS(getrlimit),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(set_tid_address),
};

// What libraries try now and then and can do without; everything not listed kills.
constexpr int kDenied[] = {
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(openat2),
    SCMP_SYS(creat),
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(prctl),
    SCMP_SYS(arch_prctl),
    SCMP_SYS(ioctl),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(chdir),
    SCMP_SYS(getdents64),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(memfd_create),
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(kill),
    SCMP_SYS(tkill),
    SCMP_SYS(setrlimit),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_setscheduler),
    SCMP_SYS(setpriority),
    SCMP_SYS(get_mempolicy),
    SCMP_SYS(set_mempolicy),
    SCMP_SYS(mbind),
    SCMP_SYS(mlock),
    SCMP_SYS(shmget),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(wait4),
    SCMP_SYS(waitid),
};

// Adds rules to a filter and remembers the first failure.
struct Rules {
  scmp_filter_ctx filter;
  int error = 0;

  template <typename... Compare>
  void Add(uint32_t action, int syscall, Compare... compare) {
    const int rc = seccomp_rule_add(filter, action, syscall, sizeof...(compare), compare...);
    if (rc != 0 && error == 0) {
      error = -rc;
    }
  }
};

int AddRules(scmp_filter_ctx filter) {
  const uint32_t deny = SCMP_ACT_ERRNO(EPERM);
  Rules rules{filter};
  for (const int syscall : kAllowed) {
    rules.Add(SCMP_ACT_ALLOW, syscall);
  }
  for (const int syscall : kDenied) {
    rules.Add(deny, syscall);
  }
  rules.Add(SCMP_ACT_ALLOW, SCMP_SYS(clone),
            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
  rules.Add(deny, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
  rules.Add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
  constexpr uint64_t kBoth = MAP_SHARED | MAP_ANONYMOUS;
  for (const uint64_t flags : {uint64_t{0}, uint64_t{MAP_SHARED}, uint64_t{MAP_ANONYMOUS}}) {
    rules.Add(SCMP_ACT_ALLOW, SCMP_SYS(mmap), SCMP_A3(SCMP_CMP_MASKED_EQ, kBoth, flags));
  }
  rules.Add(deny, SCMP_SYS(mmap), SCMP_A3(SCMP_CMP_MASKED_EQ, kBoth, kBoth));
  const auto self = static_cast<scmp_datum_t>(getpid());  // abort() signals its own thread
  rules.Add(SCMP_ACT_ALLOW, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, self));
  rules.Add(deny, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_NE, self));
  rules.Add(SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0));  // reading only
  rules.Add(deny, SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_NE, 0));
  return rules.error;
}

SandboxProbe Outcome(std::string name, bool allowed, int error) {
  return {std::move(name), !allowed && error == EPERM, allowed ? "ALLOWED" : std::strerror(error)};
}

SandboxProbe OutcomeOfFd(std::string name, int fd) {
  const int error = errno;
  if (fd >= 0) {
    close(fd);
  }
  return Outcome(std::move(name), fd >= 0, error);
}

SandboxProbe OutcomeOfChild(std::string name, pid_t child) {
  const int error = errno;
  if (child == 0) {
    _exit(0);
  }
  if (child > 0) {
    waitpid(child, nullptr, 0);
  }
  return Outcome(std::move(name), child > 0, error);
}

}  // namespace

StatusOr<uint64_t> PrivateBytes() {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen("/proc/self/statm", "re"),
                                                   std::fclose);
  unsigned long long data_pages = 0;
  if (file == nullptr || std::fscanf(file.get(), "%*u %*u %*u %*u %*u %llu", &data_pages) != 1) {
    return FailedPrecondition("/proc/self/statm cannot be read; is /proc mounted?");
  }
  return data_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

Status LimitMemory(uint64_t limit_bytes) {
  CT_ASSIGN_OR_RETURN(const uint64_t used, PrivateBytes());
  if (limit_bytes < used + kSpareBytes) {
    return InvalidArgument("a memory limit of {} MiB for the worker: it needs at least {} MiB",
                           limit_bytes >> 20, ((used + kSpareBytes) >> 20) + 1);
  }
  const rlimit data{limit_bytes, limit_bytes}, none{0, 0};
  if (setrlimit(RLIMIT_DATA, &data) != 0 || setrlimit(RLIMIT_CORE, &none) != 0) {
    return ErrnoStatus(errno, "setrlimit in the worker");
  }
  // A preference, not a protection: where /proc is read-only the limit above still holds.
  if (const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); fd >= 0) {
    [[maybe_unused]] const ssize_t written = write(fd, "500", 3);
    close(fd);
  }
  return OkStatus();
}

Status EnterSandbox() {
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(seccomp_init(SCMP_ACT_KILL_PROCESS),
                                                                seccomp_release);
  if (filter == nullptr) {
    return FailedPrecondition("no sandbox: libseccomp cannot start; {}", kHow);
  }
  int error = -seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_NNP, 1);
  if (error == 0) {
    error = -seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
  }
  if (error == 0) {
    error = AddRules(filter.get());
  }
  if (error == 0) {
    error = -seccomp_load(filter.get());
  }
  if (error != 0) {
    return FailedPrecondition("no sandbox: this kernel refuses the seccomp filter ({}); {}",
                              std::strerror(error), kHow);
  }
  if (const SandboxProbe probe = OutcomeOfFd("open", open("/", O_RDONLY | O_CLOEXEC));
      !probe.denied) {
    return FailedPrecondition(
        "no sandbox: this kernel took the seccomp filter and does not "
        "enforce it (open: {}); {}",
        probe.outcome, kHow);
  }
  return OkStatus();
}

void ProbeSandbox(const std::function<void(const SandboxProbe&)>& report) {
  errno = 0;
  report(OutcomeOfFd("open", open("/etc/hostname", O_RDONLY | O_CLOEXEC)));
  report(OutcomeOfFd("create", open("/tmp/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
  report(OutcomeOfFd("socket", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  report(OutcomeOfFd("memfd_create", memfd_create("x", MFD_CLOEXEC)));
  report(OutcomeOfChild("fork", fork()));
  report(OutcomeOfChild("clone", static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))));
  void* shared = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  report(Outcome("shared memory", shared != MAP_FAILED, errno));
  report(Outcome("kill", kill(getppid(), 0) == 0, errno));
  const rlimit more{RLIM_INFINITY, RLIM_INFINITY};
  report(Outcome("setrlimit", setrlimit(RLIMIT_DATA, &more) == 0, errno));
  char path[] = "/bin/true";
  char* const arguments[] = {path, nullptr};
  char* const environment[] = {nullptr};
  execve(path, arguments, environment);  // last: returns only when it is denied
  report(Outcome("execve", false, errno));
}

}  // namespace crowdteach::learning
