#include "server/account_names.h"

#include <algorithm>

namespace crowdteach::server {
namespace {

// Names are ASCII, and no locale may change which are the same.
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool SameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

}  // namespace

Status CheckNewName(const ledger::State& state, std::string_view name) {
  if (name.find_first_not_of("0123456789") == std::string_view::npos) {
    return FailedPrecondition("\"{}\" reads as an account's number; choose another --name", name);
  }
  if (name.front() == ' ' || name.back() == ' ') {
    return FailedPrecondition("\"{}\" begins or ends with a space; choose another --name", name);
  }
  for (const auto& [number, account] : state.accounts()) {
    if (!SameName(account.name, name)) continue;
    return FailedPrecondition("account {} is called \"{}\" already; choose another --name", number,
                              account.name);
  }
  return OkStatus();
}

}  // namespace crowdteach::server
