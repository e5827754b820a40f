// Every family in every precision: answers are finite and the same when they are asked for again, and what is
// computed stays near float32. MMBATCH_PRECISIONS=FOLDER takes the reference folders of that folder instead.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <numeric>

#include "tests/fusion/answers.h"
#include "tests/fusion/model_folder.h"

namespace mmbatch {
namespace {

using testing::answer;
using testing::Answers;
using testing::prompt_of;
using testing::Prompts;

/// How far logits may lie from float32's: the root of the mean square of the difference, as a share of
/// float32's own deviation; 1.41 is what numbers have that are not related. Random models a hundredth as wide
/// as real ones, where errors of rounding do not average out, show what is broken, not what a precision
/// costs.
struct Allowed {
  Precision precision;
  double error;
};
constexpr Allowed kAllowed[] = {{Precision::bf16, 0.1},  {Precision::int16, 0.02}, {Precision::w8a16, 0.2},
                                {Precision::int8, 0.25}, {Precision::w4a16, 0.95}, {Precision::int4, 0.95}};

/// What is allowed to a folder: towers with outliers, as CLIP has them, cost more.
double allowed_to(const std::filesystem::path& folder, double error) {
  for (const char* name : {"llava", "florence", "deepseek"}) {
    if (folder.filename().string().starts_with(name)) return std::min(2 * error, 1.2);
  }
  return error;
}

double error_of(const Matrix<float>& found, const Matrix<float>& expected) {
  const std::size_t count = expected.rows() * expected.cols();
  const double mean =
      std::accumulate(expected.data(), expected.data() + count, 0.0) / static_cast<double>(count);
  double difference = 0, spread = 0;
  for (std::size_t i = 0; i < count; ++i) {
    difference += std::pow(static_cast<double>(found.data()[i]) - expected.data()[i], 2);
    spread += std::pow(expected.data()[i] - mean, 2);
  }
  return std::sqrt(difference / spread);
}

class EveryPrecision : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(EveryPrecision, StaysNearFloat32) {
  const auto files = std::make_shared<const ModelFiles>(GetParam() / "model");
  if (files->spec.dual) GTEST_SKIP() << "a model that writes nothing";
  EngineOptions options;
  options.kv_blocks = 2000;
  const Model exact(files, Precision::f32);
  const parity::Reference reference(GetParam(), exact.spec().eos, exact.spec().image_token);
  std::vector<std::pair<std::size_t, const parity::ReferenceCase*>> cases;  // by their prompts' lengths
  Prompts prompts;
  for (const parity::ReferenceCase& one : reference.cases) {
    prompts.push_back(prompt_of({exact, reference}, one));
    ASSERT_TRUE(prompts.back());
    cases.emplace_back(prompts.back()->tokens(), &one);
  }
  std::stable_sort(cases.begin(), cases.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  const parity::ReferenceCase& one = *cases.at(cases.size() / 2).second;
  const auto prompt = prompts[static_cast<std::size_t>(&one - reference.cases.data())];
  const Answers expected = answer(exact, {prompt}, options, 1);
  ASSERT_TRUE(expected.of[0]);
  const std::vector<std::int32_t>& tokens = expected.of[0]->tokens;
  const auto logits_of = [&](const Model& model, const Prompt& of) {
    return parity::compute_logits({model, reference}, of, tokens, tokens.size() + 1);
  };
  const Matrix<float> logits = logits_of(exact, *prompt);
  for (const Allowed& allowed : kAllowed) {
    SCOPED_TRACE(to_string(allowed.precision));
    const Model model(files, allowed.precision);
    const auto rounded = prompt_of({model, reference}, one), again = prompt_of({model, reference}, one);
    ASSERT_TRUE(rounded && again);
    const Answers found = answer(model, {rounded}, options, 1), repeated = answer(model, {again}, options, 1);
    ASSERT_TRUE(found.of[0] && repeated.of[0]);
    EXPECT_EQ(found.of[0]->tokens, repeated.of[0]->tokens);
    EXPECT_EQ(found.of[0]->logprobs, repeated.of[0]->logprobs);
    for (const float logprob : found.of[0]->logprobs) EXPECT_TRUE(std::isfinite(logprob) && logprob <= 0);
    // What is not a number fails, too.
    EXPECT_LT(error_of(logits_of(model, *rounded), logits), allowed_to(GetParam(), allowed.error));
  }
}

std::vector<std::filesystem::path> precision_folders() {
  const char* const others = std::getenv("MMBATCH_PRECISIONS");
  std::vector<std::filesystem::path> all;
  for (const auto& entry :
       std::filesystem::directory_iterator(others != nullptr ? others : testing::kReference.string())) {
    const bool is_slow = others == nullptr && entry.path().filename() == "deepseek-ocr2";  // a minute
    if (!is_slow && std::filesystem::exists(entry.path() / "model" / "config.json"))
      all.push_back(entry.path());
  }
  std::sort(all.begin(), all.end());
  return all;
}

INSTANTIATE_TEST_SUITE_P(Folders, EveryPrecision, ::testing::ValuesIn(precision_folders()),
                         [](const auto& info) { return testing::test_name(info.param); });

}  // namespace
}  // namespace mmbatch
