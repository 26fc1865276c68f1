// Statements: what a coordinator's operator signed beside the log, about an upload or an intent
// that it refused (v1::Statement). A teacher's evidence against "never received".
//
// Thread-safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "crowdteach/v1/ledger.pb.h"
#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

// Checks that the operator of the log that begins with `genesis`, whose GENESIS names
// `operator_key`, signed it. kUnauthenticated: it did not; kInvalidArgument: not canonical, or
// about another log.
StatusOr<v1::Statement> OpenStatement(const v1::SignedStatement& sealed,
                                      std::string_view operator_key, const base::Hash& genesis);

// "uploaded", "upload-refused", "intent-refused": also the ends of file names.
std::string_view StatementName(v1::StatementKind kind);

}  // namespace crowdteach::ledger
