#include "proto/wire/invite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <exception>
#include <optional>

#include "proto/base/assert.h"
#include "proto/base/bytes.h"
#include "proto/base/file.h"
#include "proto/base/utc_time.h"

namespace crowdteach::wire {
namespace {

constexpr size_t kMaxTextBytes = 16 << 10;
constexpr std::string_view kKeys[] = {"version",   "role",          "expires_ms",
                                      "addresses", "web_addresses", "log_vkey",
                                      "invite",    "token",         "ca"};

// What can stand in a TOML text as it is.
bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; });
}

// A PEM text: plain characters, spaces and line feeds.
bool IsPlainLines(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c == '\n' || c == ' ' || IsPlain(std::string_view(&c, 1));
  });
}

// Reads the keys of one file; the first thing wrong is kept and later reads give empty values.
class Reader {
 public:
  Reader(const toml::table& table, std::string_view file) : table_(table), file_(file) {
    for (const auto& [key, node] : table_) {
      if (std::find(std::begin(kKeys), std::end(kKeys), key.str()) == std::end(kKeys)) {
        Fail(&node, fmt::format("unknown key \"{}\"", key.str().substr(0, 40)));
      }
    }
  }

  uint64_t Number(std::string_view key) {
    const toml::node* node = Find(key);
    if (node == nullptr) return 0;
    const auto value = node->is_integer() ? node->value<int64_t>() : std::nullopt;
    if (value.has_value() && *value >= 0) return static_cast<uint64_t>(*value);
    Fail(node, fmt::format("\"{}\" must be a whole number from 0", key));
    return 0;
  }

  std::string Text(std::string_view key) {
    const toml::node* node = Find(key);
    if (node == nullptr) return {};
    const auto value = node->is_string() ? node->value<std::string>() : std::nullopt;
    if (value.has_value() && !value->empty() && value->size() <= kMaxTextBytes) return *value;
    Fail(node, fmt::format("\"{}\" must be a text of 1 to {} bytes", key, kMaxTextBytes));
    return {};
  }

  std::vector<std::string> Addresses(std::string_view key, size_t at_least) {
    std::vector<std::string> addresses;
    const toml::node* node = Find(key);
    if (node == nullptr) return addresses;
    const toml::array* array = node->as_array();
    if (array == nullptr || array->size() < at_least || array->size() > kMaxAddresses) {
      Fail(node, fmt::format("\"{}\" must be a list of {} to {} addresses", key, at_least,
                             kMaxAddresses));
      return addresses;
    }
    for (const toml::node& item : *array) {
      const auto text = item.is_string() ? item.value<std::string>() : std::nullopt;
      const StatusOr<HostPort> address = ParseHostPort(text.value_or(""));
      if (!address.ok() || address->port == 0) {
        Fail(&item, fmt::format("\"{}\" must hold texts like \"host:port\"", key));
        break;
      }
      addresses.push_back(*text);
    }
    return addresses;
  }

  void Fail(const toml::node* node, std::string_view what) {
    if (!status_.ok()) return;
    const uint32_t line = node == nullptr ? 1 : static_cast<uint32_t>(node->source().begin.line);
    status_ = InvalidArgument("{}:{}: {}", file_, line, what);
  }
  // The same for a value already read.
  void FailAt(std::string_view key, std::string_view what) { Fail(table_.get(key), what); }

  const Status& status() const { return status_; }

 private:
  const toml::node* Find(std::string_view key) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) Fail(nullptr, fmt::format("\"{}\" is missing", key));
    return node;
  }

  const toml::table& table_;
  std::string_view file_;
  Status status_;
};

StatusOr<Invite> FromTable(const toml::table& table, std::string_view file) {
  Reader reader(table, file);
  if (reader.Number("version") != 1) {
    reader.FailAt("version",
                  "an invite of another version; this program reads version 1: upgrade it");
  }
  Invite invite;
  const StatusOr<v1::Role> role = ParseRole(reader.Text("role"));
  if (!role.ok()) reader.FailAt("role", Message(role.status()));
  invite.role = role.value_or(v1::ROLE_UNSPECIFIED);
  invite.expires_ms = reader.Number("expires_ms");
  invite.addresses = reader.Addresses("addresses", 1);
  invite.web_addresses = reader.Addresses("web_addresses", 0);
  invite.log_vkey = reader.Text("log_vkey");
  invite.index = reader.Number("invite");
  const StatusOr<std::string> seed = base::ParseHex(reader.Text("token"));
  if (!seed.ok() || seed->size() != 32) reader.FailAt("token", "\"token\" must be 64 hex digits");
  invite.token_seed = seed.value_or("");
  if (!IsPlain(invite.log_vkey)) reader.FailAt("log_vkey", "\"log_vkey\" is not a verifier key");
  invite.ca_pem = reader.Text("ca");
  if (!IsPlainLines(invite.ca_pem)) reader.FailAt("ca", "\"ca\" is not a PEM certificate");
  CT_RETURN_IF_ERROR(reader.status());
  return invite;
}

std::string QuotedList(const std::vector<std::string>& items) {
  std::string list;
  for (const std::string& item : items) {
    list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", item);
  }
  return "[" + list + "]";
}

}  // namespace

std::string FormatInvite(const Invite& invite) {
  const bool plain = IsPlain(invite.log_vkey) &&
                     std::all_of(invite.addresses.begin(), invite.addresses.end(), IsPlain) &&
                     std::all_of(invite.web_addresses.begin(), invite.web_addresses.end(), IsPlain);
  CT_ASSERT(plain && IsPlainLines(invite.ca_pem) && invite.token_seed.size() == 32);
  return fmt::format(
      "# An invite to crowdteach. Keep it secret: whoever has it can use it up.\n"
      "version = 1\n"
      "role = \"{}\"\n"
      "expires_ms = {}  # {}\n"
      "addresses = {}\n"
      "web_addresses = {}\n"
      "log_vkey = \"{}\"\n"
      "invite = {}\n"
      "token = \"{}\"\n"
      "ca = \"\"\"\n{}\"\"\"\n",
      RoleName(invite.role), invite.expires_ms, base::UtcTime(invite.expires_ms),
      QuotedList(invite.addresses), QuotedList(invite.web_addresses), invite.log_vkey, invite.index,
      base::Hex(invite.token_seed), invite.ca_pem);
}

StatusOr<Invite> ParseInvite(std::string_view text, std::string_view file) {
  if (text.size() > kMaxInviteBytes) {
    return InvalidArgument("{}: an invite has at most {} bytes, this has {}", file, kMaxInviteBytes,
                           text.size());
  }
  // toml++ runs into undefined behaviour on some characters beyond ASCII; an invite has none.
  const auto strange = std::find_if(text.begin(), text.end(),
                                    [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
  if (strange != text.end()) {
    return InvalidArgument(
        "{}:{}: a character beyond ASCII, which no invite has; the file was changed: get the "
        "invite again",
        file, 1 + std::count(text.begin(), strange, '\n'));
  }
  try {
    return FromTable(toml::parse(text), file);
  } catch (const toml::parse_error& error) {
    return InvalidArgument(
        "{}:{}: {}; the file is no invite, or was cut or changed: get the invite again", file,
        static_cast<uint32_t>(error.source().begin.line), error.description());
  } catch (const std::exception& error) {
    return InvalidArgument("{}: {}", file, error.what());
  }
}

StatusOr<Invite> ReadInvite(const std::string& path) {
  CT_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path, kMaxInviteBytes));
  return ParseInvite(text, path);
}

StatusOr<HostPort> ParseHostPort(std::string_view text) {
  const Status error = InvalidArgument(
      "\"{}\" is not an address: write host:port, or [address]:port for IPv6", text.substr(0, 80));
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.size() > 261) return error;
  HostPort address;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const auto [end, errc] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (errc != std::errc() || end != port.data() + port.size() || port.empty()) return error;
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto allowed = [bracketed](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter || c == '.' || (bracketed ? c == ':' || c == '%' : c == '-' || c == '_');
  };
  if (host.empty() || !std::all_of(host.begin(), host.end(), allowed)) return error;
  address.host = std::string(host);
  return address;
}

std::string FormatHostPort(const HostPort& address) {
  return address.host.find(':') == std::string::npos
             ? fmt::format("{}:{}", address.host, address.port)
             : fmt::format("[{}]:{}", address.host, address.port);
}

bool IsAnyAddress(const std::string& host) {
  in_addr v4 = {};
  in6_addr v6 = {};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return v4.s_addr == INADDR_ANY;
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 &&
         (IN6_IS_ADDR_UNSPECIFIED(&v6) ||
          (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr32[3] == INADDR_ANY));
}

Status CheckPublicAddress(std::string_view text) {
  CT_ASSIGN_OR_RETURN(const HostPort address, ParseHostPort(text));
  if (address.port == 0) {
    return InvalidArgument("\"{}\": port 0 is no port that others can connect to", text);
  }
  if (!IsAnyAddress(address.host)) return OkStatus();
  return InvalidArgument(
      "\"{}\": {} is every address of this machine, and nobody can be sent there; name the one "
      "that people reach, or a DNS name",
      text, address.host);
}

std::string_view RoleName(v1::Role role) {
  switch (role) {
    case v1::TEACHER:
      return "teacher";
    case v1::OWNER:
      return "owner";
    case v1::AUDITOR:
      return "auditor";
    case v1::ISSUER:
      return "issuer";
    default:
      return "unknown";
  }
}

StatusOr<v1::Role> ParseRole(std::string_view name) {
  for (const v1::Role role : {v1::TEACHER, v1::OWNER, v1::AUDITOR}) {
    if (name == RoleName(role)) return role;
  }
  return InvalidArgument("\"{}\" is not a role: teacher, owner or auditor", name.substr(0, 40));
}

}  // namespace crowdteach::wire
