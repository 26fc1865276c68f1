#include "tests/support/ledger_builder.h"

namespace crowdteach::testing {

v1::CampaignOpen SmallCampaign() {
  v1::CampaignOpen open;
  v1::Terms& terms = *open.mutable_terms();
  terms.set_name("small");
  terms.set_model_toml("[[layer]]\nname = \"out\"\n");
  v1::DataTerms& data = *terms.mutable_data();
  data.add_input_shape(4);
  data.set_feature_type(v1::FLOAT32);
  data.add_mean_nano(0);
  data.add_deviation_nano(1'000'000'000);
  data.add_classes("no");
  data.add_classes("yes");
  v1::LocalTerms& local = *terms.mutable_local();
  local.set_optimizer(v1::SGD);
  local.set_learning_rate_nano(50'000'000);
  local.set_batch_size(32);
  local.set_steps(5);
  terms.set_rounds(3);
  terms.set_teachers(4);
  terms.set_quorum(2);
  terms.set_commit_ms(1000);
  terms.set_upload_ms(1000);
  terms.set_dispute_ms(1000);
  terms.set_close_ms(1000);
  terms.set_retention_ms(2000);
  terms.set_weighting(v1::EQUAL);
  terms.set_max_examples(1000);
  terms.set_scale_bits(24);
  terms.set_norm_cap(1 << 20);
  terms.set_norm_rule(v1::CLIP);
  terms.set_scorer(v1::AUMANN_SHAPLEY);
  terms.set_reward(v1::MARKET);
  terms.set_budget(300);
  terms.set_credits_per_nat(100);
  terms.set_stake(50);
  terms.set_min_cover(10);
  terms.set_max_aborts(2);
  terms.set_update_readers(v1::AUDITORS);
  terms.set_validation_readers(v1::AUDITORS);
  open.set_model_digest(base::Bytes(TestHash("model", 0)));
  open.set_model_size_bytes(1000);
  open.set_parameters(10);
  open.set_validation_root(base::Bytes(TestHash("root", 0)));
  open.set_validation_count(100);
  open.set_validation_digest(base::Bytes(TestHash("validation", 0)));
  open.set_loss_q32(2 * kNat);
  open.set_correct(10);
  return open;
}

}  // namespace crowdteach::testing
