#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "engine/base/error.h"
#include "fusion/model.h"
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

class PackedCopy : public ::testing::TestWithParam<Origin> {};

TEST_P(PackedCopy, IsAWholeModel) {
  const TemporaryFolder folder;
  QuantizeOptions options;
  options.model = GetParam().place;
  options.out = folder.path() / "copy";
  options.weights = Precision::int8;
  std::ostringstream out;
  quantize(options, out);
  EXPECT_THAT(out.str(), HasSubstr("packed in int8"));
  const auto origin = Model::load(GetParam().place, Precision::int8),
             copy = Model::load(options.out, Precision::int8);
  EXPECT_EQ(copy->files().weights->packed(), Precision::int8);
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

INSTANTIATE_TEST_SUITE_P(Of, PackedCopy, ::testing::ValuesIn(origins()),
                         [](const auto& info) { return info.param.name; });

TEST(PackedCopies, TakeNoAdapter) {
  const TemporaryFolder folder;
  QuantizeOptions options;
  options.model = kReference / "llama" / "model";
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
