#include "proto/base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace crowdteach::base {

void AssertFailed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: invariant broken: %s (this is a bug of crowdteach)\n", file, line,
               expression);
  std::abort();
}

}  // namespace crowdteach::base
