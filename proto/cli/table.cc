#include "proto/cli/table.h"

#include <algorithm>

namespace crowdteach::cli {
namespace {

size_t Width(const std::string& cell) {  // in characters, not bytes
  return static_cast<size_t>(std::count_if(cell.begin(), cell.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

std::string Table(const std::vector<std::vector<std::string>>& rows,
                  const std::vector<size_t>& left) {
  if (rows.empty()) return {};
  std::vector<size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], Width(row.at(i)));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < widths.size(); ++i) {
      const std::string pad(widths[i] - Width(row[i]), ' ');
      const bool to_left = std::find(left.begin(), left.end(), i) != left.end();
      line += "  ";
      line += to_left ? row[i] + pad : pad + row[i];
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    text += line + "\n";
  }
  return text;
}

}  // namespace crowdteach::cli
