// Contribution scores of one aggregation pass, behind one interface.
//
// The game is the *fixed-weight* one: a coalition S of teachers gives the model
//   w_S = w + Σ_{i∈S} u_i / (N·2^s),  u_i = m_i·q_i,  N = Σ m_i over all teachers of the pass,
// and is worth ℓ(w) - ℓ(w_S), ℓ the mean validation loss in nats. So a zero update earns nothing
// and splitting an update in two changes nothing. The round's value is v = ℓ(w) - ℓ(w').
//
// Not thread-safe: one Run at a time. Run blocks on the loss oracle.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "learning/aggregate/tile_executor.h"
#include "learning/aggregate/trainable_file.h"
#include "learning/aggregate/update_set.h"
#include "learning/loss_oracle.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"
#include "proto/base/wide.h"

namespace crowdteach::learning {

enum class ScoreUnit { kNats, kOther };

// What launch must know: the *market* rule takes only efficient scorers in nats with zero_is_zero.
struct ScorerTraits {
  const char* name = "";
  bool efficient = false;  // Σ φ_i = v
  ScoreUnit unit = ScoreUnit::kOther;
  bool zero_is_zero = false;  // a zero update scores exactly 0
};

// What was aggregated. The references outlive the call.
struct ScoreRequest {
  const UpdateSet& updates;
  unsigned scale_bits = 0;  // s
  const WeightsFormat& format;
  std::string base_path;  // w
  std::string next_path;  // w', as AggregateFedAvg wrote it
  base::Hash base_digest{};
  base::Hash next_digest{};
  bool is_void = false;
  std::vector<base::Int128> e;   // E_i from AggregateFedAvg
  uint64_t loss_before_q32 = 0;  // as recorded: L0, or the last settled round's loss after
  uint64_t correct_before = 0;
  std::string work_dir;                // for temporary files; large: nodes × blocks × 4 P bytes
  std::string gradient_artifact_path;  // AumannShapley writes salt(32) ‖ int32 g here
  std::string gradient_salt;           // 32 secret random bytes
};

struct TeacherScore {
  uint64_t account = 0;
  base::Int128 d = 0;       // D_i (AumannShapley)
  base::Int128 e = 0;       // E_i (AumannShapley)
  int64_t phi_q32 = 0;      // φ_i in units of 2^-32 nat
  uint64_t stderr_q32 = 0;  // jackknife standard error of φ_i; 0 if fewer than two blocks
};

enum class ScoreVerdict {
  kScored,
  kVoid,        // nothing moved: v = 0, every score 0, no gradient
  kDiverges,    // the loss or gradient is unusable, and so it is with `diverging` alone
  kNotFinite,   // unusable, and no single update is to blame
  kOutOfRange,  // some |φ| > 2^62
};

struct Score {
  ScoreVerdict verdict = ScoreVerdict::kScored;
  std::vector<uint64_t> diverging;  // accounts, ascending: UPDATE_REJECT(diverges), then a new pass
  std::string reason;               // in words, unless kScored or kVoid
  uint32_t path_nodes = 0;          // 2, 3 or 5; 0 when void or not on a path
  uint64_t loss_before_q32 = 0;
  uint64_t loss_after_q32 = 0;
  uint64_t correct_before = 0;
  uint64_t correct_after = 0;
  std::vector<uint64_t> per_class_correct_after;
  unsigned gradient_bits = 0;       // k
  base::Hash gradient_digest{};     // of the artifact; zeros when there is none
  std::vector<TeacherScore> lines;  // by account, as in the update set
  uint32_t gradients = 0;           // gradient calls made
  uint32_t evaluations = 0;         // loss calls made

  int64_t value_q32() const {
    return static_cast<int64_t>(loss_before_q32) - static_cast<int64_t>(loss_after_q32);
  }
};

class Scorer {
 public:
  virtual ~Scorer() = default;
  virtual ScorerTraits traits() const = 0;
  // A model whose loss cannot be used is a verdict, not an error. Errors are those of the oracle
  // (kUnavailable: it died or stalled) and of reading and writing files.
  virtual StatusOr<Score> Run(const ScoreRequest& request, LossOracle& oracle,
                              TileExecutor& executor) = 0;
};

// A loss that can be recorded: finite, 0 <= loss < 2^20 nats.
bool IsUsable(const Evaluation& evaluation);

}  // namespace crowdteach::learning
