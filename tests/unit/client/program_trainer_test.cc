// Own training programs: shell scripts here, good ones and all the bad ones.
#include "client/program_trainer.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>

#include "client/program.h"
#include "client/public_terms.h"
#include "client/round_training.h"
#include "learning/model/model_spec.h"
#include "learning/model/safetensors.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::client {
namespace {

using absl::StatusCode;
using std::chrono::milliseconds, std::chrono::seconds, std::chrono::steady_clock;
using testing::Refused;

constexpr char kModel[] =
    "[model]\nname = \"tiny\"\ninput = [3]\n"
    "[[layer]]\nname = \"fc\"\ntype = \"Linear\"\nin_features = 3\nout_features = 2\n"
    "trainable = false\n"
    "[[layer]]\nname = \"out\"\ntype = \"Linear\"\nin_features = 2\nout_features = 2\n";

struct Listener : Observer {
  std::vector<std::string> lines;
  std::vector<uint64_t> steps;
  void Said(uint32_t, std::string_view line) override { lines.emplace_back(line); }
  void Training(uint32_t, uint64_t done, uint64_t, double) override { steps.push_back(done); }
};

// A round of a tiny campaign, in a folder with a space in its name.
struct Round {
  Round() {
    std::string name = (std::filesystem::temp_directory_path() / "own trainer-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    folder = name;
    v1::CampaignOpen open;
    open.mutable_terms()->set_model_toml(kModel);
    open.mutable_terms()->set_scale_bits(24);
    joining.terms = open.terms();
    joining.layout = learning::LayoutOf(*learning::ParseModelSpec(kModel));
    joining.campaign = MakeCampaign(5, open, joining.layout);
    Write("base", [](uint64_t i) { return static_cast<float>(i); });
    work = {.round = 3,
            .seed = 77,
            .base_path = folder + "/base",
            .deadline = steady_clock::now() + std::chrono::minutes(1),
            .scratch = folder + "/scratch",
            .update_path = folder + "/update"};
  }
  ~Round() { std::filesystem::remove_all(folder); }

  template <typename Value>
  void Write(const std::string& name, Value value) const {
    REQUIRE(learning::WriteWeights(folder + "/" + name, joining.layout,
                                   [&](uint64_t begin, std::span<float> tile) {
                                     for (float& v : tile) v = value(begin++);
                                     return OkStatus();
                                   })
                .ok());
  }

  StatusOr<UpdateSummary> Train(const std::string& script,
                                std::optional<milliseconds> timeout = std::nullopt,
                                const std::stop_token& stop = {}) {
    std::ofstream(folder + "/script.sh") << script;
    ProgramTrainerOptions options{
        .command = fmt::format("/bin/sh '{}/script.sh' {{base}} {{out}} '{}'", folder, folder),
        .data = "my data",
        .count_examples = [](const Campaign&) -> StatusOr<uint64_t> { return 10; },
        .timeout = timeout};
    auto trainer = ProgramTrainer::Make(std::move(options));
    REQUIRE(trainer.ok());
    return TrainRound(joining, work, **trainer, listener, stop);
  }
  std::string Read(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(folder + "/" + name).rdbuf();
    return text.str();
  }

  std::string folder;
  Joining joining;
  RoundWork work;
  Listener listener;
};

// Trained coordinates follow the frozen ones: fc.bias 0-1, fc.weight 2-7, out.bias 8-9, out.weight.
constexpr uint64_t kOutBias = 8;

TEST_CASE("A program that copies its base makes an update of zeros") {
  Round round;
  const auto summary =
      round.Train("echo hello >&2; echo 'progress 1/2 loss 0.5'; cp \"$1\" \"$2\"");
  REQUIRE(summary.ok());
  CHECK(summary->changed == 0);
  CHECK(summary->mean_loss_nats == 0.5);
  CHECK(round.listener.lines == std::vector<std::string>{"hello"});
  CHECK(round.listener.steps == std::vector<uint64_t>{1});
  CHECK(std::filesystem::file_size(round.work.update_path) == 6 * sizeof(int32_t));
  CHECK_FALSE(std::filesystem::exists(round.work.scratch));
}

TEST_CASE("A program's weights become an update, and its task is in its environment") {
  Round round;
  round.Write("new", [](uint64_t i) { return static_cast<float>(i) + (i == kOutBias ? 0.5F : 0); });
  const auto summary = round.Train(
      "env | grep CROWDTEACH_ | sort > \"$3/env\"; cp \"$CROWDTEACH_TERMS\" \"$3/terms\"\n"
      "cp \"$CROWDTEACH_MODEL\" \"$3/model\"; cp \"$3/new\" \"$CROWDTEACH_OUT\"; read x; echo "
      "\"<$x>\"");
  REQUIRE(summary.ok());
  CHECK(summary->changed == 1);
  int32_t first = 0;
  std::ifstream(round.work.update_path).read(reinterpret_cast<char*>(&first), sizeof(first));
  CHECK(first == 1 << 23);
  const std::string env = round.Read("env");
  for (const char* line :
       {"CROWDTEACH_CAMPAIGN=5\n", "CROWDTEACH_ROUND=3\n", "CROWDTEACH_SEED=77\n",
        "CROWDTEACH_DATA=my data\n", "CROWDTEACH_SECONDS="}) {
    CHECK(env.find(line) != std::string::npos);
  }
  CHECK(round.Read("model") == kModel);
  CHECK(round.Read("terms").find("\"name\": \"out.bias\"") != std::string::npos);
  CHECK(round.listener.lines == std::vector<std::string>{"<>"});  // standard input is empty
}

TEST_CASE("A program that fails is told with its last lines, and ends the round only") {
  Round round;
  CHECK(Refused(round.Train("echo no data >&2; exit 3"), StatusCode::kAborted,
                "it ended with exit status 3\n | no data"));
  CHECK(Refused(round.Train("kill -SEGV $$"), StatusCode::kAborted,
                "it was killed by signal 11 (Segmentation fault)"));
  CHECK(Refused(round.Train("true"), StatusCode::kAborted, "wrote no weights to {out}"));
  CHECK(Refused(round.Train("mkdir \"$2\""), StatusCode::kAborted, "not a regular file"));
  CHECK(Refused(round.Train("mkfifo \"$2\""), StatusCode::kAborted, "not a regular file"));
  CHECK(
      Refused(round.Train("head -c 100 \"$1\" > \"$2\""), StatusCode::kAborted, "out.safetensors"));
  CHECK(Refused(round.Train("sed s/out.bias/out.bier/ \"$1\" > \"$2\""), StatusCode::kAborted,
                "tensor 'out.bias' of the model is missing"));
  CHECK(Refused(round.Train("sed 's/\\[2,2\\]/[4,1]/' \"$1\" > \"$2\""), StatusCode::kAborted,
                "out.weight"));
}

TEST_CASE("Weights that cannot be are named") {
  Round round;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  round.Write("nan", [&](uint64_t i) { return i == kOutBias + 1 ? nan : static_cast<float>(i); });
  CHECK(Refused(round.Train("cp \"$3/nan\" \"$2\""), StatusCode::kAborted,
                "the value nan in tensor 'out.bias' at index 1"));
  round.Write("frozen", [&](uint64_t i) { return static_cast<float>(i == 2 ? 9 : i); });
  CHECK(Refused(round.Train("cp \"$3/frozen\" \"$2\""), StatusCode::kAborted,
                "changed tensor 'fc.weight', which is frozen"));
  // What it does to its own copy of the base changes nothing.
  CHECK(round.Train("cp \"$1\" \"$2\"; echo > \"$1\"").ok());
  CHECK(round.Train("cp \"$1\" \"$2\"").ok());
}

// Whether the process whose number a script wrote to `name` is there.
bool Lives(const Round& round, const std::string& name) {
  return kill(std::stoi(round.Read(name)), 0) == 0;
}

TEST_CASE("Nothing of a program's group outlives it") {
  Round round;
  CHECK(round.Train("sleep 1000 & echo $! > \"$3/child\"; cp \"$1\" \"$2\"").ok());
  for (int i = 0; Lives(round, "child") && i < 200; ++i)
    std::this_thread::sleep_for(milliseconds(20));
  CHECK_FALSE(Lives(round, "child"));
}

TEST_CASE("What a killed teach left at work in the folder is ended before the next round") {
  Round round;
  // As after a SIGKILL: a process of a group of its own, with the environment of a task here.
  const std::string task = "CROWDTEACH_AT_WORK=" + round.work.scratch;
  REQUIRE(std::system(fmt::format("env '{0}' setsid sleep 1000 & echo $! > '{1}/orphan'; "
                                  "env '{0}2' sleep 1000 & echo $! > '{1}/other'",
                                  task, round.folder)
                          .c_str()) == 0);
  for (const char* name : {"orphan", "other"}) {
    for (int i = 0; !Lives(round, name) && i < 200; ++i)
      std::this_thread::sleep_for(milliseconds(20));
    REQUIRE(Lives(round, name));
  }
  std::this_thread::sleep_for(milliseconds(200));  // until env(1) has become sleep(1)
  CHECK(round.Train("cp \"$1\" \"$2\"").ok());
  for (int i = 0; Lives(round, "orphan") && i < 200; ++i)
    std::this_thread::sleep_for(milliseconds(20));
  CHECK_FALSE(Lives(round, "orphan"));
  CHECK(Lives(round, "other"));
  KillProgramsWith(task + "2");
}

TEST_CASE("A program that hangs is ended when its time is up") {
  Round round;
  const auto begun = steady_clock::now();
  CHECK(Refused(round.Train("echo begun; sleep 1000", milliseconds(300)), StatusCode::kAborted,
                "its time, 0.3 s, was up\n | begun"));
  CHECK(steady_clock::now() - begun < seconds(4));  // SIGTERM was enough
  round.work.deadline = steady_clock::now() + milliseconds(300);
  CHECK(Refused(round.Train("sleep 1000"), StatusCode::kAborted, "was up"));
  // One that will not hear gets SIGKILL, its children too.
  CHECK(
      Refused(round.Train("trap '' TERM; sleep 1000 & echo $! > \"$3/child\"; while :; do sleep 1; "
                          "done",
                          milliseconds(500)),
              StatusCode::kAborted, "was up"));
  for (int i = 0; Lives(round, "child") && i < 200; ++i)
    std::this_thread::sleep_for(milliseconds(20));
  CHECK_FALSE(Lives(round, "child"));
}

TEST_CASE("A stop ends the program") {
  Round round;
  std::stop_source stop;
  std::thread stopper([&] {
    while (!std::filesystem::exists(round.folder + "/begun")) std::this_thread::yield();
    stop.request_stop();
  });
  const auto stopped =
      round.Train("echo > \"$3/begun\"; sleep 1000", std::nullopt, stop.get_token());
  stopper.join();
  CHECK(absl::IsCancelled(stopped.status()));
}

TEST_CASE("A program that cannot be started is no matter of one round") {
  Round round;
  std::ofstream(round.folder + "/no-interpreter") << "#!/no/such/python\n";
  std::filesystem::permissions(round.folder + "/no-interpreter", std::filesystem::perms::owner_all);
  ProgramTrainerOptions options{.command = fmt::format("'{}/no-interpreter'", round.folder)};
  auto trainer = ProgramTrainer::Make(options);
  REQUIRE(trainer.ok());
  CHECK(Refused(TrainRound(round.joining, round.work, **trainer, round.listener, {}),
                StatusCode::kNotFound, "interpreter in its first line"));
  options.command = "./no-such-program {out}";
  CHECK(Refused(ProgramTrainer::Make(options), StatusCode::kNotFound, "no-such-program"));
  options.command = "/bin/sh {output}";
  CHECK(Refused(ProgramTrainer::Make(options), StatusCode::kInvalidArgument, "{output}"));
}

}  // namespace
}  // namespace crowdteach::client
