// Teaching from a program of your own: the C++ interface of crowdteach, installed as
// <crowdteach/teacher.h>; find_package(crowdteach) and link crowdteach::crowdteach.
//
//   class Mine : public crowdteach::Trainer { … };   // Prepare and Train
//
//   crowdteach::TeacherOptions options;
//   options.agree = [](const crowdteach::Campaign& campaign) { …; return absl::OkStatus(); };
//   auto teacher = crowdteach::Teacher::Join("teacher.invite", "my-home", options);
//   if (!teacher.ok()) …
//   Mine mine;
//   crowdteach::Observer silent;
//   absl::Status ended = teacher->Teach(mine, silent);
//
// Everything a teacher owes the coordinator is done here: the session, commitments, uploads, proofs
// and receipts, reconnecting, and going on after a crash. The trainer alone decides how the weights
// get better, and with what.
//
// Units: losses and scores in nats (natural logarithm), money in whole credits, times as chrono
// says. Shapes are PyTorch's, values float32, row by row (the last index runs fastest).
// Errors are absl::Status; each call lists its codes; messages are meant for people.
// Thread-safety: a Teacher belongs to one thread. Trainer and Observer are called on the thread
// that runs Teach, but for Observer::Leaving; only a stop token may be used from any thread.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace crowdteach {

// ---------------------------------------------------------------- what a campaign is

enum class TensorRole {
  kTrained,    // what a round changes
  kStatistic,  // a BatchNorm's running mean or variance: averaged over teachers like weights, but
               // kept by the layer itself in training, not by gradients
  kFrozen,     // part of the model; no update may change it
};

// One tensor of the model. Weights are one run of floats, in which it has [offset, offset + count).
struct Tensor {
  std::string name;  // as in a PyTorch state_dict, e.g. "fc1.weight"
  std::vector<uint64_t> shape;
  uint64_t offset = 0;
  uint64_t count = 0;  // product of shape
  TensorRole role = TensorRole::kTrained;
};

enum class FeatureType {
  kBytes,   // 0 to 255; the model gets (x / 255 - mean) / deviation
  kFloats,  // the model gets (x - mean) / deviation
};

// What the examples are that the model is validated with.
struct DataTerms {
  std::vector<uint32_t> input_shape;  // of one example, e.g. {1, 28, 28}
  FeatureType feature_type = FeatureType::kBytes;
  std::vector<double> mean, deviation;  // one of each, or one a channel (first dimension)
  std::vector<std::string> classes;     // the label of class i, in order
  std::string csv_label_column;         // empty: tables are not expected
  std::vector<std::string> csv_feature_columns;
};

enum class Optimizer { kSgd, kAdam };

// How the owner asks teachers to train. A trainer of one's own may do better: what counts is the
// validation loss.
struct LocalTerms {
  Optimizer optimizer = Optimizer::kSgd;
  double learning_rate = 0;
  double momentum = 0;
  double weight_decay = 0;
  double fedprox_mu = 0;  // of the proximal term; 0: none
  uint32_t batch_size = 0;
  uint32_t steps = 0;   // optimiser steps a round; 0: `epochs` counts
  uint32_t epochs = 0;  // passes over the data a round
};

enum class Readers { kAuditors, kEnrolled, kPublic };

// What a teacher agrees to.
struct Terms {
  std::string name;
  std::string model_toml;  // the architecture, as learning/model/model_spec.h has it
  DataTerms data;
  LocalTerms local;
  uint32_t rounds = 0;
  uint32_t teachers = 0;                    // selected a round
  uint32_t quorum = 0;                      // fewest updates that make a round
  std::chrono::milliseconds commit_time{};  // to train and commit
  std::chrono::milliseconds upload_time{};
  std::chrono::milliseconds dispute_time{};  // from the close until rewards are free
  uint64_t max_examples = 0;                 // as many count
  double norm_cap = 0;                       // L2 norm of an update, in units of the weights
  bool norm_rejects = false;                 // a longer one is rejected; else shortened to it
  uint64_t budget = 0;                       // credits
  uint64_t credits_per_nat = 0;
  uint64_t stake = 0;      // credits locked by enrolling
  uint64_t min_cover = 0;  // credits held and at stake below which one sits out
  Readers update_readers = Readers::kAuditors;
  Readers validation_readers = Readers::kAuditors;
  std::chrono::milliseconds retention{};  // of updates, after the close

  // All of them, as they stand on the ledger: a canonical crowdteach.v1.Terms. Its SHA-256 is what
  // owner and teachers may compare.
  std::string encoded;
};

struct Campaign {
  uint64_t number = 0;
  Terms terms;
  std::vector<Tensor> layout;  // by offset: together all of the weights
  uint64_t weights = 0;        // floats in all
  uint64_t validation_count = 0;
  double first_loss_nats = 0;  // of the first weights, on the validation set
  std::string text;            // the terms as a table for people, lines
  // If the model is TorchScript: its file, verified, in the home; otherwise empty. It is a program
  // of the owner's, so run it only where it can do no harm.
  std::string model_code_path;
};

// ---------------------------------------------------------------- what a trainer does

// One round's work. Lives as long as the call of Train.
struct Task {
  const Campaign& campaign;
  uint32_t round = 0;
  std::span<const float> base;  // the weights to better: campaign.weights floats, mapped read-only
  std::string base_path;        // the same as a safetensors file, for other programs
  uint64_t seed = 0;            // of this round, account and TeacherOptions::seed
  // When the commit phase ends: an update that is not there counts for nothing.
  std::chrono::steady_clock::time_point deadline;
  std::string scratch;  // an empty folder of this task's own, removed afterwards
};

// What Train tells while it works.
class Progress {
 public:
  virtual ~Progress() = default;
  // `done` of `total` parts of the work; `loss_nats` of the part, NaN: not known.
  virtual void Step(uint64_t done, uint64_t total,
                    double loss_nats = std::numeric_limits<double>::quiet_NaN()) = 0;
  // A line for the person at the terminal.
  virtual void Say(std::string_view line) = 0;
};

// What Train may tell at its end, for the person at the terminal.
struct TrainingSummary {
  uint64_t examples = 0;  // trained on, repeats counted; 0: not told
  double mean_loss_nats = std::numeric_limits<double>::quiet_NaN();
};

class Trainer {
 public:
  virtual ~Trainer() = default;

  // Called once by each Teach, before anything is agreed to: whether this campaign can be taught,
  // and with how many examples, at least 1. That number is claimed on the ledger at enrolment and
  // weighs your updates. An error ends Teach, which returns it; nothing is locked then. What it
  // throws comes out of Teach.
  virtual absl::StatusOr<uint64_t> Prepare(const Campaign& campaign) = 0;

  // Betters `weights`, which begin as task.base (a private mapping: only what is written takes
  // memory). Frozen tensors must stay as they are, and every value finite, else the round is sat
  // out. `stop` is requested when Teach is stopped, or when the round has ended without us: return
  // kCancelled soon after.
  //
  // kAborted (and any exception): nothing comes of this round; it is told to the observer and the
  // next one is tried. Any other error ends Teach, which returns it.
  virtual absl::StatusOr<TrainingSummary> Train(const Task& task, std::span<float> weights,
                                                Progress& progress, std::stop_token stop) = 0;
};

// ---------------------------------------------------------------- what one is told

struct UpdateSummary {
  uint64_t examples = 0;      // as TrainingSummary
  double mean_loss_nats = 0;  // as TrainingSummary
  uint64_t changed = 0;       // coordinates that are not zero
  uint64_t out_of_range = 0;  // changed by more than an update can express; cut to that
};

// What a round came to. The proofs are kept in the home.
struct Settlement {
  uint32_t round = 0;
  double loss_nats = 0;  // of the new model, on the validation set
  uint64_t correct = 0;  // of Campaign::validation_count
  struct Ours {
    double score_nats = 0;  // how much of the loss's fall is ours
    double standard_error_nats = 0;
    int64_t credits = 0;  // paid, or charged if below 0
  };
  std::optional<Ours> ours;  // none: we had no part in it
};

// Every event has a body that does nothing; override what you want to know. What an event throws
// comes out of Teach, as if the connection had broken: another Teach goes on.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void WaitingForCampaign() {}
  virtual void Enrolled(uint64_t /*campaign*/, uint64_t /*ledger_entry*/) {}
  virtual void Teaching(const Campaign&, uint64_t /*examples*/, uint64_t /*account*/) {}
  virtual void Waiting(uint32_t /*next_round*/) {}
  virtual void Training(uint32_t /*round*/, uint64_t /*done*/, uint64_t /*total*/,
                        double /*loss_nats*/) {}
  virtual void Said(uint32_t /*round*/, std::string_view /*line*/) {}  // by Progress::Say
  virtual void Trained(uint32_t /*round*/, const UpdateSummary&) {}
  // The trainer failed (kAborted, an exception, weights that cannot be); the round is sat out.
  virtual void Failed(uint32_t /*round*/, const absl::Status&) {}
  virtual void Committed(uint32_t /*round*/, uint64_t /*ledger_entry*/) {}
  virtual void Uploading(uint32_t /*round*/, uint64_t /*done_bytes*/, uint64_t /*total_bytes*/) {}
  virtual void Revealed(uint32_t /*round*/, uint64_t /*ledger_entry*/) {}
  virtual void Settled(const Settlement&) {}
  virtual void Aborted(uint32_t /*round*/, std::string_view /*why*/) {}
  virtual void Rejected(uint32_t /*round*/, std::string_view /*why*/) {}
  virtual void Phase(std::string_view /*what*/) {}  // the campaign ended, is closed, is settled
  // A stop was requested and the update of `round` is still owed: it is `uploading`, or its upload
  // phase is waited for, `wait` at most. Called on the thread that requested the stop.
  virtual void Leaving(uint32_t /*round*/, bool /*uploading*/, std::chrono::seconds /*wait*/) {}
  // A connection was lost and is tried again after `retry_in_ms`; 0: an act was refused, and the
  // round goes on without us.
  virtual void Trouble(const absl::Status&, uint64_t /*retry_in_ms*/) {}
};

// ---------------------------------------------------------------- the teacher

struct TeacherOptions {
  std::string name;       // of a new account, 1-40 printable ASCII characters; empty: $USER
  uint64_t campaign = 0;  // which; 0: the only one running, waited for
  // Where the coordinator is, HOST:PORT; empty: where the invite, or the coordinator since, says.
  std::string server;
  // Asked before the stake is locked; an error ends Teach, which returns it. Required for a
  // campaign that this account has not joined yet.
  std::function<absl::Status(const Campaign&)> agree;
  std::optional<uint64_t> seed;  // of Task::seed; none: random
  bool until_refund = true;      // false: Teach returns after the last round
};

struct Balance {
  uint64_t account = 0;
  std::string name;
  int64_t available = 0;  // credits
  struct Stake {
    uint64_t campaign = 0;
    int64_t stake = 0, held = 0;  // credits: what may be charged, what is earned and not free yet
    double score_nats = 0;        // sum over its rounds
  };
  std::vector<Stake> stakes;  // of every campaign joined
};

class Teacher {
 public:
  // Opens the home (made with mode 0700 if need be: key, receipts, work in progress; one process
  // at a time), connects, and opens the account with the invite if there is none yet.
  // `invite`: path of the file; empty: the one kept in the home.
  // kInvalidArgument: the invite is malformed, or none is known. kNotFound, kPermissionDenied,
  // kResourceExhausted: a file. kUnavailable: nobody answers, or another process has the home.
  // kFailedPrecondition: refused (expired, used up, of another role), or incompatible versions.
  // kDataLoss: this is not the invite's log, or it was forked since this home last saw it.
  static absl::StatusOr<Teacher> Join(const std::string& invite, const std::string& home,
                                      TeacherOptions options = {});
  Teacher(Teacher&&) noexcept;
  Teacher& operator=(Teacher&&) noexcept;
  ~Teacher();

  // Enrols (after Trainer::Prepare and `agree`) unless that is done, and teaches round after round
  // until the campaign is settled. Lost connections come back, with growing pauses; what was
  // committed to is kept in the home, so that another Teach, or another process after a crash, goes
  // on with it. Blocks; OK at the campaign's end, may be called again.
  // kCancelled: `stop` was requested. Training ends at once then; what was committed to is still
  // delivered if that is possible within a minute, and the message says what is owed.
  // kInvalidArgument: several campaigns are running.
  // kFailedPrecondition: enrolment was refused, or nobody agreed. kDataLoss: the coordinator's
  // evidence is wrong. Otherwise what the trainer or `agree` returned, or a file's error.
  absl::Status Teach(Trainer& trainer, Observer& observer, const std::stop_token& stop = {});

  // The campaign taught last; 0: none yet.
  uint64_t campaign() const;
  // Sums of the postings in the account's receipts, which are fetched and verified first. That no
  // entry is left out only an audit of the log shows. Errors as Join's.
  absl::StatusOr<Balance> GetBalance();

 private:
  struct Impl;
  explicit Teacher(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace crowdteach
