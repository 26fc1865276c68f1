#include "ledger/statement.h"

#include "ledger/canonical.h"
#include "ledger/signature.h"
#include "proto/base/bytes.h"
#include "tests/support/catch.h"

namespace crowdteach::ledger {

TEST_CASE("a statement is its operator's, canonical, and about one log") {
  const SigningKey key = SigningKey::Generate();
  const base::Hash genesis = base::Sha256Of("genesis");
  v1::Statement said;
  said.set_genesis(base::Bytes(genesis));
  said.set_account(7);
  said.set_kind(v1::UPLOAD_COMPLETE);
  const auto seal = [&](const std::string& payload) {
    v1::SignedStatement sealed;
    sealed.set_payload(payload);
    sealed.set_signature(key.SignDsse(kStatementType, payload));
    return sealed;
  };
  const v1::SignedStatement good = seal(Encode(said));
  REQUIRE(OpenStatement(good, key.public_key(), genesis)->account() == 7);

  REQUIRE(absl::IsInvalidArgument(
      OpenStatement(good, key.public_key(), base::Sha256Of("another")).status()));
  REQUIRE(absl::IsUnauthenticated(
      OpenStatement(good, SigningKey::Generate().public_key(), genesis).status()));
  v1::SignedStatement forged = good;
  said.set_account(8);
  forged.set_payload(Encode(said));
  REQUIRE(absl::IsUnauthenticated(OpenStatement(forged, key.public_key(), genesis).status()));
  // An absent field written out: signed, but not the canonical bytes.
  REQUIRE(absl::IsInvalidArgument(
      OpenStatement(seal(Encode(said) + std::string("\x38\x00", 2)), key.public_key(), genesis)
          .status()));
}

}  // namespace crowdteach::ledger
