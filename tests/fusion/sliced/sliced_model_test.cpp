// Whole models that processes compute together: towers, encoders behind them, prompts' encoders, decoders.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/threads.h"
#include "engine/weights/safetensors_folder.h"
#include "fusion/sliced/model_follower.h"
#include "fusion/sliced/model_parts.h"
#include "tests/checkers/parity_stages.h"
#include "tests/engine/parallel/threads_as_processes.h"
#include "tests/engine/stored_tensors.h"

namespace mmbatch {
namespace {

const std::filesystem::path kReferences = std::filesystem::path(MMBATCH_TEST_DATA) / "reference";

/// What a model makes of its reference's first case that has an image: rows of the image, and the next
/// token's logits.
struct Made {
  std::vector<float> image, logits;
};

std::vector<float> floats(MatrixView<const float> x) {
  std::vector<float> all;
  for (std::size_t r = 0; r < x.rows; ++r) all.insert(all.end(), x.row(r), x.row(r) + x.cols);
  return all;
}

Made lead(const Model& model, const std::filesystem::path& folder) {
  Made made;
  const parity::Reference reference(folder, model.spec().eos, model.spec().image_token,
                                    model.files().generation);
  const parity::Subject subject{model, reference};
  parity::Report report;
  for (const parity::ReferenceCase& one : reference.cases) {
    if (model.spec().dual) {
      const std::vector<EncodedImage> images = parity::check_images(subject, one, report);
      if (images.empty()) continue;
      made.image = floats(images.front().features->view());
      return made;
    }
    const auto prepared = parity::check_prompt(subject, one, report);
    if (!prepared || prepared->images.empty()) continue;
    made.image = floats(prepared->images.front().features->view());
    made.logits = floats(parity::compute_logits(subject, *prepared->prompt, {}, 1).view());
    return made;
  }
  ADD_FAILURE() << folder << ": no case has an image";
  return made;
}

/// @param slices 1: the model is whole
Made made_by(std::size_t processes, std::size_t slices, const std::string& name, Precision precision) {
  const std::filesystem::path folder = kReferences / name;
  const auto files = std::make_shared<const ModelFiles>(folder / "model");
  Made made;
  testing::as_processes(processes, [&](const std::shared_ptr<Communicator>& own) {
    const auto cut = slices > 1 ? std::make_shared<const Slices>(slices, own) : nullptr;
    const auto model = std::make_shared<const Model>(files, precision, cut);
    if (own->rank() == 0) {
      made = lead(*model, folder);
      own->send(MessageWriter(MessageKind::end).bytes());
      return;
    }
    EXPECT_EQ(model->images(), nullptr);
    ModelFollower follower(model, cut);
    for (;;) {
      const std::vector<std::byte> message = own->receive();
      const MessageReader reader(message);
      if (reader.kind() == MessageKind::end) return;
      follower.follow(reader);
    }
  });
  return made;
}

void expect_same(const std::vector<float>& found, const std::vector<float>& expected,
                 const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  if (found.empty()) return;  // of nothing memcmp takes no pointer
  EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0) << what;
}

void expect_near(const std::vector<float>& found, const std::vector<float>& expected,
                 const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  double largest = 0, error = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    largest = std::max(largest, static_cast<double>(std::abs(expected[i])));
    error = std::max(error, static_cast<double>(std::abs(found[i] - expected[i])));
  }
  EXPECT_LT(error, 1e-3 * (1 + largest)) << what;
}

struct Cut {
  const char* name;
  std::size_t slices;
};

class SlicedModel : public ::testing::TestWithParam<Cut> {};

TEST_P(SlicedModel, ManyProcessesGiveTheBitsOfOne) {
  const auto& [name, slices] = GetParam();
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    const Made alone = made_by(1, slices, name, precision);
    for (std::size_t processes = 2; processes <= slices; processes *= 2) {
      const Made together = made_by(processes, slices, name, precision);
      const std::string what = std::to_string(processes) + " processes, " + std::string(to_string(precision));
      expect_same(together.image, alone.image, what + ", image");
      expect_same(together.logits, alone.logits, what + ", logits");
    }
  }
}

TEST_P(SlicedModel, ComputesWhatTheWholeDoes) {
  const auto& [name, slices] = GetParam();
  const Made whole = made_by(1, 1, name, Precision::f32);
  const Made sliced = made_by(1, slices, name, Precision::f32);
  expect_near(sliced.image, whole.image, "image");
  expect_near(sliced.logits, whole.logits, "logits");
}

// Class tokens; pixel shuffle; taps for the decoder's first layers; windows; relative positions and an
// encoder behind the tower; layers within bounds; a tower in stages and a decoder with cross-attention; a
// prompt's encoder that attends to the image; text encoders and pooling by attention; recurrent layers; and
// towers whose three heads are whole in every process.
INSTANTIATE_TEST_SUITE_P(Families, SlicedModel,
                         ::testing::Values(Cut{"llava-mqa-full", 4}, Cut{"internvl", 4}, Cut{"smolvlm", 4},
                                           Cut{"qwen3-vl", 2}, Cut{"qwen2-5-vl", 2}, Cut{"deepseek-ocr2", 4},
                                           Cut{"deepseek-ocr2", 2}, Cut{"gemma4", 4}, Cut{"florence2", 4},
                                           Cut{"florence2", 2}, Cut{"blip-vqa", 4}, Cut{"siglip", 4},
                                           Cut{"clip", 2}, Cut{"qwen3-5", 2}, Cut{"lfm2-vl", 4}),
                         [](const auto& info) {
                           std::string name =
                               std::string(info.param.name) + "_" + std::to_string(info.param.slices);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

/// A layer wide enough that kernels pad none of its slices.
EncoderStackConfig wide_stack() {
  constexpr std::size_t kHidden = 512;
  LayerConfig layer;
  layer.attention.hidden = kHidden;
  layer.attention.shape = {8, 8, kHidden / 8, 0.125f};
  layer.feed_forward = {.hidden = kHidden, .ffn = 4 * kHidden, .kind = FeedForwardKind::plain};
  return {.layer = layer,
          .layers = 1,
          .names = {.attention = {"q", "k", "v", "o"},
                    .feed_forward = {"", "up", "down"},
                    .before_attention = "norm",
                    .after_attention = "",
                    .before_feed_forward = "norm",
                    .after_feed_forward = ""},
          .windowed = {},
          .attends = EncoderAttention::all};
}

TEST(ModelParts, OtherProcessesHaveTheirShareOfAnEncoder) {
  const EncoderStackConfig config = wide_stack();
  const std::size_t hidden = config.layer.attention.hidden, ffn = config.layer.feed_forward.ffn;
  const testing::TemporaryFolder folder;
  testing::TensorFile file;
  for (const char* name : {"q", "k", "v", "o"})
    file.add_random(std::string(name) + ".weight", {hidden, hidden}, 0, 1);
  file.add_random("up.weight", {ffn, hidden}, 0, 1);
  file.add_random("down.weight", {hidden, ffn}, 0, 1);
  file.add_random("norm.weight", {hidden}, 1, 0.1f);
  file.write(folder.path() / "model.safetensors");
  const SafetensorsFolder source(folder.path());
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    const std::size_t whole = EncoderStack(Weights(source, precision), config).bytes();
    testing::as_processes(4, [&](const std::shared_ptr<Communicator>& own) {
      Weights weights(source, precision);
      weights.slices = std::make_shared<const Slices>(4, own);
      const auto part = EncoderStack::part(weights, config);
      ASSERT_NE(part, nullptr);
      EXPECT_LT(part->bytes(), whole * 26 / 100) << to_string(precision);
    });
  }
}

TEST(ModelParts, SayWhatSlicesDoNotDivide) {
  const auto whole = [](const char* name, std::size_t slices) {
    return kept_whole(ModelFiles(kReferences / name / "model").spec, slices);
  };
  using Messages = std::vector<std::string>;
  EXPECT_EQ(whole("llava-mqa-full", 4), Messages());
  EXPECT_EQ(
      whole("llava-gqa", 4),
      Messages{"the vision tower is divided but for a part that every process computes whole: attention: "
               "3 attention heads cannot be divided into 4 slices"});
  EXPECT_EQ(whole("florence2", 4),
            Messages{"the vision tower is divided but for a part that every process computes whole: heads, "
                     "groups of channels or columns of some stages cannot be divided into 4 slices"});
  const Messages many = whole("llava-gqa", 64);
  ASSERT_EQ(many.size(), 3u);
  EXPECT_EQ(
      many.front(),
      "the vision tower is computed by one process alone: attention: 3 attention heads cannot be divided "
      "into 64 slices; feed-forward: 96 columns cannot be divided into 64 slices");
  EXPECT_NE(many.back().find("of the decoder's"), std::string::npos);
}

}  // namespace
}  // namespace mmbatch
