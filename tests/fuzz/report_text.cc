// A stranger's text in a report: nothing that a browser could take for markup or an eye for another
// text comes through.
#include <cstdint>
#include <string>
#include <string_view>

#include "ledger/audit/report_text.h"
#include "proto/base/assert.h"

namespace {

// Without the entities that Escaped writes.
std::string Plain(std::string text) {
  for (const std::string_view entity : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"}) {
    for (size_t at = text.find(entity); at != std::string::npos; at = text.find(entity, at)) {
      text.erase(at, entity.size());
    }
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crowdteach::audit;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string escaped = Escaped(bytes);
  for (const char c : Plain(escaped)) {
    CT_ASSERT(c != '<' && c != '>' && c != '"' && c != '\'');
    CT_ASSERT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  }
  for (const std::string_view hidden : {"\u202e", "\u200b", "\u2066", "\ufeff", "\u00ad"}) {
    CT_ASSERT(escaped.find(hidden) == std::string::npos);
  }
  CT_ASSERT(Shortened(bytes, size + 1) == escaped);
  CT_ASSERT(Shortened(bytes, 8).size() <= 8 * 12 + 3);
  return 0;
}
