#include "ledger/audit/entry_text.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cstdint>

#include "proto/base/bytes.h"
#include "proto/base/utc_time.h"

namespace crowdteach::audit {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Element `i` of a repeated field, or (i < 0) a single one; not a message.
std::string Value(const Message& message, const FieldDescriptor* field, int i) {
  const auto* get = message.GetReflection();
  const bool one = i < 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return fmt::format(
          "{}", one ? get->GetUInt32(message, field) : get->GetRepeatedUInt32(message, field, i));
    case FieldDescriptor::CPPTYPE_UINT64:
      return fmt::format(
          "{}", one ? get->GetUInt64(message, field) : get->GetRepeatedUInt64(message, field, i));
    case FieldDescriptor::CPPTYPE_INT64:
      return fmt::format(
          "{}", one ? get->GetInt64(message, field) : get->GetRepeatedInt64(message, field, i));
    case FieldDescriptor::CPPTYPE_BOOL:
      return get->GetBool(message, field) ? "yes" : "no";
    case FieldDescriptor::CPPTYPE_ENUM:
      return std::string(
          (one ? get->GetEnum(message, field) : get->GetRepeatedEnum(message, field, i))->name());
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string bytes =
          one ? get->GetString(message, field) : get->GetRepeatedString(message, field, i);
      return field->type() == FieldDescriptor::TYPE_BYTES ? base::Hex(bytes) : base::Quoted(bytes);
    }
    default:
      return "";  // the ledger's messages hold no floats
  }
}

void AddFields(const Message& message, const std::string& indent, std::string* text) {
  std::vector<const FieldDescriptor*> fields;
  const auto* get = message.GetReflection();
  get->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string name(field->name());
    const int count = field->is_repeated() ? get->FieldSize(message, field) : 1;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      for (int i = 0; i < count; ++i) {
        *text += fmt::format("{}{}\n", indent, name);
        AddFields(field->is_repeated() ? get->GetRepeatedMessage(message, field, i)
                                       : get->GetMessage(message, field),
                  indent + "  ", text);
      }
      continue;
    }
    std::string values;
    for (int i = 0; i < count; ++i) {
      values += (i == 0 ? "" : ", ") + Value(message, field, field->is_repeated() ? i : -1);
    }
    *text += fmt::format("{}{}: {}\n", indent, name, values);
  }
}

}  // namespace

std::string BalanceName(const v1::Posting& posting) {
  switch (posting.kind()) {
    case v1::AVAIL:
      return fmt::format("avail/{}", posting.account());
    case v1::STAKE:
      return fmt::format("stake/{}/{}", posting.campaign(), posting.account());
    case v1::ESCROW:
      return fmt::format("escrow/{}", posting.campaign());
    case v1::HELD:
      return fmt::format("held/{}/{}", posting.campaign(), posting.account());
    case v1::TREASURY:
      return "treasury";
    case v1::ISSUED:
      return "issued";
    default:
      return "unknown";
  }
}

std::string EntryText(const ledger::LoggedEntry& entry) {
  const v1::Intent& intent = entry.intent;
  const std::string who = intent.has_account_open() ? "a new account"
                          : intent.account() == 0   ? "the operator"
                                                    : fmt::format("account {}", intent.account());
  std::string text = fmt::format("entry {}: {} by {}, {}\nleaf hash {}\n", entry.entry.index(),
                                 ledger::BodyName(intent), who,
                                 base::UtcTime(entry.entry.time_ms()), base::Hex(entry.leaf));
  const google::protobuf::OneofDescriptor* bodies = v1::Intent::descriptor()->oneof_decl(0);
  const auto* get = intent.GetReflection();
  if (const FieldDescriptor* body = get->GetOneofFieldDescriptor(intent, bodies)) {
    AddFields(get->GetMessage(intent, body), "  ", &text);
  }
  if (entry.entry.postings_size() > 0) text += "postings\n";
  for (const v1::Posting& posting : entry.entry.postings()) {
    text += fmt::format("  {:<20} {:>+12}\n", BalanceName(posting), posting.amount());
  }
  return text;
}

}  // namespace crowdteach::audit
