#include "bench/checkpoint/writer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/base/error.h"
#include "engine/base/threads.h"
#include "engine/serve/engine.h"
#include "fusion/prompting.h"
#include "tests/engine/temporary_folder.h"

namespace mmbatch::bench {
namespace {

using mmbatch::testing::message_of;
using mmbatch::testing::read_file;
using mmbatch::testing::TemporaryFolder;

/// What a model answers to one question.
std::vector<std::int32_t> answer_to(const Model& model, const Message& question,
                                    const std::vector<EncodedImage>& images) {
  EngineOptions options;
  options.kv_blocks = 64;
  Engine engine(model.decoder(),
                {static_cast<std::size_t>(model.tokenizer().vocab_size()), {}, model.spec().eos}, options);
  std::vector<std::int32_t> tokens;
  Request request;
  request.prompt = Prompting(model.files())({&question, 1}, images);
  request.generation.max_new_tokens = 12;
  request.generation.ignore_eos = true;
  request.on_done = [&](Result<Completion> done) {
    ASSERT_TRUE(done) << done.error().message;
    tokens = done.value().answers[0].tokens;
    EXPECT_TRUE(std::isfinite(done.value().answers[0].logprob));
  };
  engine.submit(std::move(request));
  while (engine.step()) {
  }
  return tokens;
}

/// The same about a grey picture, where it sees pictures.
std::vector<std::int32_t> answer_of(const Model& model) {
  if (!model.spec().vision) return answer_to(model, {Role::user, "What is in this picture?", 0}, {});
  Image image(40, 30);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>(i * 7);
  const PixelValues pixels = model.files().images->prepare(image);
  Scratch scratch;
  const PixelValues* const one[] = {&pixels};
  const auto encoded = model.images()->encode(one, scratch);
  for (std::size_t i = 0; i < encoded.features.rows() * encoded.features.cols(); ++i)
    EXPECT_LT(std::abs(encoded.features.data()[i]), 100);
  const std::vector<EncodedImage> images{{encoded.projected[0], 1}};
  return answer_to(model, {Role::user, "What is in this picture?", 1}, images);
}

class RandomCheckpoint : public ::testing::TestWithParam<const char*> {};

TEST_P(RandomCheckpoint, LoadsAndAnswersAndItsBytesDependOnTheSeedAlone) {
  const TemporaryFolder place;
  const ModelShape& shape = find_shape(GetParam());
  const auto first = place.path() / "first", again = place.path() / "again", other = place.path() / "other";
  Arena(1).run([&] { write_checkpoint(shape, first); });
  Arena(2).run([&] { write_checkpoint(shape, again); });
  write_checkpoint(shape, other, 2);

  std::size_t files = 0, shards = 0;
  for (const auto& entry : std::filesystem::directory_iterator(first)) {
    const auto name = entry.path().filename();
    EXPECT_EQ(read_file(entry.path()), read_file(again / name)) << name;
    ++files;
    if (name.extension() != ".safetensors") continue;
    ++shards;
    EXPECT_NE(read_file(entry.path()), read_file(other / name)) << name;
  }
  EXPECT_GT(files, shards + (shape.sees() ? 6 : 5));
  EXPECT_GE(shards, 2u);

  const auto model = Model::load(first);
  EXPECT_EQ(model->spec().decoder.hidden, shape.text.hidden);
  EXPECT_EQ(model->spec().decoder.vocab, shape.text.vocab);
  const auto tokens = answer_of(*model);
  EXPECT_EQ(tokens.size(), 12u);
  EXPECT_EQ(tokens, answer_of(*model));
  EXPECT_NE(std::vector<std::int32_t>(tokens.size(), tokens[0]), tokens) << "an answer of one token only";
}

INSTANTIATE_TEST_SUITE_P(Shapes, RandomCheckpoint,
                         ::testing::Values("llava-tiny", "paligemma-tiny", "moe-tiny", "qwen3-tiny"));

TEST(RandomCheckpointFolder, IsNotWrittenOver) {
  const TemporaryFolder place;
  const auto message =
      message_of<UsageError>([&] { write_checkpoint(find_shape("llava-tiny"), place.path()); });
  EXPECT_NE(message.find("is there already"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(place.path()));
}

TEST(RandomCheckpointTokenizer, WritesWordsInFewerPiecesThanLetters) {
  const TemporaryFolder place;
  for (const char* name : {"llava-tiny", "paligemma-tiny"}) {
    write_checkpoint(find_shape(name), place.path() / name);
    const auto tokenizer = load_tokenizer(place.path() / name);
    const std::string text = "there is a tree in the rain: 17 metres, ä";
    const auto ids = tokenizer->encode(text, SpecialTokens::without);
    EXPECT_LT(ids.size(), text.size()) << name;
    EXPECT_EQ(tokenizer->decode(ids), text) << name;
    EXPECT_TRUE(tokenizer->bos().has_value());
    EXPECT_TRUE(tokenizer->eos().has_value());
  }
}

TEST(CheckpointShape, UnknownOnesNameTheNearest) {
  const auto message = message_of<UsageError>([] { find_shape("lava-1b"); });
  EXPECT_NE(message.find("did you mean 'llava-1b'?"), std::string::npos) << message;
  EXPECT_EQ(find_multimodal_shape("llava-tiny").name, "llava-tiny");
  EXPECT_NE(message_of<UsageError>([] { find_multimodal_shape("moe-tiny"); }).find("text only"),
            std::string::npos);
}

}  // namespace
}  // namespace mmbatch::bench
