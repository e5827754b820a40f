#include "pipeline/inspect/validate.h"

#include <fmt/format.h>

#include <memory>
#include <ostream>
#include <span>

#include "engine/base/result.h"
#include "fusion/model.h"
#include "jobs/listing/item_reader.h"
#include "jobs/manifest/manifest.h"
#include "jobs/media/media.h"
#include "pipeline/graph/outcome.h"
#include "pipeline/run/tasks.h"
#include "pipeline/stages/embed_text.h"
#include "pipeline/stages/encode_text.h"
#include "vision/image/image_header.h"

namespace mmbatch {
namespace {

/// Image rows are not known before an image is preprocessed; a model without tiles has the same number for
/// all.
std::size_t image_tokens(const ModelSpec& spec, std::size_t images) {
  return spec.vision && spec.vision->pinpoints.empty() ? images * spec.vision->encoder.feature_tokens()
                                                       : images;
}

/// Of a dual encoder, which cuts what is too long.
std::optional<Failed> check_texts(const Item& item) {
  const auto checked = guarded([&] {
    for (const std::string& text : texts_of(item)) canonical_text(text);
    return true;
  });
  if (!checked) return Failed{Stage::encode_text, checked.error()};
  return {};
}

std::optional<Failed> check_item(const ReadItem& read, const SettingsOfJobs& merged, const ModelFiles* files,
                                 const EncodeText* encode_text) {
  if (read.error) return Failed{Stage::read, *read.error};
  const Item& item = *read.item;
  const auto settings = guarded([&] { return merged.of(item); });
  if (!settings) return Failed{Stage::read, settings.error()};
  for (const Item::Image& image : item.images) {
    const auto header = guarded([&] {
      const std::vector<unsigned char> bytes = read_image(image);
      return read_image_header(std::as_bytes(std::span(bytes)));
    });
    if (!header) return Failed{Stage::preprocess, header.error()};
  }
  if (files == nullptr) return {};
  const auto able = guarded([&] { return check_task(item, files->spec), true; });
  if (!able) return Failed{Stage::read, able.error()};
  if (encode_text == nullptr) return check_texts(item);
  const auto tokens = guarded([&] { return files->encode_prompt(encode_text->prompt_text(item)); });
  if (!tokens) return Failed{Stage::encode_text, tokens.error()};
  const std::size_t length = tokens.value().size() + image_tokens(files->spec, item.images.size());
  if (length + 1 > files->spec.decoder.max_positions &&
      settings.value()->generation.truncate_prompt == TruncatePrompt::error) {
    return Failed{
        Stage::decode,
        {ErrorCode::prompt_too_long, fmt::format("the prompt has about {} tokens, the model takes at most {}",
                                                 length, files->spec.decoder.max_positions - 1)}};
  }
  return {};
}

}  // namespace

ExitCode validate(const ValidateOptions& options, std::ostream& out) {
  std::shared_ptr<const ModelFiles> files;
  if (options.model) files = std::make_shared<const ModelFiles>(*options.model);
  std::size_t items = 0, bad = 0;
  for (const auto& file : options.manifests) {
    const Manifest manifest = read_manifest(file, {options.media_root});
    const SettingsOfJobs settings(manifest,
                                  {files ? files->generation : GenerationOverrides{}, options.generation});
    for (std::size_t job = 0; job < manifest.jobs.size(); ++job) settings.of_job(job);
    if (files) check_tasks(manifest, *files);
    const bool decoder = files && !files->spec.dual;
    const auto encode_text = decoder ? std::make_unique<EncodeText>(*files, manifest) : nullptr;
    const auto reader = open_items(manifest);
    while (const auto read = reader->next()) {
      ++items;
      const auto failed = check_item(*read, settings, files.get(), encode_text.get());
      if (!failed) continue;
      ++bad;
      out << fmt::format("{}: job {}, item {}: {}/{}: {}\n", read->item->where,
                         manifest.jobs[read->item->job].name, read->item->id, error_stage(failed->stage),
                         to_string(failed->error.code), failed->error.message);
    }
  }
  out << fmt::format("{} items, {} of them would fail\n", items, bad);
  return bad > 0 ? ExitCode::items_failed : ExitCode::ok;
}

}  // namespace mmbatch
