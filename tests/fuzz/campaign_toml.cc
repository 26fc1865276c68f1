// A campaign.toml from anybody, and an override: the last line is one "key=value".
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "client/campaign_toml.h"
#include "ledger/terms.h"
#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.rfind('\n');
  std::vector<std::string> sets;
  if (line != std::string_view::npos && line + 1 < size) sets.emplace_back(text.substr(line + 1));
  auto file = crowdteach::client::ParseCampaign(text.substr(0, line), "c.toml", sets);
  if (!file.ok()) return 0;
  file->terms.set_model_toml("x");
  // Whatever it says, the validation gives an answer, and what it accepts fits an entry.
  if (crowdteach::ledger::ValidateTerms(file->terms).ok()) {
    CT_ASSERT(file->terms.ByteSizeLong() <= crowdteach::ledger::kMaxTermsBytes);
  }
  return 0;
}
