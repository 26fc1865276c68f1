// Tables that line up, for people. Thread-safety: pure function.
#pragma once

#include <string>
#include <vector>

namespace crowdteach::cli {

// One line a row, columns as wide as their widest cell, two spaces between them; the columns of
// `left` to the left, all others (numbers) to the right. All rows have as many cells as the first.
std::string Table(const std::vector<std::vector<std::string>>& rows,
                  const std::vector<size_t>& left);

}  // namespace crowdteach::cli
