#include "fusion/source/open_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "engine/base/error.h"
#include "fusion/source/model_names.h"
#include "tests/engine/gguf_bytes.h"
#include "tests/engine/stored_tensors.h"
#include "text/tokenizer/tokenizer.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using testing::GgufBytes;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;
using testing::write_file;

std::string floats(std::size_t count, float first) {
  std::string bytes;
  for (std::size_t i = 0; i < count; ++i) bytes += GgufBytes::number(first + static_cast<float>(i));
  return bytes;
}

/// The keys of a model of one layer, four wide, with one head and six tokens.
GgufBytes tiny(const std::string& architecture) {
  const auto key = [&](const std::string& name) { return architecture + "." + name; };
  GgufBytes file;
  file.key("general.architecture", architecture).key(key("block_count"), 1u).key(key("embedding_length"), 4u);
  file.key(key("attention.head_count"), 1u)
      .key(key("feed_forward_length"), 2u)
      .key(key("context_length"), 64u);
  file.key("tokenizer.ggml.model", "llama")
      .texts("tokenizer.ggml.tokens", {"<unk>", "</s>", "▁", "a", "b", "ab"});
  file.floats("tokenizer.ggml.scores", {0, 0, -1, -2, -3, -1}).key("tokenizer.ggml.eos_token_id", 1u);
  std::string types = GgufBytes::number(5u) + GgufBytes::number(std::uint64_t{6});
  for (const std::int32_t type : {2, 3, 1, 1, 1, 1}) types += GgufBytes::number(type);
  file.key("tokenizer.ggml.token_type", 9, types);
  file.tensor("token_embd.weight", {4, 6}, 0, floats(24, 0));
  file.tensor("blk.0.attn_q.weight", {4, 4}, 0, floats(16, 0));
  file.tensor("blk.0.attn_norm.weight", {4}, 0, floats(4, 1));
  return file;
}

TEST(OpenModel, AGgufFileIsAFolderToItsReaders) {
  const TemporaryFolder folder;
  write_file(folder.path() / "m.gguf", tiny("llama").bytes());
  const auto source = open_model(folder.path() / "m.gguf");
  const Config& config = source->config();
  EXPECT_EQ(config.text("model_type", ""), "llama");
  EXPECT_EQ(config.integer("hidden_size", 0), 4);
  EXPECT_EQ(config.integer("num_key_value_heads", 0), 1);
  EXPECT_EQ(config.integer("vocab_size", 0), 6);
  EXPECT_TRUE(config.flag("tie_word_embeddings", false));
  EXPECT_THAT(source->json_file("generation_config.json").integers("eos_token_id"), ElementsAre(1));
  EXPECT_EQ(source->json_file("tokenizer_config.json").text("eos_token", ""), "</s>");
  EXPECT_EQ(source->tensor("model.embed_tokens.weight").shape, (std::vector<std::size_t>{6, 4}));
  // Rows of pairs (0, 1), (2, 3) become halves 0, 2 and 1, 3.
  EXPECT_THAT(to_floats(source->tensor("model.layers.0.self_attn.q_proj.weight")),
              ElementsAre(0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15));
  const auto again = open_model(folder.path());  // the only model of its folder
  EXPECT_EQ(again->fingerprint(FingerprintScope::samples), source->fingerprint(FingerprintScope::samples));
}

TEST(OpenModel, NormsWithOneAddedLoseIt) {
  const TemporaryFolder folder;
  write_file(folder.path() / "m.gguf", tiny("gemma").bytes());
  const auto source = open_model(folder.path() / "m.gguf");
  EXPECT_THAT(to_floats(source->tensor("model.layers.0.input_layernorm.weight")), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(to_floats(source->tensor("model.layers.0.self_attn.q_proj.weight")).at(4), 4);
  EXPECT_EQ(source->config().text("hidden_activation", ""), "gelu_pytorch_tanh");
}

TEST(OpenModel, ScoresSayWhatMerges) {
  const TemporaryFolder folder;
  write_file(folder.path() / "m.gguf", tiny("llama").bytes());
  const auto tokenizer = load_tokenizer(*open_model(folder.path() / "m.gguf"));
  EXPECT_THAT(tokenizer->encode("ab", SpecialTokens::without), ElementsAre(2, 5));
  EXPECT_THAT(tokenizer->encode("ba</s>b", SpecialTokens::without), ElementsAre(2, 4, 3, 1, 2, 4));
  EXPECT_EQ(tokenizer->decode(std::vector<std::int32_t>{2, 5, 1}), " ab");
  EXPECT_EQ(tokenizer->eos(), 1);
}

TEST(OpenModel, SaysWhatIsNotSupported) {
  const TemporaryFolder folder;
  const auto error = [&](const GgufBytes& file) {
    write_file(folder.path() / "m.gguf", file.bytes());
    return message_of<ModelError>([&] { open_model(folder.path() / "m.gguf"); });
  };
  EXPECT_THAT(error(tiny("mamba")), HasSubstr("architecture 'mamba' is not supported; supported are llama"));
  EXPECT_THAT(error(GgufBytes().key("general.architecture", "clip")),
              HasSubstr("the vision part of a model"));
  EXPECT_THAT(error(tiny("qwen2").tensor("blk.0.odd.weight", {4}, 0, floats(4, 0))),
              HasSubstr("tensor 'blk.0.odd.weight' has no place in architecture 'qwen2'"));
  EXPECT_THAT(error(tiny("qwen2").tensor("v.blk.0.attn_q.weight", {4}, 0, floats(4, 0))),
              HasSubstr("holds a vision tower beside the text model"));
  EXPECT_THAT(error(tiny("llama").key("llama.expert_count", 8u)), HasSubstr("experts are not supported"));
  write_file(folder.path() / "n.gguf", tiny("llama").bytes());
  EXPECT_THAT(message_of<ModelError>([&] { open_model(folder.path()); }), HasSubstr("m.gguf, n.gguf"));
}

TEST(OpenModel, NumbersOfSamplingStandForGenerationConfig) {
  const TemporaryFolder folder;
  write_file(folder.path() / "m.gguf", tiny("llama")
                                           .key("general.sampling.temp", 6, GgufBytes::number(0.6f))
                                           .key("general.sampling.top_p", 6, GgufBytes::number(0.95f))
                                           .key("general.sampling.top_k", 20u)
                                           .bytes());
  const Config generation = open_model(folder.path())->json_file("generation_config.json");
  EXPECT_EQ(generation.number("temperature", 0), 0.6);
  EXPECT_EQ(generation.number("top_p", 0), 0.95);
  EXPECT_EQ(generation.integer("top_k", 0), 20);
  EXPECT_FALSE(generation.has("do_sample"));
}

TEST(ModelNames, AreFoundWhereOtherProgramsKeepThem) {
  const TemporaryFolder home;
  const auto make = [&](const std::string& file, const std::string& bytes) {
    std::filesystem::create_directories((home.path() / file).parent_path());
    write_file(home.path() / file, bytes);
  };
  const std::string a(64, 'a'), b(64, 'b');
  make("store/manifests/registry.ollama.ai/library/qwen/3b",
       R"({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:)" + a +
           R"("}, {"mediaType": "application/vnd.ollama.image.projector", "digest": "sha256:)" + b +
           R"("}]})");
  make("store/manifests/localhost:5000/me/model/latest",
       R"({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:)" + b +
           R"("}]})");
  make("hf/hub/models--Owner--Name/refs/main", "123abc\n");
  make("hf/hub/models--Owner--Name/snapshots/123abc/config.json", "{}");
  ::setenv("OLLAMA_MODELS", (home.path() / "store").c_str(), 1);
  ::setenv("HF_HOME", (home.path() / "hf").c_str(), 1);
  ::unsetenv("HF_HUB_CACHE");
  const auto found = find_by_name("jobs/ollama:qwen:3b");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->model, home.path() / "store/blobs" / ("sha256-" + a));
  EXPECT_EQ(found->parts.projector, home.path() / "store/blobs" / ("sha256-" + b));
  for (const char* name : {"ollama:localhost:5000/me/model", "ollama:localhost:5000/me/model:latest"})
    EXPECT_EQ(find_by_name(name)->model, home.path() / "store/blobs" / ("sha256-" + b)) << name;
  EXPECT_EQ(find_by_name("hf:Owner/Name")->model,
            home.path() / "hf/hub/models--Owner--Name/snapshots/123abc");
  EXPECT_EQ(find_by_name("hf:Owner/Name@123abc")->model,
            home.path() / "hf/hub/models--Owner--Name/snapshots/123abc");
  const std::filesystem::path snapshot = home.path() / "hf/hub/models--Owner--Name/snapshots/123abc";
  write_file(snapshot / "m-Q4_K_M.gguf", "x");
  EXPECT_EQ(find_by_name("hf:Owner/Name/m-Q4_K_M.gguf")->model, snapshot / "m-Q4_K_M.gguf");
  EXPECT_EQ(find_by_name("hf:Owner/Name@123abc/m-Q4_K_M.gguf")->model, snapshot / "m-Q4_K_M.gguf");
  EXPECT_FALSE(find_by_name("models/qwen"));
  const auto error = [](const char* name) { return message_of<ModelError>([&] { find_by_name(name); }); };
  EXPECT_THAT(error("ollama:qwen:7b"), HasSubstr("ollama pull"));
  EXPECT_THAT(error("ollama:../../etc/x"), HasSubstr("not a plain name"));
  EXPECT_THAT(error("hf:Owner/Other"), HasSubstr("hf download"));
  EXPECT_THAT(error("hf:Owner/Name/m-Q8_0.gguf"), HasSubstr("m-Q8_0.gguf; fetch it"));
  EXPECT_THAT(error("hf:Owner/Name/../../x"), HasSubstr("not a plain name"));
  ::unsetenv("OLLAMA_MODELS");
  ::unsetenv("HF_HOME");
}

}  // namespace
}  // namespace mmbatch
