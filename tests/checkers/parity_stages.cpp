#include "tests/checkers/parity_stages.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "engine/base/error.h"
#include "fusion/prompting.h"
#include "tests/checkers/parity_compare.h"
#include "tests/checkers/parity_ragged.h"
#include "tests/checkers/stages/parity_encoder.h"
#include "tests/checkers/stages/parity_layers.h"
#include "tests/checkers/stages/parity_tower.h"
#include "vision/image/image_decode.h"

namespace mmbatch::parity {
namespace {

Image read_image(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw std::runtime_error(file.string() + ": cannot be read");
  const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
  return decode_image(std::as_bytes(std::span(bytes)));
}

/// Dialogues go through the model's chat template. Where the images stand in the text, other prompts are
/// complete; else they are a bare question.
std::vector<std::int32_t> encode_text(const ModelFiles& files, const ReferenceCase& reference_case,
                                      Report& report) {
  const Prompting prompting(files);
  const std::string& prompt = reference_case.prompt;
  const std::size_t images = reference_case.images.size();
  if (!reference_case.messages.empty()) {
    const RenderedPrompt rendered =
        prompting.render(files.turn_format, reference_case.messages,
                         {.variables = reference_case.template_kwargs, .video = reference_case.video});
    report.tokens("rendered", reference_case.name, rendered.text == prompt ? 0 : 1,
                  fmt::format("found '{}', expected '{}'", rendered.text, prompt));
    return prompting.encode(rendered, images);
  }
  if (reference_case.video) return prompting.encode({.text = prompt, .video = reference_case.video}, images);
  if (!files.spec.vision || files.spec.placement == ImagePlacement::placeholders)
    return prompting.encode(prompt, images);
  const Message question{Role::user, prompt, images};
  return prompting.encode(prompting.render(files.turn_format, {&question, 1}), images);
}

/// Of each image, or each group of a video's frames.
std::vector<FramePlace> frame_places(const Subject& subject, const ReferenceCase& reference_case) {
  if (!reference_case.video) return std::vector<FramePlace>(reference_case.images.size());
  const auto& video = subject.model.spec().video;
  if (!video) throw std::runtime_error("the model takes no videos, a case has one");
  const std::vector<double>& times = reference_case.video->times;
  const double each = (times.back() - times.front()) / std::max(1.0, static_cast<double>(times.size() - 1));
  std::vector<FramePlace> places;
  for (std::size_t i = 0; i < video->groups(times.size()); ++i)
    places.push_back({i, video->groups(times.size()), each * static_cast<double>(video->frames)});
  return places;
}

void check_logits(const Subject& subject, const ReferenceCase& reference_case, const Prompt& prompt,
                  Report& report) {
  const std::string name = reference_case.name + ".logits";
  const TensorView* tensor = subject.reference.tensor(name);
  if (tensor == nullptr) return;
  if (tensor->rows() > prompt.tokens()) {
    return report.failure(
        "logits", name,
        fmt::format("expected of {} positions, the prompt has {}", tensor->rows(), prompt.tokens()));
  }
  const Matrix<float> logits = compute_logits(subject, prompt, {}, tensor->rows());
  check_tensor(subject, reference_case.name + ".logits", logits.view(), kLogitTolerance, report);
}

}  // namespace

void check_tensor(const Subject& subject, const std::string& name, MatrixView<const float> found,
                  double allowed, Report& report) {
  const TensorView* tensor = subject.reference.tensor(name);
  if (tensor == nullptr) return;
  const std::string stage = name.substr(name.find('.') + 1);
  const std::vector<float> expected = to_floats(*tensor);
  if (expected.size() != found.rows * found.cols) {
    return report.failure(
        stage, name,
        fmt::format("expected shape {}, found [{}, {}]", shape_text(tensor->shape), found.rows, found.cols));
  }
  const double tolerance = allowed > 0 ? allowed : feature_tolerance(expected);
  report.numbers(stage, name, {largest_error(found, expected), tolerance});
}

Matrix<float> stacked(std::span<const MatrixView<const float>> parts) {
  std::size_t rows = 0;
  for (const auto& part : parts) rows += part.rows;
  Matrix<float> all(rows, parts.empty() ? 0 : parts.front().cols);
  std::size_t next = 0;
  for (const auto& part : parts) {
    for (std::size_t r = 0; r < part.rows; ++r) {
      std::memcpy(all.row(next++), part.row(r), part.cols * sizeof(float));
    }
  }
  return all;
}

std::vector<EncodedImage> check_images(const Subject& subject, const ReferenceCase& reference_case,
                                       Report& report) {
  if (reference_case.images.empty()) return {};
  const ImageStage* stage = subject.model.images();
  if (stage == nullptr) throw std::runtime_error("the model is text-only, a case has images");
  std::vector<PixelValues> pixels;
  std::vector<const PixelValues*> pointers;
  std::vector<MatrixView<const float>> parts;
  std::vector<const Patches*> tiles;
  std::vector<std::size_t> tile_rows;
  std::vector<Image> decoded;
  for (const std::string& name : reference_case.images)
    decoded.push_back(read_image(subject.reference.folder / "images" / name));
  const std::vector<FramePlace> places = frame_places(subject, reference_case);
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (!reference_case.video) {
      pixels.push_back(subject.model.files().images->prepare(decoded[i]));
      continue;
    }
    std::vector<Image> group;
    const std::size_t frames = subject.model.spec().video->frames;
    for (std::size_t j = 0; j < frames; ++j)
      group.push_back(decoded[std::min(i * frames + j, decoded.size() - 1)]);
    pixels.push_back(subject.model.files().videos().prepare(group, decoded.size(), {}));
  }
  for (const PixelValues& image : pixels) {
    pointers.push_back(&image);
    const bool in_order = stage->config().order.merge == 1;
    for (const Patches& tile : image.tiles) {
      if (in_order) tiles.push_back(&tile);
      tile_rows.push_back(tile.grid.count());
    }
  }
  check_tower(subject, reference_case, pointers, report);
  const std::string pixel_values = reference_case.name + ".pixel_values";
  const bool by_pixel = stage->config().patch_kernel == PatchKernel::pixels;
  for (const Patches* tile : tiles) parts.push_back(tile->values.view());
  if (by_pixel || !holds_patches(subject, pixel_values, stage->config())) {
    const Matrix<float> values = by_pixel ? stacked(parts) : stacked_pixels(tiles);
    check_tensor(subject, pixel_values, values.view(), kPixelTolerance, report);
  }

  std::vector<const Patches*> local;  // tiles without the whole pictures behind them
  for (const PixelValues& image : pixels) {
    for (std::size_t i = 0; i + 1 < image.tiles.size(); ++i) local.push_back(&image.tiles[i]);
  }
  check_tensor(subject, reference_case.name + ".pixel_values_local", stacked_pixels(local).view(),
               kPixelTolerance, report);

  Scratch scratch;
  const ImageStage::Encoded encoded = stage->encode(pointers, scratch);
  if (by_pixel)
    check_tensor(subject, reference_case.name + ".vision_features",
                 pooled(subject, pointers, encoded.features.view()).view(), 0, report);
  else
    check_features(subject, reference_case.name + ".vision_features",
                   as_stored(stage->config(), pointers, encoded.features.view()).view(), tile_rows, report);
  std::vector<EncodedImage> images;
  parts.clear();
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const std::string key =
        reference_case.video ? fmt::format("{} {}", reference_case.name, i) : reference_case.images[i];
    images.push_back({encoded.projected[i], std::hash<std::string>{}(key), places[i]});
    parts.push_back(encoded.projected[i]->view());
  }
  if (subject.model.spec().dual) return images;
  // DeepStack's part of the rows lies beside what stands in the prompt.
  const std::size_t width = subject.model.spec().decoder.hidden;
  for (std::size_t i = 0; i < subject.model.spec().vision->deepstack.size(); ++i) {
    std::vector<MatrixView<const float>> added;
    for (const auto& part : parts) added.push_back(part.col_range((1 + i) * width, width));
    check_tensor(subject, fmt::format("{}.deepstack{}", reference_case.name, i), stacked(added).view(), 0,
                 report);
  }
  for (auto& part : parts) part = part.col_range(0, width);
  // What transformers calls projected is not scaled yet.
  Matrix<float> projected = stacked(parts);
  const auto* scaling = std::get_if<ScaleOp>(&subject.model.spec().vision->projector.ops.back());
  const float scale = scaling != nullptr ? scaling->factor : 1;
  for (std::size_t i = 0; i < projected.rows() * projected.cols(); ++i) projected.data()[i] /= scale;
  check_tensor(subject, reference_case.name + ".image_features", projected.view(), 0, report);
  // Nor does it have the row behind each image.
  std::size_t rows = projected.rows();
  for (const ProjectorOp& op : subject.model.spec().vision->projector.ops)
    rows -= std::holds_alternative<AppendRowOp>(op) && images.size() == 1 ? 1 : 0;
  check_tensor(subject, reference_case.name + ".projected", projected.view().row_range(0, rows), 0, report);
  return images;
}

void check_tokenizer(const Subject& subject, Report& report) {
  const Tokenizer& tokenizer = subject.model.tokenizer();
  for (const TokenizerCase& example : subject.reference.tokenizer) {
    const std::string what = fmt::format("'{}'", example.text);
    const std::vector<std::int32_t> ids = tokenizer.encode(example.text);
    report.tokens("tokenizer", what, differing(ids, example.ids),
                  difference_text(ids, example.ids, first_difference(ids, example.ids)));
    if (!example.decoded) continue;
    const std::string decoded = tokenizer.decode(example.ids);
    report.tokens("tokenizer, decoding", what, decoded == *example.decoded ? 0 : 1,
                  fmt::format("found '{}', expected '{}'", decoded, *example.decoded));
  }
  for (const ReferenceCase& one : subject.reference.cases) {
    if (!one.greedy_text) continue;
    for (const ExpectedGeneration& generation : one.generations) {
      if (generation.key != "greedy") continue;
      const std::string decoded = tokenizer.decode(generation.sequences.front().tokens);
      report.tokens("greedy_text", one.name, decoded == *one.greedy_text ? 0 : 1,
                    fmt::format("found '{}', expected '{}'", decoded, *one.greedy_text));
    }
  }
}

std::optional<PreparedCase> check_prompt(const Subject& subject, const ReferenceCase& reference_case,
                                         Report& report) {
  PreparedCase prepared;
  prepared.reference = &reference_case;
  std::shared_ptr<const Prompt> question;  // what an encoder reads, or the prompt itself
  try {
    prepared.images = check_images(subject, reference_case, report);
    prepared.text_ids = encode_text(subject.model.files(), reference_case, report);
    question = Prompting(subject.model.files()).compose(prepared.text_ids, prepared.images);
    prepared.prompt = subject.model.compose(prepared.text_ids, prepared.images);
  } catch (const ItemError& e) {
    report.failure("prompt", reference_case.name, e.what());
    return {};
  }
  const Prompt& prompt = *prepared.prompt;
  if (reference_case.input_ids) {
    const auto& expected = *reference_case.input_ids;
    report.tokens("input_ids", reference_case.name, differing(question->ids, expected),
                  difference_text(question->ids, expected, first_difference(question->ids, expected)));
  }
  if (subject.model.encoder() != nullptr) {
    check_encoder(subject, prepared, *question, report);
    return prepared;
  }
  check_layers(subject, reference_case, prompt, report);
  check_logits(subject, reference_case, prompt, report);
  return prepared;
}

Matrix<float> compute_logits(const Subject& subject, const Prompt& prompt,
                             std::span<const std::int32_t> answer, std::size_t rows) {
  Scratch scratch;
  return compute_logits(subject, prompt, answer, rows, scratch);
}

Matrix<float> compute_logits(const Subject& subject, const Prompt& prompt,
                             std::span<const std::int32_t> answer, std::size_t rows, Scratch& scratch) {
  const Decoder& decoder = *subject.model.decoder();
  constexpr std::size_t kBlockTokens = 32;
  const std::size_t tokens = prompt.tokens() + answer.size();
  const std::size_t table_blocks = (tokens + kBlockTokens - 1) / kBlockTokens;
  const std::size_t groups = CacheLayout(decoder.config(), kBlockTokens, KvPrecision::f32).groups.size();
  KvPool pool(decoder.config(), groups * table_blocks, kBlockTokens, KvPrecision::f32, /*state_slots=*/1);
  std::vector<std::int32_t> blocks(groups * table_blocks);
  std::iota(blocks.begin(), blocks.end(), 0);
  StepBatch batch;
  batch.add({.prompt = prompt,
             .answer = answer,
             .draft = {},
             .first = 0,
             .count = tokens,
             .logit_rows = rows,
             .rope_tokens = tokens,
             .state_after = 0});
  for (std::size_t g = 0; g < groups; ++g)
    batch.add_table(std::span(blocks).subspan(g * table_blocks, table_blocks));
  return decoder.forward(batch, pool, scratch, subject.attention);
}

}  // namespace mmbatch::parity
