#include "proto/base/protocol.h"

#include <algorithm>
#include <charconv>

namespace crowdteach::base {
namespace {

constexpr size_t kMaxProgramBytes = 80;

// The peer chose it, and it goes into messages and logs.
std::string Printable(std::string_view program) {
  std::string text(program.substr(0, kMaxProgramBytes));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text.empty() ? "a program without a name" : text;
}

uint32_t OldestOf(const Speaker& speaker) {
  return speaker.oldest == 0 ? speaker.newest : speaker.oldest;
}

std::string Describe(const Speaker& speaker) {
  const uint32_t oldest = OldestOf(speaker);
  return oldest == speaker.newest
             ? fmt::format("{} speaks protocol {}", Printable(speaker.program), speaker.newest)
             : fmt::format("{} speaks protocols {} to {}", Printable(speaker.program), oldest,
                           speaker.newest);
}

bool TakeNumber(std::string_view* text, char end, uint32_t* number) {
  const auto [rest, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
  if (error != std::errc() || rest == text->data() + text->size() || *rest != end) return false;
  text->remove_prefix(static_cast<size_t>(rest - text->data()) + 1);
  return true;
}

}  // namespace

Status CheckCompatible(const Speaker& client, const Speaker& coordinator) {
  const bool client_is_older = client.newest < OldestOf(coordinator);
  if (!client_is_older && coordinator.newest >= OldestOf(client)) return OkStatus();
  const std::string program = Printable(client.program);
  return FailedPrecondition("{}, the coordinator's {}: {}", Describe(client), Describe(coordinator),
                            client_is_older
                                ? fmt::format("upgrade {}", program.substr(0, program.find(' ')))
                                : "ask the operator to upgrade the coordinator");
}

std::string FormatSpeaker(const Speaker& speaker) {
  return fmt::format("{}-{} {}", OldestOf(speaker), speaker.newest, Printable(speaker.program));
}

std::optional<Speaker> ParseSpeaker(std::string_view text) {
  Speaker speaker;
  if (!TakeNumber(&text, '-', &speaker.oldest) || !TakeNumber(&text, ' ', &speaker.newest) ||
      speaker.oldest == 0 || speaker.oldest > speaker.newest) {
    return std::nullopt;
  }
  speaker.program = Printable(text);
  return speaker;
}

}  // namespace crowdteach::base
