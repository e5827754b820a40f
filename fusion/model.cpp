#include "fusion/model.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "engine/base/error.h"
#include "engine/weights/gguf/gguf_metadata.h"
#include "fusion/family.h"
#include "fusion/keys/known_keys.h"
#include "fusion/keys/unused_tensors.h"
#include "fusion/prompting.h"
#include "fusion/sliced/model_parts.h"
#include "fusion/source/lora/adapter.h"

namespace mmbatch {
namespace {

/// A list or scalar of generation_config.json as a setting's value.  @throws ModelError for anything else
GenerationValue generation_value(const Config& file, const std::string& name) {
  const Config value = file.child(name);
  if (value.is_flag()) return value.as_flag();
  if (value.is_integer()) return value.as_integer();
  if (value.is_number()) return value.as_number();
  if (value.is_text()) return value.as_text();
  const std::vector<Config> elements = file.list(name);
  if (!elements.empty() && elements.front().is_integer()) return file.integers(name);
  return file.texts(name);
}

GenerationOverrides read_generation(const Config& file) {
  GenerationOverrides overrides;
  for (const std::string& name : generation_names()) {
    // As in transformers, max_new_tokens takes precedence over max_length.
    const bool weaker = name == "max_length" && file.has("max_new_tokens");
    if (!file.has(name) || weaker) continue;
    const GenerationValue setting = generation_value(file, name);
    GenerationConfig checked;
    try {
      set(checked, name, setting);
    } catch (const GenerationError& e) {
      throw ModelError(fmt::format("{}: {}", file.source(), e.what()));
    }
    overrides.emplace_back(name, setting);
  }
  return overrides;
}

/// What the folder's files say that nobody here knows.  @throws ModelError for what cannot be left out
std::vector<std::string> check_all_keys(const WeightSource& weights, const ModelSpec& spec) {
  std::vector<std::string> messages = check_config_keys(weights.config());
  const auto add = [&](const Config& file, const KnownKeys& known) {
    for (std::string& message : check_keys(file, known)) messages.push_back(std::move(message));
  };
  add(weights.json_file("tokenizer_config.json"), tokenizer_keys());
  if (!spec.dual) add(weights.json_file("generation_config.json"), generation_keys());
  if (!spec.vision) return messages;
  add(read_image_processor(weights), image_processor_keys(spec.vision->form));
  add(weights.json_file("processor_config.json"), processor_keys());
  return messages;
}

void append_unique(std::vector<std::int32_t>& ids, std::optional<std::int32_t> id) {
  if (id && std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.push_back(*id);
}

/// Ends of sequence: generation_config.json, else config.json, else the tokenizer, else the family's.
void fill_special_tokens(ModelSpec& spec, const Config& config, const Config& generation,
                         const Tokenizer& tokenizer) {
  std::vector<std::int32_t> eos;
  for (const Config& source : {generation, config, config.child("text_config")}) {
    if (!eos.empty()) break;
    for (const std::int64_t id : source.integers("eos_token_id")) {
      if (id < 0 || id >= static_cast<std::int64_t>(spec.decoder.vocab))
        source.fail("eos_token_id", "outside the vocabulary");
      append_unique(eos, static_cast<std::int32_t>(id));
    }
  }
  if (eos.empty()) append_unique(eos, tokenizer.eos());
  if (!eos.empty() && spec.ends == EndsOfSequence::of_files) spec.eos = eos;
  // As in transformers, a text model may write its padding token: it is one like any other.
  if (!spec.vision) return;
  for (const Config& source : {generation, config}) {
    if (!source.has("pad_token_id")) continue;
    append_unique(spec.suppressed,
                  static_cast<std::int32_t>(source.integer("pad_token_id", 0, {-1, INT32_MAX})));
  }
  append_unique(spec.suppressed, tokenizer.pad());
  // Only a token that was added for padding: a piece that serves as padding (such as <unk>) may come,
  // as with transformers, and a model that pads with its end of sequence must still be able to end.
  std::erase_if(spec.suppressed, [&](std::int32_t id) {
    const bool placeholder = id == spec.image_token_id;
    return id < 0 || (!placeholder && tokenizer.in_vocabulary(id)) ||
           std::find(spec.eos.begin(), spec.eos.end(), id) != spec.eos.end();
  });
  const auto suppress = [&](std::optional<std::int32_t> id) {
    if (id && std::find(spec.eos.begin(), spec.eos.end(), *id) == spec.eos.end())
      append_unique(spec.suppressed, id);
  };
  for (const std::string& piece : spec.placeholders) suppress(tokenizer.token_id(piece));
  for (const UnsupportedInput& input : spec.unsupported) suppress(tokenizer.token_id(input.token));
  if (spec.padding == PaddingToken::never_generated) suppress(tokenizer.pad());
  if (!spec.video) return;
  if (const auto id = tokenizer.token_id(spec.video->row_token))
    spec.video->row_token_id = *id;
  else
    spec.video.reset();
}

constexpr const char* kTokenizerAdvice =
    "; copy the tokenizer's files (tokenizer.json or tokenizer.model, tokenizer_config.json, "
    "added_tokens.json, "
    "special_tokens_map.json) from the checkpoint that the weights are of";

/// Rows that the tokenizer's tokens need, but for those at its end that the model is known not to have.
std::size_t rows_needed(const ModelSpec& spec, const Tokenizer& tokenizer) {
  auto rows = static_cast<std::int32_t>(tokenizer.vocab_size());
  const auto rowless = [&](const std::string& token) { return tokenizer.token_id(token) == rows - 1; };
  while (std::any_of(spec.rowless_tokens.begin(), spec.rowless_tokens.end(), rowless)) --rows;
  // A placeholder that only the tokenizer knows.
  if (static_cast<std::size_t>(rows) == spec.vocab() + 1 && spec.image_token_id == rows - 1) --rows;
  return static_cast<std::size_t>(rows);
}

void check_tokenizer(const ModelSpec& spec, const Tokenizer& tokenizer, const WeightSource& weights) {
  const std::filesystem::path& folder = weights.path();
  const auto pieces = static_cast<std::size_t>(tokenizer.vocab_size());
  const bool rows_missing = rows_needed(spec, tokenizer) > spec.vocab();
  if (rows_missing && weights.gguf() != nullptr) {
    weights.gguf()->fail(
        "tokenizer.ggml.tokens",
        fmt::format("{} tokens, but only {} rows of embeddings are there: they do not belong "
                    "together",
                    pieces, spec.vocab()));
  }
  if (rows_missing) {
    throw ModelError(
        fmt::format("{}: the tokenizer has {} tokens, config.json's vocab_size is {}: they do not belong "
                    "together{}",
                    folder.string(), pieces, spec.vocab(), kTokenizerAdvice));
  }
  for (const std::int32_t eos : spec.eos) {
    if (static_cast<std::size_t>(eos) < pieces) continue;
    throw ModelError(
        fmt::format("{}: the end of sequence is token {}, but the tokenizer has {} tokens only: they do not "
                    "belong together{}",
                    folder.string(), eos, pieces, kTokenizerAdvice));
  }
  if (!spec.vision || spec.dual) return;
  // Where images stand in front, the token need not be there; another id would still never be generated.
  const auto placeholder = tokenizer.token_id(spec.image_token);
  const bool needed = spec.placement == ImagePlacement::placeholders;
  if (!needed && (spec.image_token.empty() || !placeholder)) return;
  if (placeholder != spec.image_token_id) {
    throw ModelError(
        fmt::format("{}: the tokenizer does not have '{}' as token {}, which config.json names as the image "
                    "placeholder{}",
                    folder.string(), spec.image_token, spec.image_token_id, kTokenizerAdvice));
  }
}

const CheckpointTemplate* find_template(const std::vector<CheckpointTemplate>& templates,
                                        std::string_view name) {
  const auto found =
      std::find_if(templates.begin(), templates.end(), [&](const auto& one) { return one.name == name; });
  return found == templates.end() ? nullptr : &*found;
}

/// What a manifest's turn_format may be.
std::string known_formats(const std::vector<CheckpointTemplate>& templates) {
  std::string own;
  for (const CheckpointTemplate& one : templates)
    own += fmt::format("{}{}", own.empty() ? "" : ", ", one.name);
  return fmt::format(
      "a built-in one ({}), {}a file such as ./chat.jinja, or a text with {{question}}, {{image}} and "
      "{{system}}, such as \"USER: {{image}}\\n{{question}} ASSISTANT:\"",
      TurnFormat::names_text(), own.empty() ? "" : fmt::format("a template of the model ({}), ", own));
}

std::string several_templates(const std::vector<CheckpointTemplate>& templates) {
  return fmt::format(
      "{}: several chat templates, of which none is the default; set turn_format in the manifest, or "
      "--turn-format: {}",
      templates.front().file, known_formats(templates));
}

ModelSpec read_spec(const WeightSource& weights, const Tokenizer& tokenizer) {
  const Config& config = weights.config();
  check_quantization(config);
  ModelSpec spec = find_family(config).parse(config, weights);
  if (!spec.dual) fill_special_tokens(spec, config, weights.json_file("generation_config.json"), tokenizer);
  check_tokenizer(spec, tokenizer, weights);
  return spec;
}

/// Once for each model, which may be loaded again in another precision.
void warn_of_unused(const WeightSource& weights) {
  const std::string note = unused_tensors_note(weights);
  static std::mutex mutex;
  static std::set<std::string> told;
  const std::lock_guard lock(mutex);
  if (!note.empty() && told.insert(note).second) spdlog::warn("{}", note);
}

}  // namespace

GenerationOverrides read_generation_config(const CheckpointFiles& files) {
  return read_generation(files.json_file("generation_config.json"));
}

ModelFiles::ModelFiles(const ModelPlace& place)
    : folder(place.model),
      parts(place.parts),
      weights(open_model(place)),
      spec(),
      tokenizer(load_tokenizer(*weights)),
      turn_format(TurnFormat::named("plain")),
      generation(read_generation_config(*weights)) {
  spec = read_spec(*weights, *tokenizer);
  if (spec.vision) images.emplace(*weights, *spec.vision);
  std::vector<std::string> of_videos;
  try {
    if (spec.video) {
      video.emplace(*weights, *spec.vision, *spec.video);
      of_videos = check_keys(read_video_processor(*weights), video_processor_keys());
    }
  } catch (const ModelError& e) {
    video.reset();
    video_fault = e.what();  // images are prepared all the same
  }
  unknown_keys = check_all_keys(*weights, spec);
  for (std::string& message : of_videos) {
    const bool said = std::find(unknown_keys.begin(), unknown_keys.end(), message) != unknown_keys.end();
    if (!said) unknown_keys.push_back(std::move(message));  // where the file is the image processor's, too
  }
  for (const AdapterPlace& adapter : place.parts.adapters) {
    for (std::string& message : mmbatch::unknown_keys(adapter)) unknown_keys.push_back(std::move(message));
  }
  templates = read_checkpoint_templates(*weights);
  template_tokens = read_template_tokens(*weights, *tokenizer);
  if (!spec.turn_format.empty()) turn_format = TurnFormat::named(spec.turn_format);
  const CheckpointTemplate* chat = find_template(templates, "default");
  if (chat == nullptr && templates.size() == 1) chat = &templates.front();
  if (chat == nullptr && !templates.empty()) turn_format_warning = several_templates(templates);
  if (chat == nullptr) return;
  try {
    turn_format = TurnFormat::from_template(*chat, find_template(templates, "tool_use"));
  } catch (const ModelError& e) {
    turn_format_warning = fmt::format("{}; set turn_format in the manifest, or --turn-format: {}", e.what(),
                                      known_formats(templates));
  }
}

const VideoPreparation& ModelFiles::videos() const {
  if (video) return *video;
  throw ItemError(ErrorCode::invalid_value,
                  fmt::format("{}; set 'video_input: frames' to show videos as images", video_fault));
}

TurnFormat find_turn_format(const ModelFiles& files, const std::string& name,
                            const std::filesystem::path& folder, const std::string& owner) {
  constexpr std::size_t kMaxBytes = 1u << 20;
  if (name.empty()) return files.turn_format;
  const std::vector<std::string> built_in = TurnFormat::names();
  if (std::find(built_in.begin(), built_in.end(), name) != built_in.end()) return TurnFormat::named(name);
  try {
    if (const CheckpointTemplate* own = find_template(files.templates, name)) {
      TurnFormat format = TurnFormat::from_template(*own);
      format.set_key(fmt::format("template {}\n{}", own->name, own->source));
      return format;
    }
    if (name.find("{question}") == std::string::npos &&
        (name.ends_with(".jinja") || name.find('/') != std::string::npos)) {
      const std::filesystem::path path = folder / name;
      const FolderFiles parent(path.parent_path());
      const auto source = parent.read_file(path.filename().string(), kMaxBytes);
      if (!source) throw ModelError(path.string() + ": no such file");
      TurnFormat format = TurnFormat::from_template({"", *source, path.string()});
      format.set_key("template\n" + *source);
      return format;
    }
  } catch (const ModelError& e) {
    throw UsageError(fmt::format("{}: turn_format: {}", owner, e.what()));
  }
  if (name.find("{question}") != std::string::npos) {
    TurnFormat format = TurnFormat::from_pattern(name);
    format.set_key(name);
    return format;
  }
  throw UsageError(fmt::format("{}: turn_format '{}' is not known; allowed: {}", owner, name,
                               known_formats(files.templates)));
}

void check_sliced(const ModelFiles& files, std::size_t slices) {
  const auto refuse = [&](const std::string& why) {
    throw UsageError(fmt::format("--tensor-parallel {}: {}: {}", slices, files.folder.string(), why));
  };
  if (files.weights->packed())
    refuse("folders that mmbatch quantize packed cannot be divided: take the published checkpoint");
  const std::vector<LayerConfig>& layers = files.spec.decoder.layers;
  for (const LayerConfig& layer : layers) {
    const auto& other = layer.attention.keys_of;
    if (other && slices_divide_attention(layer, slices) != slices_divide_attention(layers[*other], slices))
      refuse(fmt::format("a layer reads the keys and values of layer {}, which would be divided otherwise",
                         *other));
  }
}

Model::Model(std::shared_ptr<const ModelFiles> files, Precision precision, WeightHooks hooks)
    : Model(std::move(files), precision, std::move(hooks), nullptr) {}

Model::Model(std::shared_ptr<const ModelFiles> files, Precision precision,
             std::shared_ptr<const Slices> slices)
    : Model(std::move(files), precision, WeightHooks{}, std::move(slices)) {}

Model::Model(std::shared_ptr<const ModelFiles> files, Precision precision, WeightHooks hooks,
             std::shared_ptr<const Slices> slices)
    : files_(std::move(files)), precision_(precision) {
  if (const auto packed = files_->weights->packed(); packed && *packed != precision) {
    throw ModelError(fmt::format("{}: its weights are packed in {}; --precision may be auto or {}, not {}",
                                 files_->folder.string(), to_string(*packed), to_string(*packed),
                                 to_string(precision)));
  }
  if (slices) check_sliced(*files_, slices->count());
  Weights weights(*files_->weights, precision, std::move(hooks));
  weights.slices = slices;
  if (slices && slices->processes().rank() > 0)
    parts_ = encoder_parts(weights, spec());
  else
    load_encoders(weights);
  if (!spec().dual) decoder_ = std::make_shared<const Decoder>(weights, spec().decoder, spec().decoder_names);
  if (!slices) warn_of_unused(*files_->weights);  // a process that has a part does not ask for the rest
}

void Model::load_encoders(const Weights& weights) {
  if (spec().vision) images_.emplace(weights, *spec().vision);
  if (spec().encoder) encoder_.emplace(weights, *spec().encoder);
  const auto& dual = spec().dual;
  if (!dual) return;
  texts_.emplace(weights, files_->tokenizer, *dual);
  similarity_.emplace(weights, dual->similarity);
}

std::shared_ptr<const Prompt> Model::compose(std::span<const std::int32_t> ids,
                                             std::span<const EncodedImage> images) const {
  std::shared_ptr<const Prompt> prompt = Prompting(*files_).compose(ids, images);
  if (!encoder_) return prompt;
  Scratch scratch;
  return encoder_->encode(*prompt, images, scratch);
}

std::size_t Model::writable_rows() const {
  if (spec().tokenless == TokenlessRows::may_come) return spec().vocab();
  return static_cast<std::size_t>(tokenizer().vocab_size());
}

std::size_t Model::bytes() const {
  std::size_t total = (decoder_ ? decoder_->bytes() : 0) + (encoder_ ? encoder_->bytes() : 0) +
                      (texts_ ? texts_->bytes() : 0) + (images_ ? images_->bytes() : 0);
  for (const auto& part : parts_) total += part->bytes();
  return total;
}

}  // namespace mmbatch
