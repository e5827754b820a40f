#include "jobs/manifest/manifest.h"

#include <fmt/format.h>

#include <algorithm>

#include "jobs/item/images/image_budget.h"
#include "jobs/listing/byte_reader.h"
#include "jobs/listing/records.h"
#include "jobs/manifest/listing_kind.h"
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
  if (text.find('\n') == std::string::npos) std::replace(text.begin(), text.end(), '\r', '\n');
  return text;
}

/// A batch file, whose lines are requests: its database has the file's name.
Manifest batch_manifest(const std::filesystem::path& file, const ManifestOptions& options) {
  open_jsonl(file);
  Manifest manifest;
  manifest.file = file;
  std::filesystem::path stem = file.filename();
  while (listing_kind(stem)) stem = stem.stem();
  manifest.database = file.parent_path() / (stem.string() + ".db");
  Job job;
  job.name = stem.string();
  job.form = PromptForm::turns;
  if (!options.media_root.empty()) job.image_root = std::filesystem::absolute(options.media_root);
  job.source.kind = ItemSource::Kind::batch;
  job.source.path = file;
  manifest.jobs.push_back(std::move(job));
  return manifest;
}

Manifest read_as_written(const std::filesystem::path& file, const ManifestOptions& options) {
  const std::filesystem::path absolute = std::filesystem::absolute(file).lexically_normal();
  const auto kind = listing_kind(absolute);
  if (!options.media_root.empty() && kind != ItemSource::Kind::jsonl) {
    throw UsageError(
        fmt::format("{}: --media-root is for batch files (.jsonl): a job of a manifest says "
                    "'image_root' itself",
                    absolute.string()));
  }
  if (kind == ItemSource::Kind::jsonl) return batch_manifest(absolute, options);
  if (kind == ItemSource::Kind::csv || kind == ItemSource::Kind::tsv || kind == ItemSource::Kind::archive) {
    throw UsageError(fmt::format("{}: a listing says nothing of its job: name it as 'items' of a manifest",
                                 absolute.string()));
  }
  return read_yaml_manifest(read_text(absolute), absolute);
}

}  // namespace

Manifest read_manifest(const std::filesystem::path& file, const ManifestOptions& options) {
  Manifest manifest = read_as_written(file, options);
  if (options.truncated_images) {
    for (Job& job : manifest.jobs) job.truncated_images = *options.truncated_images;
  }
  for (Job& job : manifest.jobs) job.image_budget = merged(job.image_budget, options.image_budget);
  manifest.count_parts = options.count_parts;
  manifest.command_line_variables = options.template_variables;
  if (options.template_time) manifest.template_time = options.template_time;
  return manifest;
}

}  // namespace mmbatch
