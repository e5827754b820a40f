#include "pipeline/quality/quality.h"

#include <gtest/gtest.h>

#include <sstream>

#include "engine/base/error.h"
#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

QualityOptions demo_options(Precision precision) {
  QualityOptions options;
  options.files = std::make_shared<const ModelFiles>(Workplace::demo("model"));
  options.precision = precision;
  options.manifest = std::make_shared<const Manifest>(read_manifest(Workplace::demo("manifest.yaml")));
  options.items = 12;
  return options;
}

TEST(Quality, Float32AgreesWithItselfToTheLastBit) {
  QualityOptions options = demo_options(Precision::f32);
  options.kv_precision = KvPrecision::f32;
  const QualityReport report = measure_quality(options);
  EXPECT_EQ(report.items, 12u);
  EXPECT_GE(report.positions, 12u);
  EXPECT_EQ(report.image_features, 0.0);
  EXPECT_EQ(report.vision_layers, std::vector<double>(3, 0.0));
  EXPECT_EQ(report.layers, std::vector<double>(report.layers.size(), 0.0));
  EXPECT_EQ(report.layers.size(), 4u);
  EXPECT_EQ(report.largest_logit_error, 0);
  EXPECT_EQ(report.same_token, 1);
  EXPECT_EQ(report.mean_kl, 0);
  EXPECT_EQ(report.equal_answers, 12u);
  EXPECT_GT(report.scored, 0u);
  EXPECT_EQ(report.correct, report.correct_f32);
}

TEST(Quality, FewerBitsMeanLargerErrorsThatAreSeenInEveryFigure) {
  double before = 0, layer_before = 0, vision_before = 0;
  for (const Precision precision : {Precision::bf16, Precision::int8, Precision::int4}) {
    const QualityReport report = measure_quality(demo_options(precision));
    SCOPED_TRACE(report.precision);
    EXPECT_GT(report.logits, before);
    EXPECT_LT(report.logits, 0.5);
    EXPECT_GT(report.layers.back(), layer_before);
    EXPECT_GT(report.vision_layers.back(), vision_before);
    EXPECT_GT(*report.image_features, 0);
    EXPECT_GT(report.largest_logit_error, 0);
    EXPECT_GT(report.logit_rms, 0.1);
    EXPECT_GT(report.mean_kl, 0);
    EXPECT_GE(report.largest_kl, report.mean_kl);
    EXPECT_GT(report.same_token, 0.9);
    EXPECT_GE(report.equal_answers, 10u);
    before = report.logits;
    layer_before = report.layers.back();
    vision_before = report.vision_layers.back();
  }
}

TEST(Quality, AnOnlyRoundedCacheShowsInLogitsButNotInWhatLayersMake) {
  QualityOptions options = demo_options(Precision::f32);
  options.kv_precision = KvPrecision::int8;
  const QualityReport report = measure_quality(options);
  EXPECT_EQ(report.layers.front(), 0);
  EXPECT_GT(report.logits, 0);
  EXPECT_LT(report.logits, 0.1);
}

TEST(Quality, WithoutAManifestItMakesUpPromptsAndSaysWhatItFound) {
  QualityOptions options = demo_options(Precision::int8);
  options.manifest.reset();
  options.items = 5;
  std::ostringstream out;
  print(measure_quality(options), out);
  for (const char* part : {"int8 against f32: 5 prompts", "vision layer 3 ", "image features", "layer 4 ",
                           "logits", "KL divergence", "of 5 equal"})
    EXPECT_NE(out.str().find(part), std::string::npos) << part << "\n" << out.str();
  EXPECT_EQ(out.str().find("correct answers"), std::string::npos);
}

TEST(Quality, AManifestWithoutAGoodItemIsAnError) {
  const Workplace place;
  QualityOptions options = demo_options(Precision::int8);
  options.manifest = std::make_shared<const Manifest>(read_manifest(place.write(
      "m.yaml", "jobs: [{name: a, task: vqa, items: [{id: x, image: nowhere.png, question: what}]}]")));
  EXPECT_THROW(measure_quality(options), UsageError);
}

}  // namespace
}  // namespace mmbatch
