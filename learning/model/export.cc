#include "learning/model/export.h"

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "learning/model/model_spec.h"
#include "learning/model/safetensors.h"

namespace crowdteach::learning {
namespace {

constexpr char kLoaderScript[] =
#include "learning/model/load_model_py.inc"
    ;

Status WriteText(const std::filesystem::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file) return ErrnoStatus(errno, path.string());
  return OkStatus();
}

}  // namespace

std::string_view LoaderScript() { return {kLoaderScript, sizeof(kLoaderScript) - 1}; }

Status ExportModel(const std::string& folder, std::string_view model_toml,
                   const std::string& weights_path, const std::string& code_path) {
  CT_ASSIGN_OR_RETURN(const ModelSpec spec, ParseModelSpec(model_toml));
  const std::filesystem::path root(folder);
  std::error_code error;
  std::filesystem::create_directories(root, error);
  if (error) return ErrnoStatus(error.value(), folder);
  const Layout layout = LayoutOf(spec);
  const std::string weights = (root / "model.safetensors").string();
  CT_RETURN_IF_ERROR(RewriteWeights(weights_path, layout, weights));
  {
    CT_ASSIGN_OR_RETURN(const WeightsFile file, WeightsFile::Open(weights, layout));
    const Status finite = CheckFinite(file, layout);
    if (!finite.ok()) {
      std::filesystem::remove(weights, error);
      return Annotate(finite, weights_path);
    }
  }
  if (!code_path.empty()) {
    const std::string copy = (root / kCodeFileName).string();
    std::filesystem::copy_file(code_path, copy, std::filesystem::copy_options::overwrite_existing,
                               error);
    if (error) return ErrnoStatus(error.value(), copy);
  }
  CT_RETURN_IF_ERROR(WriteText(root / "model.toml", model_toml));
  return WriteText(root / "load_model.py", LoaderScript());
}

}  // namespace crowdteach::learning
