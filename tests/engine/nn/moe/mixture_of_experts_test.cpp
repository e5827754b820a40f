// Experts against the same sums token by token, and their bits in any company and any storage.

#include "engine/nn/moe/mixture_of_experts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include "engine/base/error.h"
#include "engine/base/threads.h"
#include "engine/weights/safetensors_folder.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

constexpr std::size_t kHidden = 40, kFfn = 24, kExperts = 7, kRows = 150;

using Values = std::vector<float>;

/// One model's numbers; how they are stored is the test's choice.
struct Numbers {
  Values router, router_bias;
  std::vector<Values> gate, up, down, gate_bias, up_bias, down_bias;
  Values shared_gate, shared_up, shared_down, gate_of_shared;

  Numbers() {
    std::mt19937 random(3);
    const auto some = [&](std::size_t count, float deviation) {
      std::normal_distribution<float> normal(0, deviation);
      Values values(count);
      for (float& value : values) value = normal(random);
      return values;
    };
    router = some(kExperts * kHidden, 0.3f);
    router_bias = some(kExperts, 0.5f);
    for (std::size_t e = 0; e < kExperts; ++e) {
      gate.push_back(some(kFfn * kHidden, 0.3f));
      up.push_back(some(kFfn * kHidden, 0.3f));
      down.push_back(some(kHidden * kFfn, 0.3f));
      gate_bias.push_back(some(kFfn, 0.5f));
      up_bias.push_back(some(kFfn, 0.5f));
      down_bias.push_back(some(kHidden, 0.5f));
    }
    shared_gate = some(kFfn * kHidden, 0.3f);
    shared_up = some(kFfn * kHidden, 0.3f);
    shared_down = some(kHidden * kFfn, 0.3f);
    gate_of_shared = some(kHidden, 0.3f);
  }
};

enum class Stored {
  one_by_one,
  output_first,
  input_first,
  output_first_interleaved,
  input_first_interleaved
};

bool interleaved(Stored stored) {
  return stored == Stored::output_first_interleaved || stored == Stored::input_first_interleaved;
}

/// [rows, cols] → [cols, rows]
Values turned(const Values& x, std::size_t rows, std::size_t cols) {
  Values y(x.size());
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < cols; ++c) y[c * rows + r] = x[r * cols + c];
  }
  return y;
}

/// Rows of gate and up in one: [2 · kFfn, width]
Values joined(const Values& gate, const Values& up, std::size_t width, Stored stored) {
  Values both(2 * gate.size());
  for (std::size_t i = 0; i < kFfn; ++i) {
    const std::size_t g = interleaved(stored) ? 2 * i : i, u = interleaved(stored) ? 2 * i + 1 : kFfn + i;
    std::copy_n(&gate[i * width], width, &both[g * width]);
    std::copy_n(&up[i * width], width, &both[u * width]);
  }
  return both;
}

void append(Values& to, const Values& from) {
  to.insert(to.end(), from.begin(), from.end());
}

void add_experts(testing::TensorFile& file, const Numbers& n, Stored stored) {
  if (stored == Stored::one_by_one) {
    for (std::size_t e = 0; e < kExperts; ++e) {
      const std::string name = "experts." + std::to_string(e);
      file.add(name + ".gate.weight", {kFfn, kHidden}, n.gate[e]);
      file.add(name + ".up.weight", {kFfn, kHidden}, n.up[e]);
      file.add(name + ".down.weight", {kHidden, kFfn}, n.down[e]);
      file.add(name + ".gate.bias", {kFfn}, n.gate_bias[e]);
      file.add(name + ".up.bias", {kFfn}, n.up_bias[e]);
      file.add(name + ".down.bias", {kHidden}, n.down_bias[e]);
    }
    return;
  }
  const bool output_first = stored == Stored::output_first || stored == Stored::output_first_interleaved;
  Values gate_up, down, gate_up_bias, down_bias;
  for (std::size_t e = 0; e < kExperts; ++e) {
    const Values both = joined(n.gate[e], n.up[e], kHidden, stored);
    append(gate_up, output_first ? both : turned(both, 2 * kFfn, kHidden));
    append(down, output_first ? n.down[e] : turned(n.down[e], kHidden, kFfn));
    append(gate_up_bias, joined(n.gate_bias[e], n.up_bias[e], 1, stored));
    append(down_bias, n.down_bias[e]);
  }
  using Shape = std::vector<std::size_t>;
  file.add("experts.gate_up",
           output_first ? Shape{kExperts, 2 * kFfn, kHidden} : Shape{kExperts, kHidden, 2 * kFfn}, gate_up);
  file.add("experts.down", output_first ? Shape{kExperts, kHidden, kFfn} : Shape{kExperts, kFfn, kHidden},
           down);
  file.add("experts.gate_up_bias", {kExperts, 2 * kFfn}, gate_up_bias);
  file.add("experts.down_bias", {kExperts, kHidden}, down_bias);
}

struct Case {
  const char* name;
  Stored stored = Stored::one_by_one;
  RouterScores scores = RouterScores::softmax;
  RouterSum sum = RouterSum::one;
  Bias bias = Bias::absent;
  bool clamped = false;
  bool shared = false;
};

MixtureOfExpertsConfig config_of(const Case& test) {
  MixtureOfExpertsConfig config;
  config.router = {.hidden = kHidden,
                   .experts = kExperts,
                   .top_k = 3,
                   .scores = test.scores,
                   .sum = test.sum,
                   .bias = test.bias};
  config.experts = {.hidden = kHidden,
                    .ffn = kFfn,
                    .experts = kExperts,
                    .order = interleaved(test.stored) ? GateUpOrder::interleaved : GateUpOrder::halves,
                    .bias = test.bias};
  if (test.clamped) config.gating.clamped = ClampedGate{1.5f, 1.702f};
  if (test.shared) {
    config.shared = FeedForwardConfig{.hidden = kHidden, .ffn = kFfn};
    config.shared_gate = SharedGate::sigmoid;
  }
  return config;
}

MixtureOfExpertsNames names() {
  return {.router = {"router", "", ""},
          .experts = {"experts.{expert}.gate", "experts.{expert}.up", "experts.{expert}.down",
                      "experts.gate_up", "experts.down", "experts.gate_up_bias", "experts.down_bias"},
          .shared = {"shared.gate", "shared.up", "shared.down"},
          .shared_gate = "shared_gate"};
}

Matrix<float> random_rows() {
  Matrix<float> x(kRows, kHidden);
  std::mt19937 random(6);
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < kRows * kHidden; ++i) x.data()[i] = normal(random);
  return x;
}

double dot(const float* a, const float* b, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

/// down(act(gate(x)) · up(x)); biases may be null.
std::vector<double> expert_by_hand(const Case& test, const float* x, const Values& gate, const Values& up,
                                   const Values& down, const Values* gate_bias, const Values* up_bias,
                                   const Values* down_bias) {
  std::vector<double> wide(kFfn), out(kHidden);
  for (std::size_t i = 0; i < kFfn; ++i) {
    double g = dot(x, &gate[i * kHidden], kHidden) + (gate_bias != nullptr ? (*gate_bias)[i] : 0);
    double u = dot(x, &up[i * kHidden], kHidden) + (up_bias != nullptr ? (*up_bias)[i] : 0);
    if (test.clamped && gate_bias != nullptr) {
      g = std::min(g, 1.5);
      u = std::clamp(u, -1.5, 1.5);
      wide[i] = (u + 1) * g * sigmoid(1.702 * g);
    } else {
      wide[i] = g * sigmoid(g) * u;
    }
  }
  for (std::size_t h = 0; h < kHidden; ++h) {
    out[h] = down_bias != nullptr ? (*down_bias)[h] : 0;
    for (std::size_t i = 0; i < kFfn; ++i) out[h] += wide[i] * down[h * kFfn + i];
  }
  return out;
}

std::vector<double> token_by_hand(const Case& test, const Numbers& n, const float* x) {
  const bool bias = test.bias == Bias::present;
  std::vector<double> logits(kExperts), sum(kHidden, 0.0);
  for (std::size_t e = 0; e < kExperts; ++e)
    logits[e] = dot(x, &n.router[e * kHidden], kHidden) + (bias ? n.router_bias[e] : 0);
  std::vector<std::size_t> order(kExperts);
  for (std::size_t e = 0; e < kExperts; ++e) order[e] = e;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  double all = 0, chosen = 0;
  for (std::size_t e = 0; e < kExperts; ++e) all += std::exp(logits[e]);
  for (std::size_t i = 0; i < 3; ++i) chosen += std::exp(logits[order[i]]);
  const bool of_chosen = test.scores == RouterScores::softmax_top_k || test.sum == RouterSum::one;
  for (std::size_t i = 0; i < 3; ++i) {
    const std::size_t e = order[i];
    const double weight = std::exp(logits[e]) / (of_chosen ? chosen : all);
    const auto answer =
        expert_by_hand(test, x, n.gate[e], n.up[e], n.down[e], bias ? &n.gate_bias[e] : nullptr,
                       bias ? &n.up_bias[e] : nullptr, bias ? &n.down_bias[e] : nullptr);
    for (std::size_t h = 0; h < kHidden; ++h) sum[h] += weight * answer[h];
  }
  if (test.shared) {
    const double weight = sigmoid(dot(x, n.gate_of_shared.data(), kHidden));
    const auto answer =
        expert_by_hand(test, x, n.shared_gate, n.shared_up, n.shared_down, nullptr, nullptr, nullptr);
    for (std::size_t h = 0; h < kHidden; ++h) sum[h] += weight * answer[h];
  }
  return sum;
}

class StoredExperts {
 public:
  explicit StoredExperts(Stored stored) : source_(write(numbers_, stored)) {}
  const Numbers& numbers() const { return numbers_; }
  MixtureOfExperts load(const Case& test, Precision precision = Precision::f32) const {
    return {Weights(source_, precision), config_of(test), names()};
  }
  const SafetensorsFolder& source() const { return source_; }

 private:
  static SafetensorsFolder write(const Numbers& n, Stored stored) {
    const testing::TemporaryFolder folder;
    testing::TensorFile file;
    file.add("router.weight", {kExperts, kHidden}, n.router);
    file.add("router.bias", {kExperts}, n.router_bias);
    add_experts(file, n, stored);
    file.add("shared.gate.weight", {kFfn, kHidden}, n.shared_gate);
    file.add("shared.up.weight", {kFfn, kHidden}, n.shared_up);
    file.add("shared.down.weight", {kHidden, kFfn}, n.shared_down);
    file.add("shared_gate.weight", {1, kHidden}, n.gate_of_shared);
    file.write(folder.path() / "model.safetensors");
    return SafetensorsFolder(folder.path());
  }

  Numbers numbers_;
  SafetensorsFolder source_;
};

Matrix<float> forward(const MixtureOfExperts& experts, MatrixView<const float> x) {
  Matrix<float> y(x.rows, kHidden);
  Scratch scratch;
  experts.forward({x}, y.view(), {}, scratch);
  return y;
}

class Experts : public ::testing::TestWithParam<Case> {};

TEST_P(Experts, ComputeTheWeightedSumOfTheChosen) {
  const StoredExperts stored(GetParam().stored);
  const Matrix<float> x = random_rows(), y = forward(stored.load(GetParam()), x.view());
  for (std::size_t r = 0; r < kRows; ++r) {
    const std::vector<double> expected = token_by_hand(GetParam(), stored.numbers(), x.row(r));
    for (std::size_t h = 0; h < kHidden; ++h)
      ASSERT_NEAR(y.row(r)[h], expected[h], 2e-5 * (1 + std::abs(expected[h]))) << r << " " << h;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Experts,
                         ::testing::Values(Case{.name = "softmax_over_all"},
                                           Case{.name = "weights_as_they_are", .sum = RouterSum::as_it_is},
                                           Case{.name = "shared_expert_with_gate", .shared = true},
                                           Case{.name = "in_one_tensor", .stored = Stored::output_first},
                                           Case{.name = "in_one_tensor_turned",
                                                .stored = Stored::input_first},
                                           Case{.name = "one_by_one_with_bias", .bias = Bias::present},
                                           Case{.name = "clamped_interleaved_with_bias",
                                                .stored = Stored::output_first_interleaved,
                                                .scores = RouterScores::softmax_top_k,
                                                .bias = Bias::present,
                                                .clamped = true},
                                           Case{.name = "clamped_interleaved_turned_with_bias",
                                                .stored = Stored::input_first_interleaved,
                                                .scores = RouterScores::softmax_top_k,
                                                .bias = Bias::present,
                                                .clamped = true}),
                         [](const auto& info) { return info.param.name; });

class ExpertPrecision : public ::testing::TestWithParam<Precision> {};

TEST_P(ExpertPrecision, ARowHasItsBitsInAnyCompany) {
  const Case test{.name = "", .bias = Bias::present, .shared = true};
  const MixtureOfExperts experts = StoredExperts(Stored::one_by_one).load(test, GetParam());
  const Matrix<float> x = random_rows();
  Matrix<float> together(kRows, kHidden);
  Arena(4).run([&] { together = forward(experts, x.view()); });
  for (const std::size_t count : {1u, 2u, 5u, 16u, 33u, 129u}) {
    for (std::size_t first = 0; first + count <= kRows; first += count) {
      const Matrix<float> some = forward(experts, x.view().row_range(first, count));
      ASSERT_EQ(std::memcmp(some.data(), together.row(first), some.bytes()), 0) << count << " from " << first;
    }
  }
}

TEST_P(ExpertPrecision, StorageDoesNotChangeABit) {
  const Case test{.name = "", .bias = Bias::present};
  const Matrix<float> x = random_rows();
  const Matrix<float> expected = forward(StoredExperts(Stored::one_by_one).load(test, GetParam()), x.view());
  for (const Stored stored : {Stored::output_first, Stored::input_first, Stored::output_first_interleaved,
                              Stored::input_first_interleaved}) {
    Case other = test;
    other.stored = stored;
    const Matrix<float> found = forward(StoredExperts(stored).load(other, GetParam()), x.view());
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.bytes()), 0) << static_cast<int>(stored);
  }
}

TEST_P(ExpertPrecision, NormsAndAddsInPlaceWithTheBitsOfPassesOfTheirOwn) {
  const Case test{.name = "", .shared = true};
  const StoredExperts stored(Stored::one_by_one);
  const MixtureOfExperts experts = stored.load(test, GetParam());
  const testing::TemporaryFolder folder;
  testing::TensorFile file;
  file.add_random("norm.weight", {kHidden}, 1, 0.1f);
  file.write(folder.path() / "model.safetensors");
  const Norm norm(Weights(SafetensorsFolder(folder.path())), "norm", kHidden, {});

  Matrix<float> x = random_rows(), normed(kRows, kHidden);
  norm.forward(x.view(), normed.view());
  const Matrix<float> made = forward(experts, normed.view());
  Matrix<float> expected = random_rows();
  for (std::size_t i = 0; i < kRows * kHidden; ++i) expected.data()[i] += made.data()[i];
  Scratch scratch;
  experts.forward({x.view(), &norm}, x.view(), {{}, true}, scratch);
  EXPECT_EQ(std::memcmp(x.data(), expected.data(), x.bytes()), 0);
}

TEST_P(ExpertPrecision, IsNearFloat32) {
  const Case test{.name = "", .sum = RouterSum::one};
  const StoredExperts stored(Stored::output_first);
  const Matrix<float> x = random_rows();
  const Matrix<float> expected = forward(stored.load({.name = "", .stored = Stored::output_first}), x.view());
  const Matrix<float> found = forward(stored.load(test, GetParam()), x.view());
  double squares = 0, errors = 0;
  for (std::size_t i = 0; i < kRows * kHidden; ++i) {
    squares += std::pow(expected.data()[i], 2);
    errors += std::pow(found.data()[i] - expected.data()[i], 2);
  }
  const bool four = GetParam() == Precision::int4 || GetParam() == Precision::w4a16;
  EXPECT_LT(std::sqrt(errors / squares), GetParam() == Precision::f32 ? 1e-6 : four ? 0.2 : 0.02);
}

INSTANTIATE_TEST_SUITE_P(Precisions, ExpertPrecision,
                         ::testing::Values(Precision::f32, Precision::bf16, Precision::int16, Precision::int8,
                                           Precision::w8a16, Precision::int4, Precision::w4a16),
                         [](const auto& info) { return std::string(to_string(info.param)); });

TEST(ExpertWeights, PartsHaveNamesOfTheirOwnAndReplaceTheTensorOfAll) {
  const StoredExperts stored(Stored::input_first);
  std::map<std::string, std::shared_ptr<const PackedTensor>> packed;
  std::vector<std::string> divided;
  WeightHooks hooks;
  hooks.packed = [&](const std::string& name, const std::shared_ptr<const PackedTensor>& tensor) {
    packed[name] = tensor;
  };
  hooks.divided = [&](const std::string& name) { divided.push_back(name); };
  const MixtureOfExperts experts({stored.source(), Precision::int8, hooks}, config_of({.name = ""}), names());
  EXPECT_EQ(packed.size(), 3 * kExperts);
  ASSERT_EQ(packed.count("experts.6.gate.weight"), 1u);
  EXPECT_EQ(packed.at("experts.6.down.weight")->out(), kHidden);
  EXPECT_EQ(divided, (std::vector<std::string>{"experts.gate_up", "experts.down"}));
}

TEST(ExpertWeights, ATensorOfAnotherShapeIsNamedWithBothThatItMayHave) {
  const testing::TemporaryFolder folder;
  testing::TensorFile file;
  file.add_random("router.weight", {kExperts, kHidden}, 0, 1);
  file.add_random("experts.gate_up", {kExperts, 2 * kFfn, kHidden}, 0, 1);
  file.add_random("experts.down", {kExperts, kFfn, kHidden}, 0, 1);
  file.write(folder.path() / "model.safetensors");
  const SafetensorsFolder source(folder.path());
  try {
    MixtureOfExperts(Weights(source), config_of({.name = ""}), names());
    FAIL() << "gate and up one way, down the other";
  } catch (const ModelError& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("experts.down"));
    EXPECT_THAT(e.what(),
                ::testing::HasSubstr("expected shapes [7, 48, 40] and [7, 40, 24], or [7, 40, 48] and "
                                     "[7, 24, 40]"));
  }
}

TEST(ExpertWeights, ShapesThatAreTheSameEitherWayAreToldApartByTheOtherTensor) {
  // hidden = 2 · ffn: gate_up is [4, 16, 16] either way.
  const std::size_t hidden = 16, ffn = 8, experts = 4;
  for (const bool output_first : {true, false}) {
    const testing::TemporaryFolder folder;
    testing::TensorFile file;
    file.add_random("experts.gate_up", {experts, 16, 16}, 0, 1);
    file.add_random("experts.down", {experts, output_first ? hidden : ffn, output_first ? ffn : hidden}, 0,
                    1);
    file.write(folder.path() / "model.safetensors");
    const SafetensorsFolder source(folder.path());
    const auto parts =
        expert_parts(Weights(source), {.hidden = hidden, .ffn = ffn, .experts = experts}, names().experts);
    const Values all = to_floats(source.tensor("experts.gate_up"));
    Values up(ffn * hidden);
    copy_rows(parts[2].up, 0, ffn, up.data());
    const std::size_t base = 2 * 16 * 16;
    for (std::size_t r = 0; r < ffn; ++r) {
      for (std::size_t c = 0; c < hidden; ++c)
        ASSERT_EQ(up[r * hidden + c],
                  all[output_first ? base + (ffn + r) * 16 + c : base + c * 16 + ffn + r]);
    }
  }
}

}  // namespace
}  // namespace mmbatch
