#include "fusion/source/open_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/weights/gguf/gguf_file.h"
#include "fusion/families/gguf/gguf_source.h"
#include "fusion/source/model_names.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;

bool is_projector_name(const fs::path& file) {
  return file.filename().string().find("mmproj") != std::string::npos;
}

std::vector<fs::path> gguf_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    if (entry.path().extension() == ".gguf") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// Shards but the first are found by it.
bool is_later_shard(const fs::path& file) {
  const std::string name = file.filename().string();
  const std::size_t at = name.rfind("-of-");
  return at != std::string::npos && at >= 6 && name.compare(at - 6, 6, "-00001") != 0;
}

std::string listed(const std::vector<fs::path>& files) {
  std::string names;
  for (const fs::path& file : files) names += (names.empty() ? "" : ", ") + file.filename().string();
  return names;
}

/// The only model of a folder of GGUF files; empty where there is none.
fs::path model_of(const fs::path& folder) {
  std::vector<fs::path> files = gguf_files(folder);
  std::erase_if(files, [](const fs::path& file) { return is_projector_name(file) || is_later_shard(file); });
  if (files.size() > 1)
    throw ModelError(
        fmt::format("{}: several GGUF models; give one of them: {}", folder.string(), listed(files)));
  return files.empty() ? fs::path() : files.front();
}

/// The only mmproj file beside a model; empty where there is none, or more than one.
fs::path projector_beside(const fs::path& model) {
  std::vector<fs::path> files = gguf_files(model.parent_path().empty() ? "." : model.parent_path());
  std::erase_if(files, [&](const fs::path& file) {
    return !is_projector_name(file) || file.filename() == model.filename();
  });
  return files.size() == 1 ? files.front() : fs::path();
}

bool is_checkpoint(const fs::path& folder) {
  std::error_code failed;
  return fs::exists(folder / "model.safetensors", failed) ||
         fs::exists(folder / "model.safetensors.index.json", failed);
}

}  // namespace

std::shared_ptr<const WeightSource> open_model(const ModelPlace& place) {
  std::error_code failed;
  if (!fs::exists(place.model, failed)) {
    if (const auto named = find_by_name(place.model))
      return open_model({named->model, place.projector.empty() ? named->projector : place.projector});
  }
  fs::path model = place.model;
  if (fs::is_directory(model, failed) && !is_checkpoint(model)) {
    if (const fs::path found = model_of(model); !found.empty()) model = found;
  }
  const bool named_so = model.extension() == ".gguf";
  if (!fs::is_regular_file(model, failed) || (!named_so && !GgufFile::is_gguf(model))) {
    if (!place.projector.empty())
      throw ModelError(fmt::format("{}: an mmproj file goes with a GGUF model only, and {} is none",
                                   place.projector.string(), place.model.string()));
    return open_weights(model);
  }
  const fs::path projector = place.projector.empty() ? projector_beside(model) : place.projector;
  return std::make_shared<const GgufSource>(model, projector);
}

}  // namespace mmbatch
