#include "ledger/rules_version.h"

#include <google/protobuf/stubs/logging.h>

#include "ledger/signature.h"
#include "ledger/state.h"

namespace crowdteach::ledger {

Status CheckRulesVersion(const v1::Genesis& genesis, std::string_view program) {
  if (genesis.rules_version() == kRulesVersion) return OkStatus();
  return FailedPrecondition("this ledger uses rules version {}, known here is {}: upgrade {}",
                            genesis.rules_version(), kRulesVersion, program);
}

Status CheckRulesOfFirstEntry(std::string_view bytes, const VerifierKey& log,
                              std::string_view program) {
  // Not canonical decoding: newer rules may have given these messages more fields.
  v1::Entry entry;
  v1::Intent intent;
  const google::protobuf::LogSilencer silencer;  // as in canonical.cc
  if (!entry.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      !intent.ParseFromString(entry.intent().payload())) {
    return OkStatus();
  }
  const v1::Genesis& genesis = intent.genesis_body();
  if (genesis.log_vkey() != FormatVkey(log) ||
      !VerifyDsse(genesis.operator_key(), kIntentType, entry.intent().payload(),
                  entry.intent().signature())) {
    return OkStatus();
  }
  return CheckRulesVersion(genesis, program);
}

}  // namespace crowdteach::ledger
