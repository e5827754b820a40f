#include "jobs/manifest/manifest.h"

#include <fmt/format.h>

#include <stdexcept>

#include "jobs/batch/openai_batch.h"
#include "jobs/listing/byte_reader.h"
#include "jobs/manifest/yaml_manifest.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMaxManifestBytes = 64u << 20;

std::string read_text(const std::filesystem::path& file) {
  ByteReader bytes(file);
  std::string text;
  for (int c = bytes.get(); c != ByteReader::kEnd; c = bytes.get()) {
    if (text.size() == kMaxManifestBytes) {
      throw UsageError(
          fmt::format("{}: larger than {} MiB: list the items in a .jsonl file, which is streamed",
                      file.string(), kMaxManifestBytes >> 20));
    }
    text += static_cast<char>(c);
  }
  if (!bytes.fault().empty()) throw UsageError(fmt::format("{}: {}", file.string(), bytes.fault()));
  return text;
}

bool is_batch_file(std::filesystem::path file) {
  if (file.extension() == ".gz") file = file.stem();
  return file.extension() == ".jsonl" || file.extension() == ".ndjson";
}

GenerationConfig merged(std::initializer_list<const GenerationOverrides*> sources) {
  GenerationConfig config;
  for (const GenerationOverrides* source : sources) apply(config, *source);
  config.validate();
  return config;
}

}  // namespace

Manifest read_manifest(const std::filesystem::path& file, const ManifestOptions& options) {
  const std::filesystem::path absolute = std::filesystem::absolute(file).lexically_normal();
  if (is_batch_file(absolute)) return batch_manifest(absolute, options);
  return read_yaml_manifest(read_text(absolute), absolute);
}

GenerationConfig generation_of(const Manifest& manifest, const Item& item,
                               const GenerationSurroundings& around) {
  try {
    return merged({&around.checkpoint, &manifest.generation, &manifest.jobs.at(item.job).generation,
                   &item.generation, &around.command_line});
  } catch (const std::logic_error& e) {
    throw ItemError(ErrorCode::invalid_value, fmt::format("{}: {}", item.where, e.what()));
  }
}

GenerationConfig generation_of(const Manifest& manifest, const Job& job,
                               const GenerationSurroundings& around) {
  try {
    return merged({&around.checkpoint, &manifest.generation, &job.generation, &around.command_line});
  } catch (const std::logic_error& e) {
    throw UsageError(fmt::format("{}: job '{}': {}", manifest.file.string(), job.name, e.what()));
  }
}

}  // namespace mmbatch
