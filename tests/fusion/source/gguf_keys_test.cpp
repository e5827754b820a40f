// What is wrong with a key of a GGUF file is said in GGUF's words: whoever has one never saw a config.json.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "engine/base/error.h"
#include "engine/weights/gguf/gguf_file.h"
#include "fusion/model.h"
#include "fusion/source/open_model.h"
#include "tests/engine/gguf_bytes.h"
#include "tests/engine/stored_tensors.h"
#include "tests/engine/temporary_folder.h"

namespace mmbatch {
namespace {

using ::testing::AllOf;
using testing::GgufBytes;
using ::testing::HasSubstr;
using testing::message_of;
using ::testing::Not;
using testing::read_file;
using ::testing::StartsWith;
using testing::TemporaryFolder;
using testing::write_file;

const std::filesystem::path kLlava = std::filesystem::path(MMBATCH_TEST_DATA) / "reference" / "gguf-llava15";

/// A copy of a model with an mmproj file, some numbers of which are others.
class Changed {
 public:
  Changed() {
    for (const char* name : {"model.gguf", "mmproj.gguf"})
      write_file(folder_.path() / name, read_file(kLlava / name));
  }

  /// Writes a number of four bytes over the one that a key has, or its list at `index`.
  template <class T>
  Changed& set(const std::string& file, const std::string& key, T value, std::size_t index = 0) {
    static_assert(sizeof(T) == 4);
    std::string bytes = read_file(folder_.path() / file);
    const std::size_t at = bytes.find(GgufBytes::text(key));
    EXPECT_NE(at, std::string::npos) << key;
    const std::size_t type = at + 8 + key.size();
    constexpr char kList = 9;
    const std::size_t begin = type + (bytes[type] == kList ? 16 : 4);
    bytes.replace(begin + 4 * index, 4, GgufBytes::number(value));
    write_file(folder_.path() / file, bytes);
    return *this;
  }
  /// Renames a key, so that the one is missing.
  Changed& remove(const std::string& file, const std::string& key) {
    std::string bytes = read_file(folder_.path() / file);
    bytes[bytes.find(GgufBytes::text(key)) + 8] = 'X';
    write_file(folder_.path() / file, bytes);
    return *this;
  }
  /// Writes NaN over the first number of a tensor that is stored as float32.
  Changed& damage(const std::string& file, const std::string& tensor) {
    const GgufFile stored(folder_.path() / file);
    const std::byte* data = stored.tensors().at(tensor).data;
    std::string bytes = read_file(folder_.path() / file);
    const std::string_view whole(bytes), found(reinterpret_cast<const char*>(data), 64);
    bytes.replace(whole.find(found), 4, GgufBytes::number(std::numeric_limits<float>::quiet_NaN()));
    write_file(folder_.path() / file, bytes);
    return *this;
  }

  std::string error() const {
    return message_of<ModelError>([&] { Model::load(folder_.path() / "model.gguf"); });
  }
  /// How the message begins: with the file and the key.
  std::string begin(const std::string& file, const std::string& key) const {
    return fmt::format("{}: key '{}': ", (folder_.path() / file).string(), key);
  }

 private:
  TemporaryFolder folder_;
};

struct Case {
  std::string key;
  std::uint32_t value;
  std::string problem;
};

TEST(GgufKeys, OfTheTextModelAreNamedAsTheFileHasThem) {
  const std::vector<Case> cases = {
      {"llama.block_count", 0, "expected an integer from 1 to 4096, found 0"},
      {"llama.block_count", 2, "2 layers, but there are tensors of 'blk.2' too"},
      {"llama.block_count", 4, "4 layers, but no tensor of 'blk.3' is there"},
      {"llama.context_length", 1, "expected an integer from 2 to 4294967296, found 1"},
      {"llama.embedding_length", 1u << 31, "expected an integer from 1 to 1048576, found 2147483648"},
      {"llama.embedding_length", 128, "128, the rows of tensor 'token_embd.weight' have 64 numbers"},
      {"llama.feed_forward_length", 97, "97, the rows of tensor 'blk.0.ffn_down.weight' have 96 numbers"},
      {"llama.attention.head_count", 7, "7 does not divide embedding_length 64"},
      {"llama.attention.head_count", 64, "heads of 1 numbers by embedding_length: an even number up to 512"},
      {"llama.attention.head_count_kv", 3, "3 does not divide attention.head_count 4"},
      {"llama.attention.head_count_kv", 4, "4 heads of 16 numbers, tensor 'blk.0.attn_k.weight' has 32 rows"},
      {"llama.rope.dimension_count", 8, "8 of the 16 numbers of a head: only all of them are supported"},
  };
  for (const auto& [key, value, problem] : cases) {
    Changed changed;
    EXPECT_THAT(changed.set("model.gguf", key, value).error(),
                StartsWith(changed.begin("model.gguf", key) + problem));
  }
  Changed changed;
  EXPECT_THAT(
      changed.set("model.gguf", "llama.rope.freq_base", 1.0f).error(),
      StartsWith(changed.begin("model.gguf", "llama.rope.freq_base") + "expected a number above 1, found 1"));
  Changed norm;
  const std::string epsilon = "llama.attention.layer_norm_rms_epsilon";
  EXPECT_THAT(norm.set("model.gguf", epsilon, -1.0f).error(),
              StartsWith(norm.begin("model.gguf", epsilon) + "expected a number from 0, found -1"));
  Changed missing;
  EXPECT_THAT(missing.remove("model.gguf", "llama.feed_forward_length").error(),
              StartsWith(missing.begin("model.gguf", "llama.feed_forward_length") + "missing"));
}

TEST(GgufKeys, OfTheTowerAreNamedAsTheFileHasThem) {
  const std::vector<Case> cases = {
      {"block_count", 0, "expected an integer from 1 to 4096, found 0"},
      {"block_count", 2, "2 blocks, but there are tensors of 'v.blk.2' too"},
      {"block_count", 4, "4 blocks, but no tensor of 'v.blk.3' is there"},
      {"embedding_length", 128, "128, tensor 'v.blk.0.ln1.weight' has 64 numbers"},
      {"embedding_length", 1u << 31, "expected an integer from 1 to 1048576, found 2147483648"},
      {"attention.head_count", 0, "expected an integer from 1 to 1048576, found 0"},
      {"attention.head_count", 7, "7 does not divide embedding_length 64"},
      {"image_size", 0, "expected an integer from 1 to 8192, found 0"},
      {"image_size", 1u << 31, "expected an integer from 1 to 8192, found 2147483648"},
      {"image_size", 2, "2, a patch of patch_size has 14 pixels"},
      {"patch_size", 7, "7, tensor 'v.patch_embd.weight' has the shape [64, 3, 14, 14]"},
      {"patch_size", 2048, "expected an integer from 1 to 1024, found 2048"},
  };
  for (const auto& [name, value, problem] : cases) {
    Changed changed;
    const std::string key = "clip.vision." + name;
    EXPECT_THAT(changed.set("mmproj.gguf", key, value).error(),
                StartsWith(changed.begin("mmproj.gguf", key) + problem));
  }
}

TEST(GgufKeys, MeansAndDeviationsAreNamedAsTheFileHasThem) {
  const std::string mean = "clip.vision.image_mean", deviation = "clip.vision.image_std";
  const auto error = [&](const std::string& key, float value) {
    Changed changed;
    const std::string message = changed.set("mmproj.gguf", key, value, 1).error();
    EXPECT_THAT(message, StartsWith(changed.begin("mmproj.gguf", key)));
    return message;
  };
  EXPECT_THAT(error(mean, 1e30f), HasSubstr("expected numbers from -1000 to 1000, found 1.0"));
  EXPECT_THAT(error(mean, std::numeric_limits<float>::quiet_NaN()), HasSubstr("not a finite number"));
  for (const float value : {0.0f, -0.5f, 1e-30f, 1e30f})
    EXPECT_THAT(error(deviation, value), HasSubstr("expected numbers from 0.0001 to 1000, found "));
  for (const std::string& key : {mean, deviation}) {
    Changed changed;
    EXPECT_THAT(changed.remove("mmproj.gguf", key).error(),
                StartsWith(changed.begin("mmproj.gguf", key) + "missing"));
  }
}

TEST(GgufKeys, ATensorThatDoesNotFitIsToldWithItsOwnFile) {
  Changed changed;
  EXPECT_THAT(changed.set("mmproj.gguf", "clip.vision.image_size", 112u).error(),
              AllOf(HasSubstr("mmproj.gguf: tensor '"), HasSubstr("by the model's keys, found"),
                    Not(HasSubstr("config.json"))));
}

TEST(GgufKeys, DamagedWeightsAreToldWithTheirOwnFile) {
  Changed text, tower;
  EXPECT_THAT(text.damage("model.gguf", "output_norm.weight").error(),
              AllOf(HasSubstr("model.gguf: tensor '"), HasSubstr("has values that are NaN or infinite")));
  EXPECT_THAT(tower.damage("mmproj.gguf", "v.blk.0.ln1.weight").error(),
              AllOf(HasSubstr("mmproj.gguf: tensor '"), HasSubstr("has values that are NaN or infinite")));
}

/// The keys of a small text model.
GgufBytes small_model(const std::string& architecture = "llama") {
  GgufBytes file;
  file.key("general.architecture", architecture).key("tokenizer.ggml.model", "gpt2");
  for (const char* size : {"block_count", "context_length", "attention.head_count"})
    file.key(architecture + "." + size, 2u);
  return file.key(architecture + ".embedding_length", 8u).texts("tokenizer.ggml.tokens", {"a", "b", "c"});
}

TEST(GgufKeys, TokensWithoutRowsAreToldWithTheirKey) {
  const TemporaryFolder folder;
  GgufBytes file = small_model();
  file.put("token_embd.weight", {2, 8}, std::vector<float>(16, 1.0f));
  write_file(folder.path() / "m.gguf", file.bytes());
  EXPECT_THAT(message_of<ModelError>([&] { Model::load(folder.path() / "m.gguf"); }),
              HasSubstr("m.gguf: key 'tokenizer.ggml.tokens': 3 tokens, but only 2 rows of embeddings"));
}

/// What a small text model's config.json has of logits that are capped, 0: nothing.
double softcap(const std::string& architecture, float written) {
  const TemporaryFolder folder;
  GgufBytes file = small_model(architecture);
  for (const char* size : {"feed_forward_length", "attention.head_count_kv", "attention.sliding_window"})
    file.key(architecture + "." + size, 2u);
  file.key(architecture + ".final_logit_softcapping", 6, GgufBytes::number(written));
  write_file(folder.path() / "m.gguf", file.bytes());
  return open_model(folder.path() / "m.gguf")->config().number("final_logit_softcapping", 0);
}

TEST(GgufKeys, ACapOfLogitsMayBeNone) {
  for (const std::string architecture : {"gemma3", "gemma4"}) {
    EXPECT_EQ(softcap(architecture, 0.0f), 0) << architecture;  // as llama.cpp
    EXPECT_EQ(softcap(architecture, 5.0f), 5) << architecture;
    EXPECT_THAT(message_of<ModelError>([&] { softcap(architecture, -1.0f); }),
                HasSubstr("m.gguf: key '" + architecture + ".final_logit_softcapping': -1: must be above 0"));
  }
  EXPECT_THAT(message_of<ModelError>([&] { softcap("gemma2", 0.0f); }),
              HasSubstr("'gemma2.final_logit_softcapping': 0: must be above 0"));
}

/// A small text model that says how it wants to be sampled.
Config sampling(const std::string& key, std::uint32_t type, const std::string& value) {
  const TemporaryFolder folder;
  GgufBytes file = small_model();
  file.key("general.sampling." + key, type, value);
  write_file(folder.path() / "m.gguf", file.bytes());
  return open_model(folder.path() / "m.gguf")->json_file("generation_config.json");
}

TEST(GgufKeys, NumbersOfSamplingAreRefusedOutsideOfWhatTheyMayBe) {
  constexpr std::uint32_t kFloat = 6, kInteger = 5;
  const auto error = [&](const std::string& key, float value) {
    return message_of<ModelError>([&] { sampling(key, kFloat, GgufBytes::number(value)); });
  };
  EXPECT_THAT(error("temp", -0.5f), HasSubstr("m.gguf: key 'general.sampling.temp': expected a number from 0 "
                                              "to 1e+09, found -0.5"));
  EXPECT_THAT(error("top_p", -1.0f), HasSubstr("'general.sampling.top_p': expected a number from 0 to 1, "
                                               "found -1"));
  EXPECT_THAT(error("top_p", 1.5f), HasSubstr("found 1.5"));
  EXPECT_THAT(error("min_p", -0.1f), HasSubstr("'general.sampling.min_p': expected a number from 0 to 1"));
  EXPECT_THAT(error("penalty_repeat", -1.0f), HasSubstr("'general.sampling.penalty_repeat'"));
  EXPECT_THAT(error("top_k", 2.0f), HasSubstr("'general.sampling.top_k': has an element that is not"));
  // As llama.cpp: all tokens.
  EXPECT_EQ(sampling("top_k", kInteger, GgufBytes::number(std::int32_t{-1})).integer("top_k", 50, {0, 99}),
            0);
}

}  // namespace
}  // namespace mmbatch
