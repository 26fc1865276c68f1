#include "ledger/canonical.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "proto/base/assert.h"

namespace crowdteach::ledger {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// A proto3 enum field keeps any number; a number without a name has no meaning to sign.
Status CheckEnum(const FieldDescriptor& field, int number) {
  if (field.enum_type()->FindValueByNumber(number) != nullptr) return OkStatus();
  return InvalidArgument("{}: {} is not a value of {}", field.full_name(), number,
                         field.enum_type()->name());
}

Status CheckKnown(const Message& message, int depth) {
  const std::string& name = message.GetDescriptor()->full_name();
  if (depth > kMaxDepth) {
    return InvalidArgument("{} lies deeper than {} messages", name, kMaxDepth);
  }
  const Reflection& reflection = *message.GetReflection();
  const auto& unknown = reflection.GetUnknownFields(message);
  if (!unknown.empty()) {
    return InvalidArgument("{} has the unknown field {}", name, unknown.field(0).number());
  }
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool repeated = field->is_repeated();
    const int count = repeated ? reflection.FieldSize(message, field) : 1;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      for (int i = 0; i < count; ++i) {
        CT_RETURN_IF_ERROR(
            CheckEnum(*field, repeated ? reflection.GetRepeatedEnumValue(message, field, i)
                                       : reflection.GetEnumValue(message, field)));
      }
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      for (int i = 0; i < count; ++i) {
        CT_RETURN_IF_ERROR(CheckKnown(repeated ? reflection.GetRepeatedMessage(message, field, i)
                                               : reflection.GetMessage(message, field),
                                      depth + 1));
      }
    }
  }
  return OkStatus();
}

}  // namespace

std::string Encode(const Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    CT_ASSERT(message.SerializePartialToCodedStream(&coded));
  }
  return bytes;
}

Status Decode(std::string_view bytes, Message* message) {
  const std::string& name = message->GetDescriptor()->full_name();
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    return InvalidArgument("{} of {} bytes is too long to decode", name, bytes.size());
  }
  google::protobuf::io::CodedInputStream coded(reinterpret_cast<const uint8_t*>(bytes.data()),
                                               static_cast<int>(bytes.size()));
  // Bounds the parser's own stack; groups inside unknown fields count too.
  coded.SetRecursionLimit(kMaxDepth);
  // Strangers' bytes must not fill our log with protobuf's complaints.
  const google::protobuf::LogSilencer silencer;
  if (!message->ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage()) {
    return InvalidArgument("{} bytes are not a well-formed {} (or nest deeper than {})",
                           bytes.size(), name, kMaxDepth);
  }
  CT_RETURN_IF_ERROR(CheckKnown(*message, 1));
  const std::string again = Encode(*message);
  if (again != bytes) {
    const auto [mine, theirs] =
        std::mismatch(again.begin(), again.end(), bytes.begin(), bytes.end());
    return InvalidArgument(
        "{} is not in its canonical encoding (ascending fields, each once, shortest varints, no "
        "defaults): byte {} of {} differs",
        name, theirs - bytes.begin(), bytes.size());
  }
  return OkStatus();
}

}  // namespace crowdteach::ledger
