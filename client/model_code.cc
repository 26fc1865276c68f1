#include "client/model_code.h"

namespace crowdteach::client {

StatusOr<std::string> FetchModelCode(Session* session, Home* home,
                                     const learning::ModelSpec& spec) {
  if (!spec.code) return std::string();
  CT_RETURN_IF_ERROR(
      session->Download(base::BlobKind::kCode, spec.code->digest, spec.code->size_bytes, {}));
  return home->blobs().Path(spec.code->digest);
}

}  // namespace crowdteach::client
