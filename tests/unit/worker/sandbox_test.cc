// What the worker may not do, tried from inside, and what shows from outside.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <set>

#include "tests/unit/worker/worker_fixture.h"

namespace crowdteach::learning {
namespace {

std::string Line(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return line.substr(line.find_last_of(" \t") + 1);
  }
  return "";
}

TEST_CASE("inside the sandbox, what it must deny is denied") {
  FILE* pipe = popen((kWorker + " --selftest-sandbox --threads 2 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  char buffer[512];
  while (std::fgets(buffer, sizeof(buffer), pipe) != nullptr) output += buffer;
  INFO(output);
  CHECK(pclose(pipe) == 0);
  for (const char* name : {"open", "create", "socket", "memfd_create", "fork", "clone",
                           "shared memory", "kill", "setrlimit", "execve"}) {
    CHECK(output.find(std::string(name) + ": Operation not permitted\n") != std::string::npos);
  }
}

TEST_CASE("every thread of a worker is under the filter, and it inherits no file") {
  const int open_here = open("/etc/hostname", O_RDONLY);  // not close-on-exec
  REQUIRE(open_here >= 0);
  RunnerOptions options = WorkerOptions();
  options.threads = 2;
  const auto runner = Value(ModelRunner::Spawn(options));
  close(open_here);
  const std::string process = "/proc/" + std::to_string(runner->pid());
  int threads = 0;
  for (const auto& task : std::filesystem::directory_iterator(process + "/task")) {
    CHECK(Line(task.path().string() + "/status", "Seccomp:") == "2");
    CHECK(Line(task.path().string() + "/status", "NoNewPrivs:") == "1");
    ++threads;
  }
  CHECK(threads >= 2);
  std::set<std::string> descriptors;
  for (const auto& entry : std::filesystem::directory_iterator(process + "/fd")) {
    descriptors.insert(entry.path().filename().string());
  }
  CHECK(descriptors == std::set<std::string>{"0", "1", "2", "3"});
}

TEST_CASE("without the sandbox it works too, when asked") {
  const v1::DataTerms terms = SmallModelTerms();
  const ExamplesFile examples = RandomExamples(terms, 20, 2);
  RunnerOptions options = WorkerOptions();
  options.sandbox = false;
  Ready worker(SmallModel(false), terms, options);
  CHECK(Line("/proc/" + std::to_string(worker.runner->pid()) + "/status", "Seccomp:") == "0");
  CHECK(Value(worker.runner->Evaluate(worker.weights, examples.fd())).count == 20);
}

TEST_CASE("a program that runs models links no Torch") {
  std::ifstream maps("/proc/self/maps");
  const std::string text{std::istreambuf_iterator<char>(maps), {}};
  CHECK(text.find("/libc.so") != std::string::npos);
  CHECK(text.find("libtorch") == std::string::npos);
}

}  // namespace
}  // namespace crowdteach::learning
