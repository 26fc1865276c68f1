#include "ledger/note.h"

#include "ledger/checkpoint.h"
#include "proto/base/bytes.h"
#include "tests/support/catch.h"

namespace crowdteach::ledger {
namespace {

SigningKey KeyOf(char c) { return *SigningKey::FromSeed(std::string(32, c)); }

std::string SignedBy(const SigningKey& key, std::string_view name, std::string text) {
  Note note;
  note.text = std::move(text);
  SignNote(key, name, &note);
  return FormatNote(note);
}

}  // namespace

TEST_CASE("verifier keys go both ways") {
  const VerifierKey key = MakeVerifierKey("example.org/log", KeyOf('a').public_key());
  const std::string vkey = FormatVkey(key);
  const VerifierKey again = *ParseVkey(vkey);
  REQUIRE(again.name == key.name);
  REQUIRE(again.key_id == key.key_id);
  REQUIRE(again.public_key == key.public_key);
}

TEST_CASE("the published key of the Go checksum database is read") {
  // Known everywhere: golang.org/x/mod/sumdb carries it.
  const std::string vkey = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
  const auto key = ParseVkey(vkey);
  REQUIRE(key.ok());
  REQUIRE(FormatVkey(*key) == vkey);
}

TEST_CASE("malformed verifier keys are refused") {
  const VerifierKey key = MakeVerifierKey("log", KeyOf('a').public_key());
  const std::string good = FormatVkey(key);
  std::string other_id = good;
  other_id[4] = other_id[4] == '0' ? '1' : '0';
  std::string other_type = key.name + "+00000000+" + base::Base64("\x04" + key.public_key);
  for (const std::string& bad : std::vector<std::string>{
           std::string(), std::string("log"), std::string("log+12345678"), other_id, other_type,
           "a b" + good.substr(3), good.substr(3), good + "=", good.substr(0, good.size() - 4)}) {
    INFO(bad);
    REQUIRE_FALSE(ParseVkey(bad).ok());
  }
}

TEST_CASE("a note verifies with its key, and other keys are skipped") {
  const SigningKey one = KeyOf('1');
  const SigningKey two = KeyOf('2');
  Note note;
  note.text = "text\n\nwith an empty line\n";
  SignNote(one, "one", &note);
  SignNote(two, "two", &note);
  const Note again = *ParseNote(FormatNote(note));
  REQUIRE(again.text == note.text);
  REQUIRE(FormatNote(again) == FormatNote(note));
  const VerifierKey key_one = MakeVerifierKey("one", one.public_key());
  const VerifierKey key_two = MakeVerifierKey("two", two.public_key());
  REQUIRE(*VerifyNote(again, {key_two}) == std::vector<size_t>{1});
  REQUIRE(*VerifyNote(again, {key_one, key_two}) == std::vector<size_t>{0, 1});
  REQUIRE(VerifyNote(again, {MakeVerifierKey("three", one.public_key())}).status().code() ==
          absl::StatusCode::kUnauthenticated);
}

TEST_CASE("a known key whose signature fails rejects the note") {
  const SigningKey one = KeyOf('1');
  const SigningKey two = KeyOf('2');
  Note note;
  note.text = "text\n";
  SignNote(one, "one", &note);
  SignNote(two, "two", &note);
  note.signatures[0].signature[5] ^= 1;
  const std::vector<VerifierKey> keys = {MakeVerifierKey("one", one.public_key()),
                                         MakeVerifierKey("two", two.public_key())};
  REQUIRE_FALSE(VerifyNote(note, keys).ok());
  REQUIRE(VerifyNote(note, {keys[1]}).ok());
}

TEST_CASE("malformed notes are refused") {
  const std::string good = SignedBy(KeyOf('1'), "one", "text\n");
  REQUIRE(ParseNote(good).ok());
  const std::string signature = good.substr(good.find("\n\n") + 2);
  for (const std::string& bad : std::vector<std::string>{
           std::string(), std::string("text\n"), std::string("text\n\n"), good + "\n", good + "x\n",
           good.substr(0, good.size() - 1), "te\rxt" + good.substr(4), "\xff" + good,
           "\xc0\x80" + good, "\xed\xa0\x80" + good, "text\n\n- " + signature.substr(4),
           "text\n\n\u2014 o+e" + signature.substr(7), "text\n\n\u2014 " + signature.substr(7),
           "text\n\n\u2014 one AAAA\n", good + std::string(1, '\0'),
           "text\n\n\u2014 one\u3000" + signature.substr(8)}) {
    INFO(bad);
    REQUIRE_FALSE(ParseNote(bad).ok());
  }
}

TEST_CASE("sixteen signatures are accepted, a hundred are not") {
  Note note;
  note.text = "text\n";
  for (int i = 0; i < 16; ++i) SignNote(KeyOf('a'), fmt::format("witness{}", i), &note);
  REQUIRE(ParseNote(FormatNote(note)).ok());
  for (int i = 16; i < 100; ++i) note.signatures.push_back(note.signatures[0]);
  REQUIRE_FALSE(ParseNote(FormatNote(note)).ok());
}

TEST_CASE("a checkpoint goes both ways") {
  const SigningKey key = KeyOf('k');
  const Checkpoint checkpoint{DefaultOrigin(key.public_key()), 42, base::LeafHash("root")};
  const std::string note = SignCheckpoint(checkpoint, key);
  const VerifierKey log = MakeVerifierKey(checkpoint.origin, key.public_key());
  REQUIRE(*OpenCheckpoint(note, log) == checkpoint);
  REQUIRE(checkpoint.origin.size() == 27);
}

TEST_CASE("every changed byte of a checkpoint note is refused") {
  const SigningKey key = KeyOf('k');
  const Checkpoint checkpoint{"origin", 42, base::LeafHash("root")};
  const std::string note = SignCheckpoint(checkpoint, key);
  const VerifierKey log = MakeVerifierKey("origin", key.public_key());
  for (size_t i = 0; i < note.size(); ++i) {
    for (const int flip : {0x01, 0x20, 0x80, 0xff}) {
      std::string bad = note;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      INFO("byte " << i << " flipped by " << flip);
      REQUIRE_FALSE(OpenCheckpoint(bad, log).ok());
    }
  }
}

TEST_CASE("a checkpoint of another origin or with extensions is refused") {
  const SigningKey key = KeyOf('k');
  const VerifierKey log = MakeVerifierKey("origin", key.public_key());
  const std::string text = CheckpointText({"origin", 42, base::LeafHash("root")});
  REQUIRE(OpenCheckpoint(SignedBy(key, "origin", text), log).ok());
  REQUIRE_FALSE(OpenCheckpoint(SignedBy(key, "origin", "other" + text.substr(6)), log).ok());
  REQUIRE_FALSE(OpenCheckpoint(SignedBy(key, "origin", text + "more\n"), log).ok());
  REQUIRE_FALSE(
      OpenCheckpoint(SignedBy(key, "origin", "origin\n042\n" + text.substr(10)), log).ok());
}

TEST_CASE("decimals are strict") {
  REQUIRE(*ParseDecimal("0") == 0);
  REQUIRE(*ParseDecimal("18446744073709551615") == UINT64_MAX);
  for (const char* bad : {"", "00", "01", "+1", "-1", " 1", "1 ", "1x", "18446744073709551616"}) {
    INFO(bad);
    REQUIRE_FALSE(ParseDecimal(bad).ok());
  }
}

}  // namespace crowdteach::ledger
