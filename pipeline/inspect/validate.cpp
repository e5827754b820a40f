#include "pipeline/inspect/validate.h"

#include <fmt/format.h>

#include <memory>
#include <ostream>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "engine/base/result.h"
#include "engine/base/text/counted.h"
#include "engine/decoder/prompt_length.h"
#include "fusion/keys/tensor_check.h"
#include "fusion/prompting.h"
#include "jobs/listing/item_reader.h"
#include "jobs/manifest/manifest.h"
#include "jobs/manifest/setting_notes.h"
#include "jobs/media/media.h"
#include "jobs/text/clock.h"
#include "pipeline/constraint/answer_lengths.h"
#include "pipeline/constraint/constraints.h"
#include "pipeline/documents/parts_counter.h"
#include "pipeline/graph/outcome.h"
#include "pipeline/inspect/tokenizer_check.h"
#include "pipeline/run/outputs.h"
#include "pipeline/run/tasks.h"
#include "pipeline/stages/decode.h"
#include "pipeline/stages/embed_text.h"
#include "pipeline/stages/encode_text.h"
#include "pipeline/stages/images/image_names.h"
#include "pipeline/stages/images/shown_pictures.h"
#include "vision/document/document.h"
#include "vision/image/image_decode.h"
#include "vision/image/image_header.h"

namespace mmbatch {
namespace {

/// The size of a picture once it is the right way up.
PictureSize size_of(const ImageHeader& header) {
  const PictureSize stored{static_cast<int>(header.width), static_cast<int>(header.height)};
  return header.orientation >= 5 ? PictureSize{stored.height, stored.width} : stored;
}

/// The texts of a dual encoder's item.
/// @param fitting labels that were found to fit: items of a job mostly share theirs
std::optional<Failed> check_texts(const Item& item, const ModelFiles& files, std::set<std::string>& fitting) {
  constexpr std::size_t kMostKnown = 10'000;
  const DualEncoderSpec& spec = *files.spec.dual;
  const auto checked = guarded([&] {
    for (const NamedText& text : texts_of(item)) {
      if (fitting.contains(text.text)) continue;
      naming(text.name, [&] { return padded_text(text.text, spec.text_form, *files.tokenizer, spec.text); });
      if (item.labels && fitting.size() < kMostKnown) fitting.insert(text.text);
    }
    return true;
  });
  if (!checked) return Failed{Stage::encode_text, checked.error()};
  return {};
}

/// What of an image shows in its header alone.  @throws ItemError
ImageHeader checked_header(std::span<const std::byte> encoded, const ImagePart& part) {
  const ImageHeader header = read_part_header(encoded, part);
  if (!part.empty() && comes_in_parts(header.format)) return header;
  check_image_limits(header, {});
  check_image_work(encoded, header);
  return header;
}

/// That max_length leaves room for an answer behind a prompt of so many tokens.  @throws ItemError
void check_max_length(std::size_t prompt, const GenerationConfig& generation) {
  const auto& most = generation.max_length;
  if (!most || std::cmp_less(prompt, *most) || !generation.choices.empty()) return;
  throw ItemError(
      ErrorCode::prompt_too_long,
      fmt::format("the prompt has {}, which leaves none of max_length {}", counted(prompt, "token"), *most));
}

/// What items are held to beside their settings; null: nothing is known of it.
struct Checks {
  const ModelFiles* files = nullptr;
  const EncodeText* encode_text = nullptr;
  TokenizerCheck* tokenizers = nullptr;      // not null with encode_text
  AnswerLengths* lengths = nullptr;          // likewise
  std::set<std::string>* fitting = nullptr;  // texts of labels; not null with files
};

std::optional<Failed> check_item(const Item& item, const SettingsOfJobs& merged, const Checks& checks) {
  const auto& [files, encode_text, tokenizers, lengths, fitting] = checks;
  const auto settings = guarded([&] { return merged.of(item); });
  if (!settings) return Failed{Stage::read, settings.error()};
  const auto held = guarded([&] { return check_own_constraint(item, settings.value()->generation), true; });
  if (!held) return Failed{Stage::read, held.error()};
  std::vector<PictureSize> images;
  for (std::size_t i = 0; i < item.images.size(); ++i) {
    const Item::Image& image = item.images[i];
    const auto header = guarded([&] {
      const std::vector<unsigned char> bytes = read_image(image);
      return naming(name_in_messages(item, i),
                    [&] { return checked_header(std::as_bytes(std::span(bytes)), image.part); });
    });
    if (!header) return Failed{Stage::preprocess, header.error()};
    images.push_back(size_of(header.value()));
  }
  if (files == nullptr) return {};
  const std::vector<PictureSize> pictures = picture_sizes(item, files->spec, images);
  const auto able = guarded([&] { return check_task(item, files->spec), true; });
  if (!able) return Failed{Stage::read, able.error()};
  if (encode_text == nullptr) return check_texts(item, *files, *fitting);
  const auto ids = guarded([&] {
    const RenderedPrompt prompt = encode_text->prompt(item);
    tokenizers->compare(prompt, item.where);
    return encode_text->ids(prompt, item);
  });
  if (!ids) return Failed{Stage::encode_text, ids.error()};
  const ImageBudget& budget = settings.value()->image_budget;
  const auto sized = guarded([&] {
    std::size_t rows = 0;
    for (const PictureSize& picture : pictures)
      rows += files->images ? Prompting(*files).layout(picture, budget).rows : 0;
    return rows;
  });
  if (!sized) return Failed{Stage::preprocess, sized.error()};
  const auto tokens = guarded([&] { return Prompting(*files).tokens(ids.value(), pictures, budget); });
  if (!tokens) return Failed{Stage::fuse, tokens.error()};
  const auto too_long =
      length_fault({tokens.value(), pictures.size(), std::min(sized.value(), tokens.value())},
                   settings.value()->generation.truncate_prompt, files->spec.longest_prompt());
  if (too_long) return Failed{Stage::decode, *too_long};
  const GenerationConfig& generation = settings.value()->generation;
  const bool is_cut = generation.truncate_prompt == TruncatePrompt::left && pictures.empty();
  const auto has_room = guarded([&] {
    check_token_settings(files->spec, generation);
    if (!is_cut) check_max_length(files->spec.encoder ? 1 : tokens.value(), generation);
    lengths->check(generation);
    return true;
  });
  if (!has_room) return Failed{Stage::decode, has_room.error()};
  return {};
}

using Notes = std::vector<std::string>;

/// What is wrong with an item, and where.
struct Fault {
  Failed failed;
  std::string where;
};

std::optional<Fault> fault_of(const ReadItem& read, const SettingsOfJobs& merged, const Checks& checks) {
  if (const auto& error = read.error)
    return Fault{{Stage::read, Error{error->code, error->message}}, error->where};
  const auto failed = check_item(*read.item, merged, checks);
  if (!failed) return {};
  return Fault{*failed, read.item->where};
}

std::string fault_line(const Item& item, const std::string& job, const Fault& fault) {
  const Error& error = fault.failed.error;
  return fmt::format("{}: job {}, item {}: {}/{}: {}\n", fault.where, job, item.id,
                     error_stage(fault.failed.stage), to_string(error.code), error.message);
}

Manifest read(const std::filesystem::path& file, const ValidateOptions& options) {
  return read_manifest(file, {.media_root = options.media_root,
                              .image_budget = options.image_budget,
                              .template_variables = options.template_variables,
                              .template_time = options.template_time,
                              .count_parts = parts_counter()});
}

/// That nothing is written into a file that is read. Before the first line about one of several manifests,
/// the others are looked at, too.
/// @return the manifest, if there is only one
std::optional<Manifest> check_streams(const ValidateOptions& options) {
  FileRoles files;
  if (options.model) reads_model(files, *options.model);
  for (const SettingFile& file : options.generation_files) files.reads("the file of an option,", file.path);
  for (const auto& file : options.manifests) files.reads("the manifest", file);
  files.check();
  std::optional<Manifest> only;
  for (const auto& file : options.manifests) {
    Manifest manifest = read(file, options);
    files.reads(manifest);
    if (options.manifests.size() == 1) only = std::move(manifest);
  }
  files.check();
  return only;
}

}  // namespace

ExitCode validate(const ValidateOptions& options, std::ostream& out) {
  std::optional<Manifest> only = check_streams(options);
  std::shared_ptr<const ModelFiles> files;
  if (options.model) {
    files = std::make_shared<const ModelFiles>(*options.model);
    check_tensors(*files);
  }
  for (const std::string& note : files ? files->unknown_keys : std::vector<std::string>())
    out << fmt::format("note: {}\n", note);
  std::optional<TokenizerCheck> tokenizers;
  std::optional<AnswerLengths> lengths;
  if (files && !files->spec.dual) {
    tokenizers.emplace(*files);
    lengths.emplace(files->tokenizer);
  }
  std::set<std::string> fitting;
  std::size_t items = 0, bad = 0;
  for (const auto& file : options.manifests) {
    const Manifest manifest = only ? *std::exchange(only, {}) : read(file, options);
    const SettingsOfJobs settings(manifest, {files ? files->generation : GenerationOverrides{},
                                             options.generation, options.image_budget});
    for (std::size_t job = 0; job < manifest.jobs.size(); ++job) settings.of_job(job);
    for (const std::string& warning :
         check_constraints(manifest, options.generation, options.generation_files))
      out << fmt::format("note: {}\n", warning);
    const GenerationSurroundings around{files ? files->generation : GenerationOverrides{},
                                        options.generation};
    for (const std::string& note : setting_notes(manifest, around)) out << fmt::format("note: {}\n", note);
    for (const std::string& note : lengths ? lengths->notes(manifest, options.generation) : Notes())
      out << fmt::format("note: {}\n", note);
    if (files) check_tasks(manifest, *files);
    for (const std::string& note : files ? idle_variables(manifest, *files) : std::vector<std::string>())
      out << fmt::format("note: {}\n", note);
    const bool decoder = files && !files->spec.dual;
    const auto encode_text =
        decoder ? std::make_unique<EncodeText>(*files, manifest,
                                               manifest.template_time.value_or(read_time(utc_now()).value()))
                : nullptr;
    const auto reader = open_items(manifest);
    while (const auto read = reader->next()) {
      ++items;
      const auto fault = fault_of(*read, settings,
                                  {files.get(), encode_text.get(), tokenizers ? &*tokenizers : nullptr,
                                   lengths ? &*lengths : nullptr, &fitting});
      if (!fault) continue;
      ++bad;
      out << fault_line(*read->item, manifest.jobs[read->item->job].name, *fault);
    }
  }
  if (const auto note = tokenizers ? tokenizers->note() : std::nullopt)
    out << fmt::format("warning: {}\n", *note);
  out << fmt::format("{}, {} of them would fail\n", counted(items, "item"), bad);
  return bad > 0 ? ExitCode::items_failed : ExitCode::ok;
}

}  // namespace mmbatch
