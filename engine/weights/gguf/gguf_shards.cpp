#include <fmt/format.h>

#include <optional>
#include <string>

#include "engine/base/error.h"
#include "engine/weights/gguf/gguf_file.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;

struct ShardName {
  std::string stem;  // "model" of model-00001-of-00003.gguf
  std::size_t number = 0, count = 0;
};

constexpr std::size_t kDigits = 5;

std::optional<std::size_t> five_digits(const std::string& text, std::size_t at) {
  std::size_t number = 0;
  for (std::size_t i = at; i < at + kDigits; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return {};
    number = 10 * number + static_cast<std::size_t>(text[i] - '0');
  }
  return number;
}

std::optional<ShardName> parse_shard_name(const fs::path& file) {
  const std::string name = file.filename().string();
  const std::string pattern = "-00000-of-00000.gguf";
  if (name.size() <= pattern.size()) return {};
  const std::size_t at = name.size() - pattern.size();
  const auto number = five_digits(name, at + 1), count = five_digits(name, at + 10);
  if (!number || !count || name.compare(at, 1, "-") != 0 || name.compare(at + 6, 4, "-of-") != 0 ||
      name.compare(at + 15, 5, ".gguf") != 0)
    return {};
  return ShardName{name.substr(0, at), *number, *count};
}

fs::path shard_path(const fs::path& any, const ShardName& name, std::size_t number) {
  return any.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", name.stem, number, name.count);
}

void check_shard(const GgufFile& shard, std::size_t number, std::size_t count) {
  const gguf::Metadata& metadata = shard.metadata();
  if (metadata.size("split.count", count) != count)
    metadata.fail("split.count",
                  fmt::format("{} files, the first one says {}", metadata.size("split.count", 0), count));
  if (metadata.size("split.no", number) != number) {
    metadata.fail("split.no", fmt::format("{} (counted from 0), by its name the file is {}: it was renamed",
                                          metadata.size("split.no", 0), number));
  }
}

/// Later files mostly have no other keys than these; where they have, they are of the same model.
void check_same_model(const GgufFile& first, const GgufFile& later) {
  const std::string architecture = "general.architecture";
  const gguf::Metadata& metadata = later.metadata();
  const std::string own = metadata.text(architecture, "") + ".";
  for (const std::string& key : metadata.keys()) {
    if ((key != architecture && !key.starts_with(own)) || !metadata.contradicts(first.metadata(), key))
      continue;
    metadata.fail(key, fmt::format("differs from that of {}: the file is a part of another model",
                                   first.path().filename().string()));
  }
}

/// A file that says it is the only one may have kept the name of a part that it was merged from; where others
/// lie beside it, they would be left out.
void check_single(const GgufFile& file, const std::optional<ShardName>& name, const fs::path& path) {
  if (!name || name->count <= 1) return;
  const fs::path sibling = shard_path(path, *name, name->number == 1 ? 2 : 1);
  std::error_code failed;
  if (!fs::exists(sibling, failed)) return;
  const std::string key = "split.count";
  const gguf::Metadata& metadata = file.metadata();
  const std::string said = metadata.has(key) ? std::to_string(metadata.size(key, 0)) : "missing";
  metadata.fail(key, fmt::format("{}, but by its name the file is one of {}, and {} lies beside it", said,
                                 name->count, sibling.filename().string()));
}

}  // namespace

std::vector<GgufFile> open_gguf(const fs::path& path) {
  std::vector<GgufFile> files;
  files.emplace_back(path);
  const std::size_t count = files.front().metadata().size("split.count", 1, 99999);
  const auto name = parse_shard_name(path);
  if (count <= 1) {
    check_single(files.front(), name, path);
    return files;
  }
  if (!name || name->number != 1 || name->count != count) {
    throw ModelError(
        fmt::format("{}: a part of a model in {} files; give the first one, whose name ends in "
                    "-00001-of-{:05}.gguf",
                    path.string(), count, count));
  }
  check_shard(files.front(), 0, count);
  std::size_t tensors = files.front().tensors().size() + files.front().other_tensors().size();
  for (std::size_t i = 2; i <= count; ++i) {
    const fs::path next = shard_path(path, *name, i);
    std::error_code failed;
    if (!fs::exists(next, failed)) {
      throw ModelError(
          fmt::format("{}: is missing: the model of {} is in {} files, which must lie side by side",
                      next.string(), path.filename().string(), count));
    }
    files.emplace_back(next);
    check_shard(files.back(), i - 1, count);
    check_same_model(files.front(), files.back());
    tensors += files.back().tensors().size() + files.back().other_tensors().size();
  }
  const std::string key = "split.tensors.count";
  const gguf::Metadata& first = files.front().metadata();
  if (first.size(key, tensors) != tensors)
    first.fail(key, fmt::format("{} tensors, the {} files have {}", first.size(key, 0), count, tensors));
  return files;
}

}  // namespace mmbatch
