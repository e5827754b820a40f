#include "fusion/source/open_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/weights/gguf/gguf_file.h"
#include "fusion/families/gguf/gguf_source.h"
#include "fusion/source/lora/adapted_source.h"
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

constexpr const char* kNone = "none";

/// The only mmproj file beside a model; empty where there is none.
/// @throws ModelError for several
fs::path projector_beside(const fs::path& model) {
  std::vector<fs::path> files = gguf_files(model.parent_path().empty() ? "." : model.parent_path());
  std::erase_if(files, [&](const fs::path& file) {
    return !is_projector_name(file) || file.filename() == model.filename();
  });
  if (files.size() > 1) {
    throw ModelError(
        fmt::format("{}: several mmproj files are beside it: {}; give one with --mmproj, or --mmproj none "
                    "for text alone",
                    model.string(), listed(files)));
  }
  return files.empty() ? fs::path() : files.front();
}

fs::path projector_of(const fs::path& model, const fs::path& wanted) {
  if (wanted == kNone) return {};
  if (wanted.empty()) return projector_beside(model);
  std::error_code failed;
  if (!fs::is_regular_file(wanted, failed))
    throw ModelError(fmt::format("{}: an mmproj file, which is not there", wanted.string()));
  return wanted;
}

bool is_checkpoint(const fs::path& folder) {
  std::error_code failed;
  return fs::exists(folder / "model.safetensors", failed) ||
         fs::exists(folder / "model.safetensors.index.json", failed);
}

std::shared_ptr<const WeightSource> open_unadapted(const fs::path& place, const fs::path& projector) {
  std::error_code failed;
  if (!fs::exists(place, failed)) {
    if (const auto named = find_by_name(place))
      return open_unadapted(named->model, projector.empty() ? named->parts.projector : projector);
  }
  fs::path model = place;
  if (fs::is_directory(model, failed) && !is_checkpoint(model)) {
    if (const fs::path found = model_of(model); !found.empty()) model = found;
  }
  const bool named_so = model.extension() == ".gguf";
  if (fs::is_regular_file(model, failed) && (named_so || GgufFile::is_gguf(model)))
    return std::make_shared<const GgufSource>(
        model, projector_of(model, projector),
        projector == kNone ? GgufSource::OwnTower::left_out : GgufSource::OwnTower::used);
  if (projector == kNone) {
    throw ModelError(fmt::format(
        "mmproj none: it leaves out the vision part of a GGUF model, and {} is not one", place.string()));
  }
  if (!projector.empty())
    throw ModelError(fmt::format("{}: an mmproj file goes with a GGUF model only, and {} is not one",
                                 projector.string(), place.string()));
  return open_weights(model);
}

}  // namespace

std::shared_ptr<const WeightSource> open_model(const ModelPlace& place) {
  auto model = open_unadapted(place.model, place.parts.projector);
  if (place.parts.adapters.empty()) return model;
  return std::make_shared<const AdaptedSource>(std::move(model), place.parts.adapters);
}

}  // namespace mmbatch
