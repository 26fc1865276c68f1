// What a training program prints, in two pieces.
#include <cstdint>
#include <string_view>

#include "client/training_log.h"
#include "proto/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using crowdteach::client::TrainingLog;
  TrainingLog log([](const auto& step) { CT_ASSERT(step.total > 0 && step.done <= step.total); },
                  [](std::string_view line) {
                    CT_ASSERT(!line.empty() && line.size() <= 4 * TrainingLog::kMaxLineBytes + 3);
                    for (const char c : line.substr(0, line.size() < 3 ? 0 : line.size() - 3))
                      CT_ASSERT(c >= 0x20 && c < 0x7F);
                  });
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  log.Take(bytes.substr(0, size / 2));
  log.Take(bytes.substr(size / 2));
  log.End();
  CT_ASSERT(log.Tail().size() <= TrainingLog::kKeptLines * (4 * TrainingLog::kMaxLineBytes + 7));
  return 0;
}
