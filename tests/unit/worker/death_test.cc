// The worker's death, at every step, is a status; and a new worker works.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <thread>

#include "tests/unit/worker/worker_fixture.h"

namespace crowdteach::learning {
namespace {

using std::chrono::milliseconds;

// The call meets a worker that has stopped in the middle of it and is killed then.
Status KilledDuring(ModelRunner& runner, const std::function<Status()>& call) {
  kill(runner.pid(), SIGSTOP);
  std::thread killer([pid = runner.pid()] {
    std::this_thread::sleep_for(milliseconds(100));
    kill(pid, SIGKILL);
  });
  const Status status = call();
  killer.join();
  return status;
}

bool Running(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string number, name, state;
  return static_cast<bool>(file >> number >> name >> state) && state != "Z";
}

uint64_t PrivateBytesOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  uint64_t value = 0;
  for (int field = 0; field < 6; ++field) file >> value;
  REQUIRE(file.good());
  return value * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

TEST_CASE("a worker killed at any step is a status, and the next one works") {
  const v1::DataTerms terms = SmallModelTerms();
  const ExamplesFile examples = RandomExamples(terms, 40, 1);
  const std::string toml = SmallModel(false);
  const auto gone = absl::StatusCode::kUnavailable;

  SECTION("before the model") {
    auto runner = Value(ModelRunner::Spawn(WorkerOptions()));
    kill(runner->pid(), SIGKILL);
    CHECK(Refused(runner->LoadModel(toml, terms), gone, "signal 9"));
    CHECK_FALSE(runner->alive());
    CHECK(Refused(runner->LoadModel(toml, terms), gone, "signal 9"));
  }
  SECTION("while it loads the model") {
    auto runner = Value(ModelRunner::Spawn(WorkerOptions()));
    CHECK(Refused(KilledDuring(*runner, [&] { return runner->LoadModel(toml, terms); }), gone,
                  "signal 9"));
  }
  SECTION("in training, evaluation, gradient") {
    Ready worker(toml, terms);
    const std::string output = worker.folder / "output";
    const int step = GENERATE(0, 1, 2);
    INFO("step " << step);
    if (step == 0) {
      const auto result =
          worker.Train(examples, Sgd(1, 1000), 1, output, [&](uint64_t batch, uint64_t, double) {
            if (batch == 5) kill(worker.runner->pid(), SIGSEGV);
          });
      CHECK(Refused(result, gone, "signal 11"));
    } else if (step == 1) {
      CHECK(Refused(
          KilledDuring(
              *worker.runner,
              [&] { return worker.runner->Evaluate(worker.weights, examples.fd()).status(); }),
          gone, "signal 9"));
    } else {
      CHECK(Refused(
          KilledDuring(
              *worker.runner,
              [&] {
                return worker.runner->Gradient(worker.weights, examples.fd(), 4, output).status();
              }),
          gone, "signal 9"));
    }
    CHECK_FALSE(worker.runner->alive());
    CHECK_FALSE(std::filesystem::exists(output));
    Ready next(toml, terms);
    CHECK(Value(next.runner->Evaluate(next.weights, examples.fd())).count == 40);
  }
}

TEST_CASE("a worker that makes no progress is killed") {
  const v1::DataTerms terms = SmallModelTerms();
  const ExamplesFile examples = RandomExamples(terms, 40, 1);
  RunnerOptions options = WorkerOptions();
  options.progress_timeout_ms = 3000;
  Ready worker(SmallModel(false), terms, options);
  const pid_t pid = worker.runner->pid();
  const auto result = worker.Train(examples, Sgd(1, 1000), 1, worker.folder / "output",
                                   [&](uint64_t batch, uint64_t, double) {
                                     if (batch == 5) kill(pid, SIGSTOP);
                                   });
  CHECK(Refused(result, absl::StatusCode::kDeadlineExceeded, "stalled"));
  CHECK_FALSE(Running(pid));
}

TEST_CASE("a worker that does not heed a stop is killed") {
  const v1::DataTerms terms = SmallModelTerms();
  const ExamplesFile examples = RandomExamples(terms, 40, 1);
  RunnerOptions options = WorkerOptions();
  options.cancel_timeout_ms = 200;
  Ready worker(SmallModel(false), terms, options);
  const pid_t pid = worker.runner->pid();
  std::stop_source stop;
  const auto result = worker.Train(
      examples, Sgd(1, 1000), 1, worker.folder / "output",
      [&](uint64_t batch, uint64_t, double) {
        if (batch != 5) return;
        kill(pid, SIGSTOP);
        stop.request_stop();
      },
      stop.get_token());
  CHECK(Refused(result, absl::StatusCode::kCancelled, "was killed"));
  CHECK_FALSE(Running(pid));
  CHECK_FALSE(worker.runner->alive());
}

TEST_CASE("too little memory is a status") {
  const v1::DataTerms terms = SmallTerms({1, 512, 512}, v1::U8, {"a", "b"});
  // A pool keeps 8 bytes of index a value besides its output: more than the bound counts.
  std::string toml =
      "[model]\nname = \"wide\"\ninput = [1, 512, 512]\n[[layer]]\nname = \"conv\"\n"
      "type = \"Conv2d\"\nin_channels = 1\nout_channels = 1\nkernel_size = 1\n";
  for (int i = 0; i < 24; ++i) {
    toml +=
        "[[layer]]\nname = \"p" + std::to_string(i) + "\"\ntype = \"MaxPool2d\"\nkernel_size = 1\n";
  }
  toml +=
      "[[layer]]\nname = \"flat\"\ntype = \"Flatten\"\n[[layer]]\nname = \"out\"\n"
      "type = \"Linear\"\nin_features = 262144\nout_features = 2\n";
  const ExamplesFile examples = RandomExamples(terms, 8, 1);
  const auto exhausted = absl::StatusCode::kResourceExhausted;
  RunnerOptions options = WorkerOptions();
  const uint64_t used = PrivateBytesOf(Value(ModelRunner::Spawn(options))->pid());
  CHECK(used < options.memory_limit_bytes / 2);

  options.memory_limit_bytes = used + (uint64_t{500} << 20);
  Ready worker(toml, terms, options);
  const std::string output = worker.folder / "output";
  CHECK(Refused(worker.Train(examples, Sgd(8, 1), 1, output), exhausted, "out of memory"));
  CHECK(worker.runner->alive());
  CHECK(Value(worker.Train(examples, Sgd(1, 1), 1, output)).finite);

  options.memory_limit_bytes = used + (uint64_t{100} << 20);
  Ready small(toml, terms, options);
  CHECK(Refused(small.Train(examples, Sgd(8, 1), 1, output), exhausted, "memory limit leaves"));

  options.memory_limit_bytes = 1 << 20;
  CHECK(Refused(ModelRunner::Spawn(options), absl::StatusCode::kInvalidArgument, "at least"));
}

TEST_CASE("a program that is no worker is refused") {
  RunnerOptions options = WorkerOptions();
  options.worker_path = "/bin/true";
  CHECK(Refused(ModelRunner::Spawn(options), absl::StatusCode::kUnavailable, "exit status 0"));
  options.worker_path = "/nonexistent/worker";
  CHECK(Refused(ModelRunner::Spawn(options), absl::StatusCode::kNotFound, "/nonexistent/worker"));
}

TEST_CASE("the worker ends when the program it works for does") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto runner = ModelRunner::Spawn(WorkerOptions());
    const pid_t pid = runner.ok() ? (*runner)->pid() : -1;
    _exit(write(ends[1], &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1);  // no destructor runs
  }
  pid_t worker = -1;
  REQUIRE(read(ends[0], &worker, sizeof(worker)) == sizeof(worker));
  waitpid(child, nullptr, 0);
  REQUIRE(worker > 0);
  for (int i = 0; i < 200 && Running(worker); ++i) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  CHECK_FALSE(Running(worker));
}

}  // namespace
}  // namespace crowdteach::learning
