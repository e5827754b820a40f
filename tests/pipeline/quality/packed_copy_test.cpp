#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "engine/base/error.h"
#include "engine/kernels/product/precision_choice.h"
#include "fusion/model.h"
#include "fusion/source/open_model.h"
#include "pipeline/quality/quantize.h"
#include "tests/engine/temporary_folder.h"
#include "tests/engine/tiny_decoder.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;
using testing::TemporaryFolder;

const fs::path kData = MMBATCH_TEST_DATA, kReference = kData / "reference";

struct Origin {
  std::string name;
  ModelPlace place;
};

std::vector<Origin> origins() {
  return {
      {"gguf", kReference / "gguf-llama-q4_0" / "model.gguf"},
      {"gguf_bpe", kReference / "gguf-llama3-fallback" / "model.gguf"},
      {"gguf_with_mmproj", kReference / "gguf-llava15" / "model.gguf"},
      {"awq", kReference / "quantized-awq" / "model"},
      {"lora", {kReference / "llama" / "model", {.projector = {}, .adapters = {{kData / "lora" / "dora"}}}}}};
}

class PackedCopy : public ::testing::TestWithParam<std::tuple<Origin, Precision>> {};

TEST_P(PackedCopy, IsAWholeModel) {
  const auto& [from, precision] = GetParam();
  const TemporaryFolder folder;
  QuantizeOptions options;
  options.files = std::make_shared<const ModelFiles>(from.place);
  options.out = folder.path() / "copy";
  options.weights = precision;
  std::ostringstream out;
  if (precision == Precision::stored && from.name == "lora") {
    EXPECT_THAT(testing::message_of<UsageError>([&] { quantize(options, out); }),
                HasSubstr("--weights stored: keeps"));
    return;
  }
  quantize(options, out);
  EXPECT_THAT(out.str(), HasSubstr(fmt::format("packed in {}", to_string(precision))));
  const auto origin = Model::load(from.place, precision), copy = Model::load(options.out, precision);
  EXPECT_EQ(copy->files().weights->packed(), precision);
  EXPECT_EQ(choose_precision(*copy->files().weights, Automatic::floats).precision, precision);
  if (precision == Precision::stored) {
    EXPECT_EQ(choose_precision(*origin->files().weights, Automatic::floats).precision, precision);
  }
  EXPECT_EQ(copy->spec().family, origin->spec().family);
  EXPECT_EQ(copy->spec().eos, origin->spec().eos);
  EXPECT_EQ(copy->spec().suppressed, origin->spec().suppressed);
  EXPECT_EQ(copy->files().turn_format.name(), origin->files().turn_format.name());
  EXPECT_EQ(copy->images() != nullptr, origin->images() != nullptr);
  const std::string text = "Hello, <image> world</s>!  Größe 12345\n";
  Prompt prompt;
  prompt.ids = origin->tokenizer().encode(text);
  EXPECT_EQ(copy->tokenizer().encode(text), prompt.ids);
  EXPECT_EQ(copy->tokenizer().decode(prompt.ids), origin->tokenizer().decode(prompt.ids));
  std::erase_if(prompt.ids, [&](std::int32_t id) { return id == origin->spec().image_token_id; });
  const Matrix<float> wanted = testing::logits_in_one_piece(*origin->decoder(), prompt),
                      found = testing::logits_in_one_piece(*copy->decoder(), prompt);
  for (std::size_t row = 0; row < wanted.rows(); ++row) {
    ASSERT_TRUE(std::equal(wanted.row(row), wanted.row(row) + wanted.cols(), found.row(row))) << row;
  }
}

INSTANTIATE_TEST_SUITE_P(Of, PackedCopy,
                         ::testing::Combine(::testing::ValuesIn(origins()),
                                            ::testing::Values(Precision::int8, Precision::stored)),
                         [](const auto& info) {
                           return std::get<0>(info.param).name + "_" +
                                  std::string(to_string(std::get<1>(info.param)));
                         });

TEST(PackedCopies, OfStoredBlocksAreAboutAsLargeAsTheFile) {
  const TemporaryFolder folder;
  QuantizeOptions options;
  const auto model = kReference / "gguf-llama-q4_0" / "model.gguf";
  options.files = std::make_shared<const ModelFiles>(model);
  options.out = folder.path() / "copy";
  options.weights = Precision::stored;
  std::ostringstream out;
  quantize(options, out);
  const auto bytes = [](const ModelPlace& place) {
    double sum = 0;
    for (const WeightFile& file : open_model(place)->files()) sum += static_cast<double>(file.bytes);
    return sum;
  };
  EXPECT_LT(bytes(options.out), 1.3 * bytes(model));
}

TEST(PackedCopies, TakeNoAdapter) {
  const TemporaryFolder folder;
  QuantizeOptions options;
  options.files = std::make_shared<const ModelFiles>(kReference / "llama" / "model");
  options.out = folder.path() / "copy";
  options.weights = Precision::int8;
  std::ostringstream out;
  quantize(options, out);
  EXPECT_THAT(testing::message_of<ModelError>([&] {
                Model::load({options.out, {.projector = {}, .adapters = {{kData / "lora" / "plain"}}}},
                            Precision::int8);
              }),
              HasSubstr("to which no adapter can be added"));
}

}  // namespace
}  // namespace mmbatch
