#include "pipeline/inspect/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <set>

#include "engine/base/error.h"
#include "engine/base/files/checkpoint_names.h"
#include "engine/base/result.h"
#include "engine/kernels/product/precision_choice.h"
#include "engine/weights/precision.h"
#include "fusion/family.h"
#include "fusion/keys/tensor_check.h"
#include "fusion/model.h"
#include "fusion/sliced/model_parts.h"
#include "fusion/source/open_model.h"
#include "pipeline/run/tasks.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;

void list_files(const WeightSource& weights, Inspection& found) {
  for (const char* name : kSmallCheckpointFiles) {
    std::error_code failed;
    const auto bytes = fs::file_size(weights.path() / name, failed);
    if (!failed) found.files.push_back({name, static_cast<std::size_t>(bytes), 0});
  }
  std::set<std::string> dtypes;
  for (const WeightFile& file : weights.files()) found.files.push_back({file.name, file.bytes, file.tensors});
  found.smoothed = weights.smoothed();
  for (const auto& [name, type] : weights.other_tensors()) dtypes.insert(type);
  std::map<std::string, Inspection::Share> shares;
  std::set<const StoredForm*> counted;  // of experts that are stored in one, all have the same
  for (const auto& [name, tensor] : weights.tensors()) {
    found.parameters += tensor.elements();
    const std::string type =
        tensor.packed ? fmt::format("{} (packed)", to_string(*tensor.packed)) : stored_type(tensor);
    dtypes.insert(type);
    Inspection::Share& share = shares[type];
    share.type = type;
    share.parameters += tensor.elements();
    const bool again = tensor.form != nullptr && !counted.insert(tensor.form.get()).second;
    share.bytes += again ? 0 : tensor.bytes();
    found.stored_bytes += again ? 0 : tensor.bytes();
  }
  found.dtypes.assign(dtypes.begin(), dtypes.end());
  for (auto& [type, share] : shares) found.shares.push_back(std::move(share));
  std::stable_sort(found.shares.begin(), found.shares.end(),
                   [](const auto& a, const auto& b) { return a.parameters > b.parameters; });
}

void size_up(const WeightSource& weights, const ModelSpec& spec, Inspection& found) {
  for (const Precision precision : loadable_precisions(weights))
    found.weights.push_back({std::string(to_string(precision)), weight_bytes(weights, spec, precision)});
  if (spec.dual) {
    found.activation_bytes = activation_bytes(spec.dual->text.layer, Inspection::kActivationRows);
    return;
  }
  for (const LayerConfig& layer : spec.decoder.layers) {
    found.activation_bytes =
        std::max(found.activation_bytes, activation_bytes(layer, Inspection::kActivationRows));
  }
  if (const auto& per_layer = spec.decoder.per_layer) {
    found.activation_bytes +=
        Inspection::kActivationRows * spec.decoder.layers.size() * per_layer->width * sizeof(float);
  }
  for (const std::string& name : kv_precision_names())
    found.cache_per_token.push_back({name, kv_bytes_per_token(spec.decoder, kv_precision_from(name))});
  DecoderConfig unlimited = spec.decoder;
  std::erase_if(unlimited.layers, [](const LayerConfig& layer) { return layer.attention.shape.window > 0; });
  if (unlimited.layers.size() == spec.decoder.layers.size()) return;
  for (const std::string& name : kv_precision_names()) {
    found.cache_per_token_beyond_windows.push_back(
        {name, kv_bytes_per_token(unlimited, kv_precision_from(name))});
  }
}

void tell_image_costs(const ModelFiles& files, const std::vector<PictureSize>& pictures, Inspection& found) {
  if (!files.images || files.spec.dual || std::holds_alternative<OneSize>(files.spec.vision->form)) return;
  for (const PictureSize& size : pictures) {
    const auto tokens = guarded([&] {
      return Prompting(files).tokens({&files.spec.image_token_id, 1}, {&size, 1});
    });
    Inspection::ImageCost cost{size, 0, {}};
    if (tokens)
      cost.tokens = tokens.value();
    else
      cost.fault = tokens.error().message;
    found.image_costs.push_back(std::move(cost));
  }
}

void tell_division(const ModelFiles& files, std::size_t slices, Inspection& found) {
  if (slices < 2 || !std::has_single_bit(slices))
    throw UsageError(fmt::format("--tensor-parallel {}: must be 2, 4, 8 or another power of two", slices));
  check_sliced(files, slices);
  found.slices = slices;
  found.processes = process_memory(*files.weights, files.spec, slices);
  found.kept_whole = kept_whole(files.spec, slices);
}

}  // namespace

std::vector<PictureSize> common_picture_sizes() {
  return {{640, 480}, {1024, 1024}, {1920, 1080}, {4032, 3024}};
}

Inspection inspect(const ModelPlace& place, const Questions& questions) {
  Inspection found;
  found.folder = place.model.string();
  const auto opened = open_model(place);
  const WeightSource& weights = *opened;
  list_files(weights, found);
  const auto attempt = [&](const auto& work) {
    try {
      work();
    } catch (const ModelError& e) {
      if (std::find(found.missing.begin(), found.missing.end(), e.what()) == found.missing.end())
        found.missing.push_back(e.what());
    }
  };
  attempt([&] {
    const Config& config = weights.config();
    const std::vector<std::string> names = config.texts("architectures");
    found.architecture = names.empty() ? config.text("model_type", "") : names.front();
    check_quantization(config);
    found.spec = find_family(config).parse(config, weights);
  });
  attempt([&] { found.tokenizer_tokens = static_cast<std::size_t>(load_tokenizer(weights)->vocab_size()); });
  if (found.spec && found.spec->vision) attempt([&] { ImagePreparation(weights, *found.spec->vision); });
  // What the parts say together.
  attempt([&] {
    const ModelFiles files(place);
    found.spec = files.spec;
    found.notes = files.unknown_keys;
    attempt([&] { check_tensors(files); });
    tell_image_costs(files, questions.pictures, found);
    if (questions.slices > 0) tell_division(files, questions.slices, found);
    const PrecisionChoice choice = choose_precision(*files.weights, Automatic::floats);
    found.computed_in = fmt::format("{}: {}", to_string(choice.precision), choice.reason);
    if (files.spec.dual) return;
    found.turn_format = files.turn_format.name();
    found.turn_format_note = files.turn_format_warning;
  });
  if (!found.spec) return found;
  found.tasks = tasks_of(*found.spec);
  size_up(weights, *found.spec, found);
  return found;
}

}  // namespace mmbatch
