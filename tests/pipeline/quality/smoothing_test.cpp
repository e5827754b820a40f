// quantize --smooth, on the demo's model with channels made to stand out: the same function, much harder to
// round.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <map>
#include <sstream>

#include "engine/base/threads.h"
#include "engine/weights/safetensors_folder.h"
#include "engine/weights/safetensors_writer.h"
#include "pipeline/quality/calibrate.h"
#include "pipeline/quality/quality.h"
#include "pipeline/quality/quality_trace.h"
#include "pipeline/quality/quantize.h"
#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr float kFactor = 32;

bool stands_out(std::size_t channel) {
  return channel % 31 == 5;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool any_ends(const std::string& name, std::initializer_list<const char*> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](const char* end) { return ends_with(name, end); });
}

/// A copy of the demo's model whose norms make channels that are 32 times as large, for weights that are 32
/// times as small.
std::string outlier_model(const Workplace& place) {
  const fs::path from = Workplace::demo("model"), to = place.path("outliers");
  fs::create_directories(to);
  for (const auto& entry : fs::directory_iterator(from)) {
    if (entry.path().extension() != ".safetensors") fs::copy_file(entry.path(), to / entry.path().filename());
  }
  const SafetensorsFolder checkpoint(from);
  std::map<std::string, std::vector<float>> values;
  std::vector<StoredTensor> tensors;
  for (const auto& [name, view] : checkpoint.tensors()) {
    std::vector<float>& tensor = values[name] = to_floats(view);
    const bool norm =
        any_ends(name, {"input_layernorm.weight", "post_attention_layernorm.weight", "layer_norm1.weight",
                        "layer_norm1.bias", "layer_norm2.weight", "layer_norm2.bias"});
    const bool reader = any_ends(name, {"q_proj.weight", "k_proj.weight", "v_proj.weight", "gate_proj.weight",
                                        "up_proj.weight", "fc1.weight"});
    const std::size_t width = norm ? tensor.size() : view.cols();
    for (std::size_t i = 0; i < tensor.size() && (norm || reader); ++i) {
      if (stands_out(i % width)) tensor[i] *= norm ? kFactor : 1 / kFactor;
    }
    tensors.push_back({name, "F32", view.shape, reinterpret_cast<const std::byte*>(tensor.data()),
                       tensor.size() * sizeof(float)});
  }
  write_safetensors(to / "model.safetensors", tensors, {{"format", "pt"}});
  return to.string();
}

class SmoothedModel : public ::testing::Test {
 protected:
  CalibrationOptions calibration(int threads = 0) const {
    CalibrationOptions options;
    options.files = std::make_shared<const ModelFiles>(model_);
    options.manifest = std::make_shared<const Manifest>(read_manifest(Workplace::demo("manifest.yaml")));
    options.items = 8;
    options.threads = threads;
    return options;
  }
  QualityReport quality(Precision precision, const Smoothing* smoothing) const {
    QualityOptions options;
    options.files = std::make_shared<const ModelFiles>(model_);
    options.precision = precision;
    options.manifest = std::make_shared<const Manifest>(read_manifest(Workplace::demo("manifest.yaml")));
    options.items = 50;
    options.smoothing = smoothing;
    const QualityReport report = measure_quality(options);
    print(report, std::cout);
    return report;
  }

  const Workplace place_;
  const std::string model_ = outlier_model(place_);
};

TEST_F(SmoothedModel, ErrorsThatOutliersMakeAreGone) {
  const Smoothing smoothing = calibrate(calibration());
  for (const Precision precision : {Precision::int8, Precision::int4}) {
    SCOPED_TRACE(to_string(precision));
    const double least = precision == Precision::int8 ? 4 : 1.5;
    const QualityReport before = quality(precision, nullptr), after = quality(precision, &smoothing);
    EXPECT_LT(after.logits, before.logits / least);
    EXPECT_LT(*after.image_features, *before.image_features / least);
    ASSERT_EQ(after.vision_layers.size(), before.vision_layers.size());
    EXPECT_LT(after.vision_layers.back(), before.vision_layers.back() / least);
    for (std::size_t layer = 0; layer < after.layers.size(); ++layer)
      EXPECT_LT(after.layers[layer], before.layers[layer] / least) << layer;
    EXPECT_EQ(after.equal_answers, after.items);
    EXPECT_THAT(after.precision, HasSubstr("smoothed"));
  }
  // In float32 it is the same model, to the last bit.
  EXPECT_EQ(quality(Precision::f32, &smoothing).largest_logit_error, 0);
}

TEST_F(SmoothedModel, PackedItComputesTheSameWithoutKnowing) {
  const Smoothing smoothing = calibrate(calibration());
  QuantizeOptions options;
  options.files = std::make_shared<const ModelFiles>(model_);
  options.out = place_.path("packed");
  options.smoothing = &smoothing;
  std::ostringstream said;
  quantize(options, said);
  EXPECT_THAT(said.str(), HasSubstr("packed in int8, smoothed"));

  const auto files = std::make_shared<const ModelFiles>(model_);
  const std::vector<QualityItem> items = quality_items(calibration(), *files);
  const auto trace = [&](const Model& model) {
    return trace_items(model, KvPrecision::bf16, items, nullptr, {});
  };
  const auto in_memory = trace(Model(files, Precision::int8, WeightHooks{.smoothing = &smoothing}));
  const auto mapped = trace(*Model::load(options.out, Precision::int8));
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Matrix<float>&expected = in_memory[i].logits, &got = mapped[i].logits;
    EXPECT_EQ(mapped[i].text, in_memory[i].text);
    ASSERT_EQ(got.rows(), expected.rows());
    EXPECT_EQ(std::memcmp(got.data(), expected.data(), expected.bytes()), 0) << i;
  }
  EXPECT_THAT(program("inspect " + options.out.string()).text, HasSubstr("smoothed (alpha 0.5, 8 prompts)"));
  const ProgramEnd run = program("run -q " + Workplace::demo("manifest.yaml") + " --database " +
                                 place_.path("r.db") + " --model " + options.out.string());
  EXPECT_EQ(run.code, 0) << run.text;
  const auto evaluation =
      nlohmann::json::parse(program("eval " + place_.path("r.db") + " --bootstrap 0 --format json").text);
  EXPECT_EQ(evaluation["exact_match"], 1.0);
}

TEST_F(SmoothedModel, TheSameManifestGivesTheSameFactors) {
  const Smoothing one = calibrate(calibration(1)), more = calibrate(calibration(2));
  EXPECT_EQ(one.factors, more.factors);
  EXPECT_EQ(one.tensors, more.tensors);
}

struct Refusal {
  std::string arguments, expected;
};

void PrintTo(const Refusal& refusal, std::ostream* out) {
  *out << refusal.arguments;  // the test's name in lists
}

class SmoothingRefused : public ::testing::TestWithParam<Refusal> {};

TEST_P(SmoothingRefused, WithTheReason) {
  const Workplace place;
  const std::string smooth = " --smooth " + Workplace::demo("manifest.yaml");
  std::string arguments = GetParam().arguments;
  if (const auto at = arguments.find("SMOOTH"); at != std::string::npos) arguments.replace(at, 6, smooth);
  const ProgramEnd end =
      program("quantize " + Workplace::demo("model") + " " + place.path("out") + " " + arguments);
  EXPECT_EQ(end.code, 2) << end.text;
  EXPECT_THAT(end.text, HasSubstr(GetParam().expected));
  EXPECT_FALSE(fs::exists(place.path("out")));
}

INSTANTIATE_TEST_SUITE_P(All, SmoothingRefused,
                         ::testing::Values(Refusal{"--weights bf16 SMOOTH", "leaves them in bf16"},
                                           Refusal{"--weights w8a16 SMOOTH", "--weights int8 and int4"},
                                           Refusal{"--weights w4a16 SMOOTH", "leaves them in bf16"},
                                           Refusal{"--weights f32 SMOOTH", "leaves them in f32"},
                                           Refusal{"--smooth-alpha 0.5", "--smooth"},
                                           Refusal{"--smooth-alpha 1.5 SMOOTH", "from 0 to 1"},
                                           Refusal{"--smooth-alpha nan SMOOTH", "from 0 to 1"},
                                           Refusal{"--items 4", "--report and --smooth"},
                                           Refusal{"--smooth nowhere.yaml", "nowhere.yaml"}));

TEST(SmoothingRefusals, ForModelsThatItCannotRunOrThatAreRoundedAlready) {
  const Workplace place;
  const std::string smooth = " --smooth " + Workplace::demo("manifest.yaml");
  const ProgramEnd dual =
      program("quantize " + reference_folder("siglip") + "/model " + place.path("out") + smooth);
  EXPECT_EQ(dual.code, 2);
  EXPECT_THAT(dual.text, HasSubstr("only models with a decoder"));
  ASSERT_EQ(program("quantize " + Workplace::demo("model") + " " + place.path("packed")).code, 0);
  const ProgramEnd again = program("quantize " + place.path("packed") + " " + place.path("out") + smooth);
  EXPECT_EQ(again.code, 2);
  EXPECT_THAT(again.text, HasSubstr("is packed already"));
  const ProgramEnd taken =
      program("quantize " + Workplace::demo("model") + " " + place.path("packed") + smooth);
  EXPECT_EQ(taken.code, 2);
  EXPECT_THAT(taken.text, HasSubstr("not an empty folder"));
}

}  // namespace
}  // namespace mmbatch
