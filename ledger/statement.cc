#include "ledger/statement.h"

#include "ledger/canonical.h"
#include "ledger/signature.h"

namespace crowdteach::ledger {

StatusOr<v1::Statement> OpenStatement(const v1::SignedStatement& sealed,
                                      std::string_view operator_key, const base::Hash& genesis) {
  if (!VerifyDsse(operator_key, kStatementType, sealed.payload(), sealed.signature())) {
    return Unauthenticated("the statement is not signed by the log's operator");
  }
  CT_ASSIGN_OR_RETURN(v1::Statement statement, Decode<v1::Statement>(sealed.payload()));
  if (statement.genesis() != base::View(genesis)) {
    return InvalidArgument("the statement is about another log");
  }
  return statement;
}

std::string_view StatementName(v1::StatementKind kind) {
  switch (kind) {
    case v1::UPLOAD_COMPLETE:
      return "uploaded";
    case v1::UPLOAD_REFUSED:
      return "upload-refused";
    default:
      return "intent-refused";
  }
}

}  // namespace crowdteach::ledger
