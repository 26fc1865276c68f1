// The worked example of ledger/FORMAT.md is what the code makes.
#include <fstream>
#include <map>

#include "ledger/bundle.h"
#include "proto/base/bytes.h"
#include "tests/unit/ledger/log_fixture.h"

namespace crowdteach::ledger {
namespace {

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

// The fenced blocks "```hex name" (hex with white space) and "```text name" (verbatim).
std::map<std::string, std::string> ExampleOf(const std::string& page) {
  std::map<std::string, std::string> blocks;
  for (const std::string_view kind : {"hex", "text"}) {
    const std::string fence = fmt::format("```{} ", kind);
    size_t at = 0;
    while ((at = page.find(fence, at)) != std::string::npos) {
      const size_t name = at + fence.size();
      const size_t body = page.find('\n', name) + 1;
      at = page.find("```", body);
      std::string text = page.substr(body, at - body);
      if (kind == "hex") {
        std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
        text = Value(base::ParseHex(text));
      }
      blocks[page.substr(name, body - 1 - name)] = text;
    }
  }
  return blocks;
}

void RequireSame(const std::map<std::string, std::string>& example, const std::string& name,
                 std::string_view made) {
  INFO(name << " is " << base::Hex(made));
  REQUIRE(example.count(name) == 1);
  REQUIRE(base::Hex(example.at(name)) == base::Hex(made));
}

}  // namespace

TEST_CASE("FORMAT.md's worked example is what the code makes") {
  const auto example = ExampleOf(Slurp(CROWDTEACH_SOURCE_DIR "/ledger/FORMAT.md"));
  LogFixture f;
  f.Begin(0);
  RequireSame(example, "vkey", FormatVkey(f.keys.vkey) + "\n");
  for (uint64_t i = 0; i < 2; ++i) {
    const std::string entry = Value(f.store->ReadEntry(i));
    RequireSame(example, fmt::format("entry {}", i), entry);
    RequireSame(example, fmt::format("leaf {}", i), base::View(base::LeafHash(entry)));
  }
  RequireSame(example, "payload 1",
              Value(DecodeEntry(Value(f.store->ReadEntry(1)))).entry.intent().payload());
  const Checkpoint checkpoint = Value(OpenCheckpoint(f.log->checkpoint(), f.keys.vkey));
  RequireSame(example, "root", base::View(checkpoint.root));
  RequireSame(example, "checkpoint", f.log->checkpoint());
  RequireSame(example, "receipt 1", Value(f.log->Receipt(1)));
  RequireSame(example, "commitment",
              base::View(SealedCommitment(f.log->state().genesis_hash(), 7, 1, 5,
                                          base::BlobDigest(base::BlobKind::kUpdate, "update"),
                                          std::string(32, 4))));
  RequireSame(example, "blob", base::View(base::BlobDigest(base::BlobKind::kUpdate, "update")));
}

}  // namespace crowdteach::ledger
